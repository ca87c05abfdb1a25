"""Exports whose folder is at an address, in object storage."""
