"""The logger ``vidsieve``: messages of library code, which commands show on standard error."""

from __future__ import annotations

import logging
import sys

from tools.base.terminal import harmless

LOG = logging.getLogger("vidsieve")
LOG.addHandler(logging.NullHandler())  # silent in a program that does not configure logging

_WORDS = {"INFO": "note", "WARNING": "warning", "ERROR": "error"}


class _StandardError(logging.Handler):
    """Writes a line to the current standard error: ``warning: message``."""

    def emit(self, record: logging.LogRecord) -> None:
        word = _WORDS.get(record.levelname, record.levelname.lower())
        print(f"{word}: {harmless(self.format(record))}", file=sys.stderr, flush=True)


def show_log() -> None:
    """Show log messages on standard error from now on; only commands call this."""
    if not any(isinstance(handler, _StandardError) for handler in LOG.handlers):
        LOG.addHandler(_StandardError())
        LOG.setLevel(logging.INFO)
