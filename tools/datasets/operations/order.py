"""Operations that change the order of rows, or keep some of them whatever their cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools.datasets.operations.base import (
    Context,
    Operation,
    Phase,
    Split,
    count,
    split_by,
    split_rows,
)

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


def sort_rows(
    frame: pl.LazyFrame, column: str, *, descending: bool, scratch: Path | None = None
) -> pl.LazyFrame:
    """Sort by number when every filled cell is one, else by text; empty cells come last.

    Whole numbers of 64 bits are compared exactly, others as Float64.

    Args:
        frame: The table; it may be larger than memory if the column has texts or numbers.
        column: What to sort by.
        descending: Largest first.
        scratch: Folder for temporary files; None for that of the system.
    """
    import polars as pl

    from tools.table.external_sort import external_sort, sample_of
    from tools.table.row_files import batches_of, scratch_folder

    key = pl.col(column)
    dtype = frame.collect_schema()[column]
    if is_text := dtype == pl.String or dtype.base_type() in (pl.Categorical, pl.Enum):
        key = key.cast(pl.String)  # a CSV knows nothing of the order of categories
    elif dtype.is_float():
        key = key.fill_nan(None)
    elif not dtype.is_integer():
        return frame.sort(key, descending=descending, nulls_last=True, maintain_order=True)
    kinds = (
        [key.cast(pl.Int64, strict=False), key.cast(pl.Float64, strict=False).fill_nan(None)]
        if is_text
        else []
    )

    def looked_at(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for batch in batches:
            while kinds and batch.select(_others(column, kinds[0])).item():
                del kinds[0]
            yield batch

    sample, rows = sample_of(looked_at(batches_of(frame.select(key))))
    if kinds:
        key = kinds[0]
    keys = sample.select(key).to_series()
    return external_sort(frame, key, keys, rows, scratch_folder(scratch), descending=descending)


def _others(column: str, numbers: pl.Expr) -> pl.Expr:
    """Whether a filled cell of a column of text is none of some numbers, as which it was cast."""
    import polars as pl

    filled = ~pl.col(column).str.strip_chars().str.to_lowercase().is_in(["", "nan"])  # null where the cell is
    return (filled & numbers.is_null()).any()


def _descending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return sort_rows(frame, column, descending=True, scratch=context.scratch)


def _ascending(frame: pl.LazyFrame, column: str, context: Context) -> pl.LazyFrame:
    return sort_rows(frame, column, descending=False, scratch=context.scratch)


def _rows_of(frame: pl.LazyFrame, context: Context) -> int:
    import polars as pl

    from tools.table import count_rows

    if context.table is not None and context.table[0] is frame:
        return count_rows(context.table[1])  # known already, most often
    return frame.select(pl.len()).collect(engine="streaming").item()


def _shuffle(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    import numpy as np
    import polars as pl

    from tools.table.external_sort import external_sort
    from tools.table.row_files import ROW, of_rows

    rows = _rows_of(frame, context)
    order = np.random.RandomState(context.seed).permutation(rows)
    place = np.empty(rows, np.uint32)
    place[order] = np.arange(rows, dtype=np.uint32)
    del order
    sample = pl.Series(np.linspace(0, rows, 1000, dtype=np.uint32))
    numbered = frame.with_row_index(ROW)
    return external_sort(numbered, of_rows(place, pl.UInt32), sample, rows, context.scratch_folder).drop(ROW)


def _sample(frame: pl.LazyFrame, number: int, context: Context) -> Split:
    """Rows at random, in their order; with --per-source the sources take turns until there are enough."""
    import numpy as np

    from tools.table import pick_rows
    from tools.table.external_join import key_numbers
    from tools.table.source_videos import source_video

    rows = _rows_of(frame, context)
    rank = np.random.RandomState(context.seed).permutation(rows)
    if context.per_source:
        sources = key_numbers(frame, source_video(frame.collect_schema()), context.scratch_folder)
        turn = _turns(sources, rank)
        del sources
        order = np.lexsort((rank, turn))
        rank[order] = np.arange(rows)
        rank[turn > context.per_source] = rows
    keep = rank < min(number, rows)
    kept, removed = split_rows(frame, keep)
    if context.table is not None and context.table[0] is frame:
        picked = pick_rows(context.table[1], keep, number / max(rows, 1))
        kept = kept if picked is None else picked
    return Split(kept, removed)


def _turns(groups: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Which of its group each row is by its rank, from 1 on."""
    import numpy as np

    order = np.lexsort((rank, groups))
    ordered = groups[order]
    turn = np.empty(rank.size, np.int32)
    turn[order] = np.arange(1, rank.size + 1) - np.searchsorted(ordered, ordered)
    return turn


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
