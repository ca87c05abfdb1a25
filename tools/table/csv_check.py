"""Decide in one quick pass whether Polars can be trusted with a CSV; the pass also counts its rows.

Polars silently loses rows and quotes where an unquoted cell contains a quote
(https://github.com/pola-rs/polars/issues/21519, 10575), takes blank lines for rows, and leaves carriage
returns that end rows in the cells. Such files are read by Python's csv module, or refused: see
`tools.table.csv_rows`.
"""

from __future__ import annotations

import codecs
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tools.table.csv_rows import corrected_csv, csv_header
from tools.table.opening import encoding, line_blocks, open_bytes

if TYPE_CHECKING:
    import numpy as np

_PIECE = 1 << 24  # bytes
_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")


@dataclass(frozen=True)
class CheckedCsv:
    """A CSV that has been checked.

    Attributes:
        names: Names of its columns.
        rows: Number of its rows.
        source: What Polars is to read: the file, or a corrected copy.
        separator: Between cells.
        quotes: Whether ``source`` has a quote anywhere; without one a line is a row.
    """

    names: list[str]
    rows: int
    source: Path | bytes
    separator: str
    quotes: bool = True


def check_csv(path: Path, separator: str = ",") -> CheckedCsv:
    """Check a CSV, and correct what would be read wrongly.

    Args:
        path: The table, perhaps compressed.
        separator: Between cells.

    Raises:
        UserError: The table is refused; see `tools.table.csv_rows.csv_rows`.
        OSError: It cannot be read.
    """
    names = csv_header(path, separator)
    counted = _count_if_regular(path, separator, len(names))
    if counted is not None:
        return CheckedCsv(names, counted[0] - 1, path, separator, counted[1])
    source, rows = corrected_csv(path, separator)
    return CheckedCsv(names, rows, source, separator)


class _Irregular(Exception):
    """The file contains something that readers parse differently."""


def _count_if_regular(path: Path, separator: str, columns: int) -> tuple[int, bool] | None:
    """As `_count`, of a file that is UTF-8 and whose rows, cells and quotes are beyond doubt; else None."""
    if encoding(path) != "utf-8-sig":
        return None
    borders = _borders(path)
    if len(borders) > 2:
        try:
            with ThreadPoolExecutor(len(borders) - 1) as pool:
                pieces = list(
                    pool.map(lambda piece: _count(path, separator, columns, *piece), pairwise(borders))
                )
                return sum(rows for rows, _ in pieces), any(quotes for _, quotes in pieces)
        except _Irregular:
            pass  # or a border between two pieces is in a cell of several lines
    try:
        return _count(path, separator, columns)
    except _Irregular:
        return None


def _borders(path: Path) -> list[int]:
    """Where the pieces of a file begin that are checked in parallel, each at a line, and its end."""
    size = path.stat().st_size
    pieces = min(len(os.sched_getaffinity(0)), size // _PIECE)
    borders = {0, size}
    with open_bytes(path) as stream:
        if isinstance(stream, io.FileIO):  # what is compressed has one piece
            for number in range(1, pieces):
                stream.seek(number * size // pieces)
                if end := (stream.read(1 << 16) or b"").find(b"\n") + 1:
                    borders.add(number * size // pieces + end)
    return sorted(borders)


def _count(
    path: Path, separator: str, columns: int, start: int = 0, end: int | None = None
) -> tuple[int, bool]:
    """Rows of a piece of a file, with the header, to its end where none is given; and if it has quotes.

    Raises:
        _Irregular: There is something in it that readers do not agree on.
    """
    small = path.stat().st_size < _PIECE
    scan = _Scan(separator, columns, begins=start == 0, exact=small)
    with open_bytes(path) as stream:
        if start:
            stream.seek(start)
        for buffer, size in line_blocks(stream, None if end is None else end - start):
            scan.add(buffer, size)
    scan.end()
    return scan.rows, scan.quotes


class _Scan:
    """What is known of a file, or of a piece of it that begins with a row, after some of its blocks.

    Args:
        separator: Between cells.
        columns: Cells of each row.
        begins: This is the beginning of the file.
        exact: Count the cells of each row also where there are no quotes, and not of each block of rows only.

    Attributes:
        rows: Rows that ended, with the header.
        quotes: Whether there is a quote.
    """

    def __init__(self, separator: str, columns: int, *, begins: bool, exact: bool) -> None:
        self.rows = 0
        self.quotes = False
        self._separator = ord(separator)
        self._columns = columns
        self._begins = begins
        self._exact = exact
        self._inside = False  # a quoted cell goes on into the next block
        self._in_row = False
        self._cells = 0  # of a row that goes on into the next block, those that ended

    def add(self, buffer: bytearray, size: int) -> None:
        """Take the next block.

        Raises:
            _Irregular: There is something in it that readers do not agree on.
        """
        import numpy as np

        start = 3 if self._begins and buffer.startswith(codecs.BOM_UTF8) else 0
        self._begins = False
        block = np.frombuffer(buffer, np.uint8, size)[start:]
        # As signed numbers, bytes beyond ASCII are negative.
        if not block.size or (block.view(np.int8).min() <= 0 and not _is_text(buffer, size)):
            raise _Irregular
        returns = buffer.find(b"\r", 0, size) >= 0
        self._in_row = block[-1] != _LF
        quotes = buffer.find(b'"', 0, size) >= 0
        self.quotes |= quotes
        if self._exact or self._inside or quotes:
            self._add_signs(block, returns)
        else:
            self._add_plain(block, returns)

    def end(self) -> None:
        """Take the end of the file, or piece. Errors as `add`."""
        if self._inside or (self._in_row and self._cells != self._columns - 1):
            raise _Irregular
        self.rows += self._in_row

    def _add_plain(self, block: np.ndarray, returns: bool) -> None:
        """A block that begins outside quotes and has none."""
        import numpy as np

        ends = np.flatnonzero(block == _LF)
        if block[0] == _LF or (np.diff(ends) == 1).any():
            raise _Irregular  # a blank line
        if returns:
            _check_returns(block, np.flatnonzero(block == _CR))
        rows = len(ends)
        separators = np.count_nonzero(block == self._separator)
        if separators != (rows + self._in_row) * (self._columns - 1):
            raise _Irregular  # a row that is too short, or too long
        self.rows += rows
        self._cells = self._columns - 1 if self._in_row else 0

    def _add_signs(self, block: np.ndarray, returns: bool) -> None:
        """Any block, by its quotes, separators and ends of lines."""
        import numpy as np

        signs = (block == _QUOTE) | (block == self._separator) | (block == _LF)
        if returns:
            signs |= block == _CR
        places = np.flatnonzero(signs)
        signs = block[places]
        quotes = np.flatnonzero(signs == _QUOTE)
        inside = int(self._inside)
        opening, closing = quotes[inside::2], quotes[1 - inside :: 2]
        self._inside = bool((len(quotes) + inside) % 2)
        before = block[places[opening] - 1]
        if len(opening) and places[opening[0]] == 0:
            before[0] = _LF
        after = block[np.minimum(places[closing] + 1, block.size - 1)]
        if len(closing) and places[closing[-1]] == block.size - 1:
            after[-1] = _LF
        doubled = before == _QUOTE  # the second of two quotes in a quoted cell, which never was closed
        if not (doubled | (before == self._separator) | (before == _LF)).all():
            raise _Irregular
        if not ((after == _QUOTE) | (after == self._separator) | (after == _LF) | (after == _CR)).all():
            raise _Irregular
        turns = np.zeros(len(signs), np.uint8)  # where a quoted cell begins or ends
        turns[opening[~doubled]] = turns[closing[after != _QUOTE]] = 1
        outside = np.bitwise_xor.accumulate(turns) == inside
        ends = places[outside & (signs == _LF)]
        if len(ends) and (ends[0] == 0 or (np.diff(ends) == 1).any()):
            raise _Irregular  # a blank line
        if returns:
            _check_returns(block, places[outside & (signs == _CR)])
        self._add_cells(signs[outside & ((signs == self._separator) | (signs == _LF))] == _LF)

    def _add_cells(self, ends: np.ndarray) -> None:
        """Count rows and check their lengths.

        Args:
            ends: For each cell that ended whether it is the last of its row.
        """
        import numpy as np

        last = np.flatnonzero(ends)
        if not len(last):
            self._cells += len(ends)
            return
        if self._cells + last[0] + 1 != self._columns or (np.diff(last) != self._columns).any():
            raise _Irregular  # a row that is too short, or too long
        self.rows += len(last)
        self._cells = len(ends) - 1 - int(last[-1])


def _check_returns(block: np.ndarray, places: np.ndarray) -> None:
    """Check that carriage returns outside quotes end lines that are not blank."""
    if not len(places):
        return
    if places[-1] == block.size - 1 or (block[places + 1] != _LF).any():
        raise _Irregular
    if places[0] == 0 or (block[places - 1] == _LF).any():
        raise _Irregular


def _is_text(buffer: bytearray, size: int) -> bool:
    """Whether bytes are UTF-8 text without NUL."""
    import polars as pl

    if buffer.find(b"\0", 0, size) >= 0:
        return False
    try:  # Polars checks many bytes at a time; Python's decoder would take several times as long
        pl.Series([bytes(memoryview(buffer)[:size])], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True
