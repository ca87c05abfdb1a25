"""Operations that change the order of rows, or keep some of them whatever their cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.datasets.operations.base import Context, Operation, Phase, Split, count, split_by

if TYPE_CHECKING:
    import polars as pl


def sort_rows(frame: pl.LazyFrame, column: str, *, descending: bool) -> pl.LazyFrame:
    """Sort by number when every filled cell is one, else by text; empty cells come last."""
    import polars as pl

    from tools.table import numeric

    key = pl.col(column)
    dtype = frame.collect_schema()[column]
    if dtype == pl.String:
        filled = ~key.str.strip_chars().str.to_lowercase().is_in(["", "nan"])  # null where the cell is
        words = (filled & numeric(column).is_null()).any()
        if not frame.select(words).collect(engine="streaming").item():
            key = numeric(column)
    elif dtype.is_float():
        key = key.fill_nan(None)
    return frame.sort(key, descending=descending, nulls_last=True, maintain_order=True)


def _descending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return sort_rows(frame, column, descending=True)


def _ascending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return sort_rows(frame, column, descending=False)


def _shuffle(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    import numpy as np

    table = frame.collect(engine="streaming")
    return table[np.random.RandomState(context.seed).permutation(table.height)].lazy()


def _sample(frame: pl.LazyFrame, number: int, context: Context) -> Split:
    """Rows at random, in their order; with --per-source the sources take turns until there are enough."""
    import numpy as np
    import polars as pl

    from tools.table.source_videos import source_video

    table = frame.collect(engine="streaming")
    rank = np.random.RandomState(context.seed).permutation(table.height)
    if context.per_source:
        sources = table.select(source_video(table.columns).alias("source"), rank=pl.Series(rank))
        turn = sources.select(pl.col("rank").rank().over("source")).to_series().to_numpy()
        rank = np.lexsort((rank, turn)).argsort()
        rank[turn > context.per_source] = table.height
    keep = pl.Series(rank < min(number, table.height))
    return Split(table.filter(keep).lazy(), table.filter(~keep).lazy())


def _head(frame: pl.LazyFrame, number: int, context: Context) -> Split:
    import polars as pl

    return Split(frame.head(number), split_by(frame, pl.int_range(pl.len()) < number).removed)


OPERATIONS = (
    Operation(
        "sort",
        "sort by a column, largest first",
        _descending,
        Phase.SORTING,
        "_sort",
        parse=str,
        metavar="COLUMN",
        requires=lambda c: [c],
        takes_lists=True,
    ),
    Operation(
        "sort_ascending",
        "sort by a column, smallest first",
        _ascending,
        Phase.SORTING,
        "_sort",
        parse=str,
        metavar="COLUMN",
        requires=lambda c: [c],
        everyday=False,
        takes_lists=True,
    ),
    Operation(
        "shuffle",
        "shuffle the rows, see --seed",
        _shuffle,
        Phase.CHOICE,
        "_shuffled_seed{}",
    ),
    Operation(
        "sample",
        "keep N random rows",
        _sample,
        Phase.CHOICE,
        "_sample{}",
        parse=count,
        metavar="N",
        details="with --per-source K at most K of one source video, and evenly of all",
    ),
    Operation(
        "head",
        "keep the first N rows",
        _head,
        Phase.CHOICE,
        "_first_{}_data",
        parse=count,
        metavar="N",
    ),
)
