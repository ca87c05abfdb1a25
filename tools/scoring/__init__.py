"""Scorers: each sub-package is one score, a stage class and its command."""
