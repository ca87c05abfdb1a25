"""Stages on Daft: as a column expression, and over a whole table, on one machine or on a Ray cluster."""
