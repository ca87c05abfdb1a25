"""Operations that change the order of rows, or take some from the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.datasets.operations.base import Context, Operation

if TYPE_CHECKING:
    import polars as pl


def _sort(frame: pl.LazyFrame, column: str, context: Context, *, descending: bool) -> pl.LazyFrame:
    """Sort by number when every filled cell is one, else by text; empty cells come last."""
    import polars as pl

    from tools.table import numeric, require_columns

    require_columns(frame, (column,), f"{context.source}: --sort")
    key = pl.col(column)
    if frame.collect_schema()[column] == pl.String:
        filled = ~key.str.strip_chars().str.to_lowercase().is_in(["", "nan"])  # null where the cell is
        words = (filled & numeric(column).is_null()).any()
        if not frame.select(words).collect(engine="streaming").item():
            key = numeric(column)
    return frame.sort(key, descending=descending, nulls_last=True, maintain_order=True)


def _descending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return _sort(frame, column, context, descending=True)


def _ascending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return _sort(frame, column, context, descending=False)


def _shuffle(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    import numpy as np

    table = frame.collect()
    return table[np.random.RandomState(context.seed).permutation(table.height)].lazy()


def _head(frame: pl.LazyFrame, count: int, context: Context) -> pl.LazyFrame:
    return frame.head(count)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ValueError(text)
    return int(text)


OPERATIONS = (
    Operation("sort", "sort by a column, largest first", _descending, "_sort", str, "COLUMN"),
    Operation("sort_ascending", "sort by a column, smallest first", _ascending, "_sort", str, "COLUMN"),
    Operation("shuffle", "put the rows into random order, see --seed", _shuffle, "_shuffled_seed{}"),
    Operation("head", "keep the first N rows", _head, "_first_{}_data", _count, "N"),
)
