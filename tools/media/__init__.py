"""One media file: bring it here, read it, write one; in guarded worker processes. No tables."""
