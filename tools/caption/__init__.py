"""Captions: from a local model or a server, their checks, tags, and how the camera moves."""
