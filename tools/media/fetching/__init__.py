"""Bring a file here: from an address, from object storage, or from bytes; ahead of time."""
