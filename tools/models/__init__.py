"""Models and their weight files. No tables, no media files."""
