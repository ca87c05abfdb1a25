"""Audit: how many clips of a table are bad, judged by people on a random sample, and the data-set card."""
