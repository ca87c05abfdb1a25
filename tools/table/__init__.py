"""Meta tables on disk: read, write, name, merge. No media, no torch."""
