"""Order the rows of a table that may be larger than memory: an external sort.

Rows are streamed into memory until a limit, and then written to temporary files, a file for each range of the
key; later each range is read, sorted and passed on, one after the other. Ranges are bounded by keys from a
sample. A key that is so frequent that it is a bound has a range of its own, whose rows need no sorting, so
that a column of few values takes no more memory than any other. Equal keys stay in their order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from tools.table.row_files import RowFiles, asked_for, batches_of

_BUFFER = 1 << 26  # bytes of rows that are held, at least
_LARGEST_BUFFER = 1 << 30  # and at most, so that there are few files
_RANGES = 64
_SAMPLED = 64  # one row of so many
_KEY = "key\0"


def sample_of(batches: Iterator[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """Every 64th row of a table, and how many rows there are."""
    parts: list[pl.DataFrame] = []
    rows = 0
    for batch in batches:
        if (taken := batch[-rows % _SAMPLED :: _SAMPLED]).height or not parts:
            parts.append(taken)
        rows += batch.height
    return pl.concat(parts), rows


def external_sort(
    frame: pl.LazyFrame, key: pl.Expr, sample: pl.Series, rows: int, folder: Path, *, descending: bool = False
) -> pl.LazyFrame:
    """Sort a table by a number or a text; empty keys come last, and equal ones stay in their order.

    Args:
        frame: The table.
        key: What to sort by, computed from one row at a time.
        sample: Keys of some of the rows.
        rows: How many rows there are.
        folder: Where temporary files may be; of a large table they take about as much room as it does as
            Parquet. They are removed when the process ends.
        descending: Largest key first.

    Returns:
        The sorted table. It has been read when this returns, if it is larger than the limit.

    Raises:
        PolarsError: The table cannot be read.
        DiskError: There is no room for the temporary files.
    """
    done = _held_or_filed(frame, key, sample, rows, folder, descending)
    if isinstance(done, pl.DataFrame):
        return done.lazy()
    return register_io_source(done.read, schema=frame.collect_schema(), is_pure=True)


def _held_or_filed(
    frame: pl.LazyFrame, key: pl.Expr, sample: pl.Series, rows: int, folder: Path, descending: bool
) -> pl.DataFrame | _Ranges:
    """The sorted table, or, if it is large, its ranges. Arguments as of `external_sort`."""
    ranges: _Ranges | None = None
    held: list[pl.DataFrame] = []
    size = done = 0
    limit = _BUFFER
    for batch in batches_of(frame.with_columns(key.alias(_KEY))):
        held.append(batch)
        size += int(batch.estimated_size())
        done += batch.height
        if size < limit:
            continue
        if ranges is None:
            limit = min(max(_BUFFER, size * rows // done // _RANGES), _LARGEST_BUFFER)
            if size < limit:
                continue
            ranges = _Ranges(folder, _bounds(sample, size * rows // done // limit), descending=descending)
        ranges.add(pl.concat(held))
        held, size = [], 0
    if ranges is None:
        table = pl.concat(held)
        del held
        return _sorted(table, descending).drop(_KEY)
    if held:
        ranges.add(pl.concat(held))
    return ranges


def _sorted(table: pl.DataFrame, descending: bool) -> pl.DataFrame:
    return table.sort(_KEY, descending=descending, nulls_last=True, maintain_order=True)


def _bounds(sample: pl.Series, parts: int) -> pl.Series:
    """Keys that divide a table into so many parts, and a few more, of about equal size; each key once."""
    keys = sample.drop_nulls().sort()
    parts = min(parts + 2, keys.len() + 1)
    return keys.gather([number * keys.len() // parts for number in range(1, parts)]).unique().sort()


def sorted_by_number(
    frame: pl.LazyFrame, column: str, low: int, high: int, rows: int, folder: Path
) -> pl.LazyFrame:
    """Sort a table by a column of whole numbers that it loses; nothing is read before the result is.

    Args:
        frame: The table.
        column: Whole numbers, also as text.
        low: The smallest.
        high: The largest.
        rows: How many rows there are.
        folder: As of `external_sort`.

    Returns:
        The sorted table, whose errors are those of `external_sort`. It is sorted once.
    """
    sample = pl.int_range(low, high + 1, max((high - low) // 1000, 1), dtype=pl.Int64, eager=True)
    schema = {name: dtype for name, dtype in frame.collect_schema().items() if name != column}
    key = pl.col(column).cast(pl.Int64)
    lock = threading.Lock()
    done: list[pl.DataFrame | _Ranges] = []

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, head: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        with lock:
            if not done:
                done.append(_held_or_filed(frame, key, sample, rows, folder, descending=False))
        wanted = list(schema) if columns is None else columns
        if isinstance(done[0], pl.DataFrame):
            return asked_for(iter([done[0].select(wanted)]), predicate, head)
        return done[0].read(wanted, predicate, head, size)

    return register_io_source(read, schema=schema, is_pure=True)


class _Ranges:
    """Rows in files by the range of their key: 2 i for those between two bounds, 2 i + 1 for a bound itself.

    Args:
        folder: Where a temporary folder may be.
        bounds: Keys, sorted.
        descending: Largest key first.
    """

    def __init__(self, folder: Path, bounds: pl.Series, *, descending: bool) -> None:
        self._bounds = bounds
        self._descending = descending
        self._rows = RowFiles(folder)
        self._empty = 2 * bounds.len() + 1  # the range of rows without a key

    def add(self, table: pl.DataFrame) -> None:
        """Write further rows."""
        keys = table[_KEY]
        left, right = (self._bounds.search_sorted(keys, side=side) for side in ("left", "right"))
        self._rows.write(table, pl.when(keys.is_null()).then(self._empty).otherwise(left + right))

    def read(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        """The sorted rows, range by range, as Polars asks for them."""
        names = None if columns is None else [*columns, _KEY]
        pieces = (piece for number in self._in_order() for piece in self._range(number, names))
        wanted = (piece.drop(_KEY) if columns is None else piece.select(columns) for piece in pieces)
        return asked_for(wanted, predicate, rows)

    def _in_order(self) -> list[int]:
        filled = [number for number in self._rows.groups if number != self._empty]
        return [*sorted(filled, reverse=self._descending), self._empty]

    def _range(self, number: int, columns: list[str] | None) -> Iterator[pl.DataFrame]:
        """The rows of one range; those that all have one key file by file."""
        parts = self._rows.read(number, columns)
        if number % 2:
            yield from parts
        else:
            yield _sorted(pl.concat(parts), self._descending)
