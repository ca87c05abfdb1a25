"""Open a table as bytes or as lines of text, and keep corrected copies of tables that readers differ on."""

from __future__ import annotations

import codecs
import io
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from tools.base.disk import system_message
from tools.errors import UserError

_PACKED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_MARKS = (  # UTF-32 first: its mark begins as that of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 1 << 19  # bytes; what numpy makes of one block stays in the cache of a core
_NUL = "holds a NUL byte: the file is damaged, or no UTF-8 text (UTF-16 needs a byte order mark)"
_LONGEST_LINE = 1 << 28  # characters; a row beyond it is a file without rows, or a quote that is never closed
_IN_MEMORY = 1 << 26  # bytes of a corrected copy


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where it is compressed (by its first bytes, not by its name)."""
    stream = path.open("rb", buffering=0)
    head = stream.read(4)
    stream.seek(0)
    for mark, name in _PACKED:
        if head.startswith(mark):
            import pyarrow as pa

            stream.close()
            return pa.input_stream(str(path), compression=name)
    return stream


def encoding(path: Path) -> str:
    """The encoding given by the byte order mark; UTF-8 without one."""
    with open_bytes(path) as stream:
        head = bytes(stream.read(4))
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8-sig")


def line_blocks(stream: BinaryIO, limit: int | None = None) -> Iterator[tuple[bytearray, int]]:
    """Pieces of a file that end with a line: a buffer, used again for the next, and the bytes in it.

    Args:
        stream: The file; it is read from its position.
        limit: Bytes to read; None for all.
    """
    left = sys.maxsize if limit is None else limit
    buffer = bytearray(_BLOCK)
    kept = 0
    while True:
        if kept == len(buffer):
            buffer = buffer + bytes(kept)
        got = stream.readinto(memoryview(buffer)[kept : kept + left])  # type: ignore[attr-defined]
        left -= got
        if not got:
            if kept:
                yield buffer, kept
            return
        end = buffer.rfind(b"\n", kept, kept + got) + 1
        kept += got
        if end:
            yield buffer, end
            rest = buffer[end:kept]
            kept = len(rest)
            buffer[:kept] = rest


class Lines:
    """The lines of a text table with their ends, as Python's csv module expects them (``newline=""``).

    Attributes:
        number: Lines given so far.
        recent: What was given since it was last cleared.
        carriage_return: The first line that ends with a carriage return alone; 0 where none does.
        line_feeds: Whether a line ends with a line feed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.recent: list[str] = []
        self.carriage_return = 0
        self.line_feeds = False
        self._kept = 0
        self._encoding = encoding(path)
        self._stream = open_bytes(path)
        buffered = io.BufferedReader(self._stream, 1 << 18)  # type: ignore[arg-type]
        self._text = io.TextIOWrapper(buffered, encoding=self._encoding, newline="")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._text.close()

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        """The next line.

        Raises:
            UserError: It is no text.
        """
        try:
            line = self._text.readline(_LONGEST_LINE)
        except UnicodeError:
            raise self.refused(*self._not_text()) from None
        if not line:
            raise StopIteration
        self.number += 1
        self._kept += len(line)
        if "\0" in line:
            raise self.refused(self.number, _NUL)
        if self._kept > _LONGEST_LINE:
            raise self.refused(self.number, f"the row goes on for more than {_LONGEST_LINE:,} characters")
        if line.endswith("\n"):
            self.line_feeds = True
        elif line.endswith("\r") and not self.carriage_return:
            self.carriage_return = self.number
        self.recent.append(line)
        return line

    def clear(self) -> None:
        """Forget the recent lines."""
        self.recent.clear()
        self._kept = 0

    def refused(self, number: int, what: str) -> UserError:
        """The error for a line."""
        return UserError(f"{self.path}: line {number}: {what}")

    def _not_text(self) -> tuple[int, str]:
        """Where the first bytes are that are none of the encoding: the line, and what to do."""
        if self._encoding != "utf-8-sig":
            return self.number + 1, f"not {self._encoding.upper()} text, as its first bytes promise"
        with io.BufferedReader(open_bytes(self.path)) as stream:  # type: ignore[arg-type]
            number, odd = next(filter(None, map(_first_odd_byte, enumerate(stream, 1))))
        if not odd:
            return number, _NUL
        name = self.path.name
        return number, (
            f"not UTF-8 text (byte 0x{odd:02X}); convert the table, from Windows' code page say: "
            f"iconv -f WINDOWS-1252 -t UTF-8 {name} > utf8_{name}"
        )


def _first_odd_byte(numbered: tuple[int, bytes]) -> tuple[int, int] | None:
    """The number of a line that is not UTF-8 text, and the byte that is none; None for any other line."""
    number, line = numbered
    if b"\0" in line:
        return number, 0
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return number, line[error.start]
    return None


def corrected(pieces: Iterable[str]) -> bytes | Path:
    """Keep a corrected copy of a table for as long as this process lives.

    Args:
        pieces: Its text.

    Raises:
        UserError: There is no room for it.

    Returns:
        The bytes; of a large copy a path to a file in the folder for temporary files (``TMPDIR``). That file
        has no name there, so that nothing is left behind, however the process ends.
    """
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (it outlives this function)
    try:
        for piece in pieces:
            copy.write(piece.encode())
        if not copy._rolled:  # type: ignore[attr-defined]
            copy.seek(0)
            return copy.read()
        copy.flush()
    except OSError as error:
        raise UserError(
            f"{tempfile.gettempdir()}: cannot keep a corrected copy of the table there: "
            f"{system_message(error)}; set TMPDIR to a folder with room for it"
        ) from None
    _COPIES.append(copy)
    return Path(f"/proc/self/fd/{copy.fileno()}")


_COPIES: list[IO[bytes]] = []
