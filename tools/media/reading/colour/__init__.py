"""Colour metadata of a stream, and tone mapping of HDR to SDR."""
