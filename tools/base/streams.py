"""Standard streams of a command: what it tells is lost when nobody can take it, and the work goes on."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from typing import Any, TextIO


class _Lasting:
    """A stream whose reader may go without an error for who writes to it.

    Args:
        stream: The stream.
        is_output: It is what a command is run for: a full disk stays an error.
    """

    def __init__(self, stream: TextIO, *, is_output: bool = False) -> None:
        self._stream, self._is_output = stream, is_output

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
        is_gone = error.errno == errno.EPIPE or (error.errno == errno.EIO and self._is_terminal())
        if self._is_output and not is_gone:
            raise error
        if is_gone:  # what is still in the buffer goes nowhere, and what started programs say
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)

    def _is_terminal(self) -> bool:
        """Or was one: what is closed is no terminal any more."""
        with suppress(OSError):
            return stat.S_ISCHR(os.fstat(self._stream.fileno()).st_mode)
        return False


def keep_standard_streams() -> None:
    """Let what is told be lost where standard output or standard error has no reader, or loses it later.

    A command that runs for days need not end because its terminal, or the program that reads its log, has.
    Where one of the three standard streams was closed from the start, none of the files that are opened later
    may take its number: libraries write their messages there. A character that the encoding of the output
    lacks is written as its number, as on standard error.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        os.set_inheritable(null, True)
    os.close(null)
    if sys.stdout is None:
        sys.stdout = open(1, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    elif sys.stdout is sys.__stdout__:
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout = _Lasting(sys.stdout, is_output=True)  # type: ignore[assignment]
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _Lasting(sys.stderr)  # type: ignore[assignment]
