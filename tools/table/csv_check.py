"""Decide in one quick pass whether Polars can be trusted with a CSV; the pass also counts its rows.

Polars loses rows and quotes without a word where a quote stands in an unquoted cell
(https://github.com/pola-rs/polars/issues/21519, 10575), takes blank lines for rows, and leaves carriage
returns that end rows in the cells. Such files are read by Python's csv module, or refused: see
`tools.table.csv_rows`.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.table.csv_rows import corrected_csv, csv_header
from tools.table.opening import encoding, line_blocks, open_bytes

if TYPE_CHECKING:
    import numpy as np

_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")


@dataclass(frozen=True)
class CheckedCsv:
    """A CSV that has been looked through.

    Attributes:
        names: Names of its columns.
        rows: Number of its rows.
        source: What Polars is to read: the file, or a corrected copy.
        separator: What stands between cells.
    """

    names: list[str]
    rows: int
    source: Path | bytes
    separator: str


def check_csv(path: Path, separator: str = ",") -> CheckedCsv:
    """Look through a CSV, and correct what would be read wrongly.

    Args:
        path: The table, perhaps compressed.
        separator: What stands between cells.

    Raises:
        UserError: The table is refused; see `tools.table.csv_rows.csv_rows`.
        OSError: It cannot be read.
    """
    names = csv_header(path, separator)
    rows = _count_if_regular(path, separator, len(names))
    if rows is not None:
        return CheckedCsv(names, rows, path, separator)
    source, rows = corrected_csv(path, separator)
    return CheckedCsv(names, rows, source, separator)


class _Irregular(Exception):
    """Something stands in the file that readers do not agree on."""


def _count_if_regular(path: Path, separator: str, columns: int) -> int | None:
    """Rows of a file that is UTF-8 and whose rows, cells and quotes are beyond doubt; None for any other."""
    if encoding(path) != "utf-8-sig":
        return None
    scan = _Scan(separator)
    with open_bytes(path) as stream:
        try:
            for buffer, size in line_blocks(stream):
                scan.add(buffer, size)
            rows = scan.end()
        except _Irregular:
            return None
    # As many separators as full rows have: no row is too short or too long (or Polars will complain).
    return rows - 1 if scan.separators == rows * (columns - 1) else None


class _Scan:
    """What is known of a file after some of its blocks.

    Attributes:
        separators: Separators outside quotes.
    """

    def __init__(self, separator: str) -> None:
        self.separators = 0
        self._separator = ord(separator)
        self._lines = 0  # that ended outside quotes
        self._inside = False  # a quoted cell goes on into the next block
        self._line_is_open = False
        self._begun = False

    def add(self, buffer: bytearray, size: int) -> None:
        """Take the next block.

        Raises:
            _Irregular: There is something in it that readers do not agree on.
        """
        import numpy as np

        start = 3 if not self._begun and buffer.startswith(codecs.BOM_UTF8) else 0
        self._begun = True
        block = np.frombuffer(buffer, np.uint8, size)[start:]
        if not block.size or block.min() == 0:
            raise _Irregular
        if block.max() > 127 and not _is_utf8(buffer, size):
            raise _Irregular
        returns = buffer.find(b"\r", 0, size) >= 0
        if self._inside or buffer.find(b'"', 0, size) >= 0:
            self._add_quoted(block, returns)
        else:
            self._add_plain(block, returns)
        self._line_is_open = block[-1] != _LF

    def end(self) -> int:
        """Rows of the file, with the header."""
        if self._inside:
            raise _Irregular
        return self._lines + self._line_is_open

    def _add_plain(self, block: np.ndarray, returns: bool) -> None:
        """A block that begins outside quotes and has none."""
        import numpy as np

        ends = block == _LF
        if block[0] == _LF or (ends[1:] & ends[:-1]).any():
            raise _Irregular  # a blank line
        if returns:
            _check_returns(block, np.flatnonzero(block == _CR))
        self._lines += np.count_nonzero(ends)
        self.separators += np.count_nonzero(block == self._separator)

    def _add_quoted(self, block: np.ndarray, returns: bool) -> None:
        """A block with quotes in it, or around it."""
        import numpy as np

        quotes = np.flatnonzero(block == _QUOTE)
        inside = int(self._inside)
        opening, closing = quotes[inside::2], quotes[1 - inside :: 2]
        self._inside = bool((len(quotes) + inside) % 2)
        before = block[opening - 1]
        if len(opening) and opening[0] == 0:
            before[0] = _LF
        after = block[np.minimum(closing + 1, block.size - 1)]
        if len(closing) and closing[-1] == block.size - 1:
            after[-1] = _LF
        again = before == _QUOTE  # the second of two quotes in a quoted cell: it never was closed
        if not (again | (before == self._separator) | (before == _LF)).all():
            raise _Irregular
        if not ((after == _QUOTE) | (after == self._separator) | (after == _LF) | (after == _CR)).all():
            raise _Irregular
        # A bound is where the outside begins or ends: the true ends and beginnings of quoted cells.
        cells = np.concatenate([closing[after != _QUOTE], opening[~again]])
        cells.sort()
        ends = np.flatnonzero(block == _LF)
        ends = ends[_outside(ends, cells, inside)]
        if len(ends) and (ends[0] == 0 or (np.diff(ends) == 1).any()):
            raise _Irregular
        if returns:
            places = np.flatnonzero(block == _CR)
            _check_returns(block, places[_outside(places, cells, inside)])
        self._lines += len(ends)
        separators = np.flatnonzero(block == self._separator)
        self.separators += _count_outside(separators, cells, inside)


def _outside(places: np.ndarray, bounds: np.ndarray, inside: int) -> np.ndarray:
    """Which of some places stand outside quotes; bounds are those of quoted cells, in order."""
    import numpy as np

    return (np.searchsorted(bounds, places) + inside) % 2 == 0


def _count_outside(places: np.ndarray, bounds: np.ndarray, inside: int) -> int:
    """How many of some places stand outside quotes."""
    import numpy as np

    before = np.searchsorted(places, bounds)  # places before each bound
    steps = np.diff(before, prepend=0, append=len(places))
    return int(steps[inside::2].sum())


def _check_returns(block: np.ndarray, places: np.ndarray) -> None:
    """Check that carriage returns outside quotes end lines that are not blank."""
    if not len(places):
        return
    if places[-1] == block.size - 1 or (block[places + 1] != _LF).any():
        raise _Irregular
    if places[0] == 0 or (block[places - 1] == _LF).any():
        raise _Irregular


def _is_utf8(buffer: bytearray, size: int) -> bool:
    import polars as pl

    # Polars checks in steps of a vector; Python's decoder would take several times as long.
    try:
        pl.Series([bytes(memoryview(buffer)[:size])], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True
