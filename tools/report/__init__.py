"""What a table looks like: statistics of its columns, plots, and a page to look at."""
