"""Requests about the rows of a table to a model behind an OpenAI-compatible server."""
