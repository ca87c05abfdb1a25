"""What people said of some clips, predicted for all: a small model on the scores, and how far to trust it.

`tools.datasets.rate.table.rate_table` is the command as a function.
"""
