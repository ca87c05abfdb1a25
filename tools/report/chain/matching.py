"""Which rows of a table are still in the one that was made from it.

Rows are compared by 64-bit hashes of their cells: of a million rows 8 MB a column. Two different cells among
a million have the same hash with a probability of 3e-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from tools.report.rows import seconds
from tools.table.files import unreadable

PAIRS: tuple[tuple[str, str], ...] = (
    ("path", "path"),
    ("source", "path"),
    ("original_path", "path"),
    ("id", "id"),
)
"""Column of a table, and column of the table before it, by which rows are matched; the first that fits."""

_EMPTY = np.uint64(0)


@dataclass(frozen=True)
class Keys:
    """What rows are matched by.

    Attributes:
        rows: Number of rows.
        hashes: Column to the hash of each cell, uint64 [rows]; 0 where the cell is empty.
        seconds: Length of each row, float64 [rows]; NaN where it is not known.
    """

    rows: int
    hashes: Mapping[str, np.ndarray]
    seconds: np.ndarray


@dataclass(frozen=True)
class Match:
    """Rows of two tables, matched.

    Attributes:
        column: Column of the later table.
        before: Column of the earlier table.
        lost: Of each row of the earlier table, whether the later one lacks it, bool [rows].
        new: How many rows of the later table the earlier one lacks.
    """

    column: str
    before: str
    lost: np.ndarray
    new: int

    @property
    def kept(self) -> int:
        """How many rows of the earlier table the later one has, or has something of."""
        return len(self.lost) - int(np.count_nonzero(self.lost))


def read_keys(frame: pl.LazyFrame, source: str) -> Keys:
    """Read hashes and lengths of all rows of a table.

    Args:
        frame: The table; it is read once, in a stream.
        source: What it is called in error messages.

    Raises:
        UserError: It cannot be read.
    """
    schema = frame.collect_schema()
    names = dict.fromkeys(name for name, _ in PAIRS)
    present = [name for name in names if name in schema and not schema[name].is_nested()]
    row = "\0row"  # so that there is a row for each, also where no column is read
    wanted = [
        pl.col(row),
        *(hashed(name).alias(name) for name in present),
        seconds(schema).alias("\0seconds"),
    ]
    try:
        read = frame.with_row_index(row).select(wanted).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    hashes = {name: read.drop_in_place(name).fill_null(0).to_numpy() for name in present}
    lengths = read.drop_in_place("\0seconds").fill_null(float("nan")).to_numpy()
    return Keys(read.height, hashes, lengths)


def hashed(name: str) -> pl.Expr:
    """The hash of each cell as text; null where it is empty."""
    cell = pl.col(name).cast(pl.String)
    return pl.when(cell.str.len_bytes() > 0).then(cell.hash())


def match(before: Keys, after: Keys) -> Match | None:
    """Match the rows of a table with those of the table it was made from.

    The first of `PAIRS` counts that at least half of the smaller table agrees in; if none does, the one in
    which most rows agree.

    Args:
        before: Keys of the earlier table.
        after: Keys of the later one.

    Returns:
        The rows that went and came; None where the tables have nothing in common.
    """
    pairs = pairs_of(before, after)
    if pairs and not (before.rows and after.rows):
        return Match(*pairs[0], np.ones(before.rows, bool), after.rows)
    best, most = None, 0
    for column, earlier in pairs:
        hashes = after.hashes[column]
        found = _is_in(hashes, before.hashes[earlier]) & (hashes != _EMPTY)
        agreeing = int(np.count_nonzero(found))
        if agreeing > most:
            best, most = (column, earlier), agreeing
        if agreeing and 2 * agreeing >= min(before.rows, after.rows):
            break
    if best is None:
        return None
    column, earlier = best
    if column == earlier:
        lost, new = _one_to_one(before.hashes[earlier], after.hashes[column])
    else:
        lost, new = _one_to_many(before.hashes[earlier], after.hashes[column])
    return Match(column, earlier, lost, new)


def pairs_of(before: Keys, after: Keys) -> list[tuple[str, str]]:
    """Those of `PAIRS` whose columns the two tables have."""
    return [(name, other) for name, other in PAIRS if name in after.hashes and other in before.hashes]


def _one_to_one(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, int]:
    """Of a cell that is n times there before and m times after, the first m rows are kept."""
    counted = np.sort(after)
    kept = np.searchsorted(counted, before, side="right") - np.searchsorted(counted, before, side="left")
    lost = occurrence(before) >= kept
    return lost, len(after) - int(len(before) - np.count_nonzero(lost))


def _one_to_many(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, int]:
    lost = ~_is_in(before, after) | (before == _EMPTY)
    return lost, int(np.count_nonzero(~_is_in(after, before) | (after == _EMPTY)))


def occurrence(hashes: np.ndarray) -> np.ndarray:
    """How many earlier rows have the same hash, int64 [rows]."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(ordered)), 0))
    place = np.empty(len(ordered), np.int64)
    place[order] = np.arange(len(ordered)) - first
    return place


def _is_in(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    return pl.Series(hashes).is_in(pl.Series(others).unique().implode()).to_numpy()
