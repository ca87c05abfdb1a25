"""Rows and cells in which two tables differ, and why: `compare` finds them, `text` shows them."""
