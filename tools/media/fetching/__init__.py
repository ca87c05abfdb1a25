"""Fetch files from addresses, object storage or bytes, ahead of time."""
