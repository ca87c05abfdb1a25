"""The rows and cells in which two tables differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tools.columns import COLUMNS
from tools.errors import UserError
from tools.table import expand_inputs
from tools.table.files import unreadable
from tools.table.formats.types import lists_as_text
from tools.table.merge import merge_tables

KEYS = ("path", "id", "relpath")
"""Columns by which rows are matched; the first that both tables have."""

_ROW = "\0row"
_PLACE = "\0place"


@dataclass(frozen=True)
class ColumnChange:
    """Cells of one column that differ.

    Attributes:
        name: The column.
        changed: How many cells differ, those of the next two included.
        filled: Empty in the first table alone.
        emptied: Empty in the second table alone.
        largest: Largest difference of two numbers; None where there are no numbers.
        cells: Columns ``key``, ``a``, ``b``, as text: every cell that differs, in the first table's order.
    """

    name: str
    changed: int
    filled: int
    emptied: int
    largest: float | None
    cells: pl.DataFrame


@dataclass(frozen=True)
class Difference:
    """Two tables compared.

    Attributes:
        key: The column by which rows were matched; "" for their place.
        rows: Rows of each table.
        only: Keys of rows that the other table lacks, of each table, in its order.
        moved: Whether rows that both have are in another order.
        columns_only: Columns that the other table lacks, of each table.
        changes: Columns of both tables that have cells that differ, in the order of the first table.
    """

    key: str
    rows: tuple[int, int]
    only: tuple[list[str], list[str]]
    moved: bool
    columns_only: tuple[list[str], list[str]]
    changes: list[ColumnChange] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the tables hold the same."""
        return not (any(self.only) or any(self.columns_only) or self.moved or self.changes)


def read_whole(table: str) -> tuple[pl.DataFrame, list[Path]]:
    """A table in memory, one in parts merged, and its files.

    Raises:
        UserError: It cannot be read.
    """
    files = expand_inputs([table])
    try:
        return merge_tables(files).collect(), files
    except pl.exceptions.PolarsError as error:
        raise unreadable(table, error) from None


def compare(
    a: pl.DataFrame,
    b: pl.DataFrame,
    *,
    key: str | None = None,
    columns: Sequence[str] | None = None,
    tolerance: float = 0.0,
) -> Difference:
    """Compare two tables.

    Rows are matched by a column; of rows with the same cell in it the first with the first, and so on. Cells
    are compared as numbers where both columns hold numbers alone, also as text (so 1 is 1.0), else as what
    they are, else as text. Two empty cells are equal, and so are two NaN.

    Args:
        a: The first table.
        b: The second.
        key: The column; None for the first of `KEYS` that both have, and the place of the row if there is
            none.
        columns: Compare these alone.
        tolerance: Numbers that differ by no more are equal.

    Raises:
        UserError: A column is in neither table, or the key not in both.
    """
    key = _key(a, b, key)
    if unknown := [name for name in columns or () if name not in a.columns and name not in b.columns]:
        raise UserError(f"{unknown[0]!r} is a column of neither table")
    wanted = [name for name in a.columns if name in b.columns and name != key]
    only = [[n for n in one.columns if n not in other.columns] for one, other in ((a, b), (b, a))]
    if columns:
        wanted = [name for name in wanted if name in columns]
        only = [[name for name in names if name in columns] for names in only]
    keys_a, keys_b = _keys(a, key), _keys(b, key)
    both = keys_a.join(keys_b, on=["key", _PLACE], how="inner", suffix="_b", maintain_order="left")
    rows_a, rows_b = both[_ROW], both[f"{_ROW}_b"]
    found = Difference(
        key,
        (a.height, b.height),
        (_missing(keys_a, rows_a), _missing(keys_b, rows_b)),
        not rows_b.is_sorted(),
        (only[0], only[1]),
    )
    for name in wanted:
        pair = _same_type(a[name].gather(rows_a), b[name].gather(rows_b))
        change = _change(name, *pair, both, tolerance)
        if change is not None:
            found.changes.append(change)
    return found


def _key(a: pl.DataFrame, b: pl.DataFrame, key: str | None) -> str:
    if key is None:
        return next((name for name in KEYS if name in a.columns and name in b.columns), "")
    if key not in a.columns or key not in b.columns:
        raise UserError(f"--by {key}: is no column of both tables")
    return key


def _keys(table: pl.DataFrame, key: str) -> pl.DataFrame:
    """The key of each row as text, which of equal ones it is, and its number."""
    text = _text(table[key]) if key else pl.int_range(table.height, eager=True).cast(pl.String)
    rows = pl.DataFrame({"key": text.fill_null("")}).with_row_index(_ROW)
    return rows.with_columns(pl.int_range(pl.len()).over("key").alias(_PLACE))


def _missing(keys: pl.DataFrame, matched: pl.Series) -> list[str]:
    return keys.filter(~pl.col(_ROW).is_in(matched.implode()))["key"].to_list()


def _same_type(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Cells that can be compared with one another."""
    a, b = _number(a), _number(b)
    if a.dtype.is_numeric() and b.dtype.is_numeric():
        whole = a.dtype.is_integer() and b.dtype.is_integer()
        # As text, a Float32 has the digits that tell it from its neighbours, not those of a Float64.
        kind = pl.Int128 if whole else pl.Float32 if pl.Float32 in (a.dtype, b.dtype) else pl.Float64
        return a.cast(kind), b.cast(kind)
    if pl.Boolean in (a.dtype, b.dtype) or COLUMNS.get(a.name, COLUMNS["path"]).kind == "Boolean":
        return _text(a).str.to_lowercase(), _text(b).str.to_lowercase()  # pandas writes True
    return (a, b) if a.dtype == b.dtype and not a.dtype.is_nested() else (_text(a), _text(b))


def _number(cells: pl.Series) -> pl.Series:
    """Cells of a CSV, which are text, as numbers if all are; "007" is none."""
    if cells.dtype == pl.Null:
        return cells.cast(pl.Int64)
    if cells.dtype != pl.String or cells.str.contains(r"^-?0\d").any():
        return cells
    for kind in (pl.Int64, pl.Float64):
        numbers = cells.cast(kind, strict=False)
        if numbers.null_count() == cells.null_count():
            return numbers
    return cells


def _text(cells: pl.Series) -> pl.Series:
    """Cells as a CSV has them: lists and records as JSON."""
    if cells.dtype.is_nested():
        cells = lists_as_text(cells.to_frame().lazy(), [cells.name]).collect()[cells.name]
    return cells.cast(pl.String)


def _change(
    name: str, a: pl.Series, b: pl.Series, rows: pl.DataFrame, tolerance: float
) -> ColumnChange | None:
    cells = pl.DataFrame({"key": rows["key"], "a": a, "b": b})
    differs = pl.col("a").ne_missing(pl.col("b"))
    largest = None
    if a.dtype.is_numeric():
        gap = (pl.col("a").cast(pl.Float64) - pl.col("b").cast(pl.Float64)).abs()
        if tolerance:
            differs &= ~(gap <= tolerance).fill_null(False)
        largest = cells.filter(differs).select(gap.fill_nan(None).max()).item()
    found = cells.filter(differs)
    if not found.height:
        return None
    filled, emptied = found["a"].null_count(), found["b"].null_count()
    as_text = found.with_columns(pl.col("a", "b").cast(pl.String))
    return ColumnChange(name, found.height, filled, emptied, largest, as_text)
