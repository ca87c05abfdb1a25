"""Captions: what language models put before them, what T5 was trained without, and many of them at once."""
