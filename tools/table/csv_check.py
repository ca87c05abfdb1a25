"""Decide in one quick pass whether Polars can be trusted with a CSV; the pass also counts its rows.

Polars silently loses rows and quotes where an unquoted cell contains a quote
(https://github.com/pola-rs/polars/issues/21519, 10575), takes blank lines for rows, and leaves carriage
returns that end rows in the cells. Such files are read by Python's csv module, or refused: see
`tools.table.csv_rows`.
"""

from __future__ import annotations

import codecs
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tools.base.cpu import allowed_cores
from tools.table.csv_lines import LinePlaces, line_feeds
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
        lines: Where some of its lines begin; None where it has quotes, is compressed or corrected.
    """

    names: list[str]
    rows: int
    source: Path | bytes
    separator: str
    quotes: bool = True
    lines: LinePlaces | None = field(default=None, compare=False)


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
    scans = _scan_if_regular(path, separator, len(names))
    if scans is not None:
        quotes = any(scan.quotes for scan in scans)
        lines = None if quotes or _is_compressed(path) else LinePlaces.joined([scan.lines for scan in scans])
        return CheckedCsv(names, sum(scan.rows for scan in scans) - 1, path, separator, quotes, lines)
    source, rows = corrected_csv(path, separator)
    return CheckedCsv(names, rows, source, separator)


class _Irregular(Exception):
    """The file contains something that readers parse differently."""


def _scan_if_regular(path: Path, separator: str, columns: int) -> list[_Scan] | None:
    """As `_scan`, of a file that is UTF-8 and whose rows, cells and quotes are beyond doubt; else None."""
    if encoding(path) != "utf-8-sig":
        return None
    borders = _borders(path)
    if len(borders) > 2:
        try:
            with ThreadPoolExecutor(len(borders) - 1) as pool:
                return list(
                    pool.map(lambda piece: _scan(path, separator, columns, *piece), pairwise(borders))
                )
        except _Irregular:
            pass  # or a border between two pieces is in a cell of several lines
    try:
        return [_scan(path, separator, columns)]
    except _Irregular:
        return None


def _is_compressed(path: Path) -> bool:
    with open_bytes(path) as stream:
        return not isinstance(stream, io.FileIO)


def _borders(path: Path) -> list[int]:
    """Where the pieces of a file begin that are checked in parallel, each at a line, and its end."""
    size = path.stat().st_size
    pieces = min(allowed_cores(), size // _PIECE)
    borders = {0, size}
    with open_bytes(path) as stream:
        if isinstance(stream, io.FileIO):  # what is compressed has one piece
            for number in range(1, pieces):
                stream.seek(number * size // pieces)
                if end := (stream.read(1 << 16) or b"").find(b"\n") + 1:
                    borders.add(number * size // pieces + end)
    return sorted(borders)


def _scan(path: Path, separator: str, columns: int, start: int = 0, end: int | None = None) -> _Scan:
    """What is known of a piece of a file, to its end where none is given.

    Raises:
        _Irregular: There is something in it that readers do not agree on.
    """
    size = path.stat().st_size
    scan = _Scan(separator, columns, LinePlaces(start, size), exact=size < _PIECE)
    with open_bytes(path) as stream:
        if start:
            stream.seek(start)
        for buffer, filled in line_blocks(stream, None if end is None else end - start):
            scan.add(buffer, filled)
    scan.end()
    return scan


class _Scan:
    """What is known of a file, or of a piece of it that begins with a row, after some of its blocks.

    Args:
        separator: Between cells.
        columns: Cells of each row.
        lines: Takes the places of lines; it knows where in the file the piece begins.
        exact: Count the cells of each row also where there are no quotes, and not of each block of rows only.

    Attributes:
        rows: Rows that ended, with the header.
        quotes: Whether there is a quote.
        lines: Where some lines begin, of no use with quotes.
    """

    def __init__(self, separator: str, columns: int, lines: LinePlaces, *, exact: bool) -> None:
        self.rows = 0
        self.quotes = False
        self.lines = lines
        self._separator = ord(separator)
        self._columns = columns
        self._begins = lines.end == 0
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
        self.lines.end += start
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

        ends = line_feeds(block)
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
        self.lines.add(ends, block.size)

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
        self.lines.add(ends, block.size)
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
