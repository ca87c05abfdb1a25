"""One media file: fetch, read and write it, in worker processes with limits. No tables."""
