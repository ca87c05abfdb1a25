"""Reports of a table: statistics of its columns, plots, and an HTML page."""
