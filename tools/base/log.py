"""The logger ``vidsieve``: what library code finds worth a word. Commands show it on standard error."""

from __future__ import annotations

import logging
import sys

LOG = logging.getLogger("vidsieve")
LOG.addHandler(logging.NullHandler())  # a program that has set up no logging hears nothing

_WORDS = {"INFO": "note", "WARNING": "warning", "ERROR": "error"}


class _StandardError(logging.Handler):
    """A line on what is standard error at the time: ``warning: what is to be said``."""

    def emit(self, record: logging.LogRecord) -> None:
        word = _WORDS.get(record.levelname, record.levelname.lower())
        print(f"{word}: {self.format(record)}", file=sys.stderr, flush=True)


def show_log() -> None:
    """Show on standard error what is logged from now on: what a command does, and no library call."""
    if not any(isinstance(handler, _StandardError) for handler in LOG.handlers):
        LOG.addHandler(_StandardError())
        LOG.setLevel(logging.INFO)
