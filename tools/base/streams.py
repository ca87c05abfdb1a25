"""Standard streams of a command: what it tells is lost when nobody can take it, and the work goes on."""

from __future__ import annotations

import errno
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.EIO)  # a pager or a log that has ended, a terminal that was closed


class _Lasting:
    """A stream whose reader may go, or whose disk may be full, without an error for who writes to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """Hand on what was written, or lose it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if (
            error.errno in _GONE
        ):  # what is still in the buffer goes there, and what programs say that are started
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)


def keep_standard_error() -> None:
    """Let messages be lost where standard error was closed, or is closed later.

    A command that runs for days need not end because its terminal, or the program that reads its log, has.
    Where one of the three standard streams was closed from the start, none of the files that are opened later
    may take its number: libraries write their messages there.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        os.set_inheritable(null, True)
    os.close(null)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _Lasting(sys.stderr)  # type: ignore[assignment]


def has_no_reader(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    try:
        assert stream is not None
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (AssertionError, AttributeError, OSError, ValueError):
        return False
