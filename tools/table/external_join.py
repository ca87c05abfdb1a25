"""Match rows by a text that all of them have, where neither table needs to fit into memory.

Rows are dealt to files by the hash of their key (a Grace hash join), so that equal keys are in files of the
same number, and one such group after the other is held in memory. What is found is kept by the number of the
row: results are in the order of the first table, and the same as those of a join in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
from polars.io.plugins import register_io_source

from tools.table.row_files import (
    BUFFER,
    LARGEST_BUFFER,
    ROW,
    RowFiles,
    asked_for,
    batches_of,
    pieces_of,
    rows_where,
)

if TYPE_CHECKING:
    import numpy as np

FOUND = "found\0"
"""Whether the other table has the key of a row, in `join_rows`; null where it has not."""
_KEY = "key\0"
_OTHER = "other\0"  # the number of a row of the other table
_GROUPS = 64
_GROUP = pl.col(_KEY).hash() % _GROUPS
_LEAST = 50_000  # rows
_Keep = Literal["first", "last"]


def first_rows(frame: pl.LazyFrame, column: str, folder: Path) -> np.ndarray:
    """For each row whether it is the first with its text; one without a text is like no other, and first.

    Args:
        frame: The table. It is read once.
        column: A column of text.
        folder: Where temporary files may be.

    Returns:
        Boolean (rows).

    Raises:
        PolarsError: The table cannot be read.
        DiskError: There is no room for the temporary files.
    """
    import numpy as np

    files: RowFiles | None = None
    first: list[np.ndarray] = []
    keyed = frame.select(pl.col(column).alias(_KEY)).with_row_index(ROW)
    for piece in pieces_of(keyed, BUFFER):
        new = piece.select(pl.col(_KEY).is_first_distinct() & pl.col(_KEY).is_not_null()).to_series()
        first.append((new | piece[_KEY].is_null()).to_numpy())
        if files is None and len(first) == 1:
            held = piece.filter(new)
            continue
        if files is None:
            files = RowFiles(folder)
            files.add(held, _GROUP)
            del held
        files.add(piece.filter(new), _GROUP)
    found = np.concatenate(first)
    if files is not None:
        for group in files.groups:
            rows = pl.concat(files.read(group))
            found[rows.filter(~pl.col(_KEY).is_first_distinct())[ROW].to_numpy()] = False
    return found


def key_numbers(frame: pl.LazyFrame, key: pl.Expr, folder: Path) -> np.ndarray:
    """A number for each row, the same for equal texts and for no others; 0 where there is none.

    Args:
        frame: The table. It is read once.
        key: A text, computed from one row at a time.
        folder: Where temporary files may be.

    Returns:
        int32 (rows), from 0 on.

    Raises:
        As `first_rows`.
    """
    import numpy as np

    files, rows = _filed(frame.select(key.alias(_KEY)), folder)
    numbers = np.zeros(rows, np.int32)
    last = 0
    for group in files.groups:
        table = pl.concat(files.read(group))
        found = table[_KEY].rank("dense").fill_null(0).to_numpy().astype(np.int32)
        numbers[table[ROW].to_numpy()] = np.where(found, found + last, 0)
        last += int(found.max())
    return numbers


def rows_in(frame: pl.LazyFrame, other: pl.LazyFrame, column: str, folder: Path) -> np.ndarray | pl.DataFrame:
    """For each row whether another table has its value.

    Args:
        frame: The table.
        column: A column of both; if it is no text, the keys of the other table have to fit into memory.
        other: The other table.
        folder: Where temporary files may be.

    Returns:
        Boolean (rows), False where there is no value; or else the values of the other table as a table of
        ``column`` if they fit into memory. The first table has not been read then.

    Raises:
        As `first_rows`.
    """
    import numpy as np

    limit = _limit(frame, other, column)
    there = _held_or_filed(other.select(pl.col(column).alias(_KEY)), folder, "first", limit)
    if isinstance(there, pl.DataFrame):
        return there.rename({_KEY: column})
    mine, rows = _filed(frame.select(pl.col(column).alias(_KEY)), folder)
    found = np.zeros(rows, bool)
    for group in there.groups:
        keys = pl.concat(there.read(group))
        for piece in mine.read(group):
            found[piece.join(keys, on=_KEY, how="semi")[ROW].to_numpy()] = True
    return found


@dataclass(frozen=True)
class Joined:
    """What `join_rows` found.

    Attributes:
        frame: The first table, with the columns of the other and `FOUND`.
        rest: Rows of the other table of which the first has no row with the same key, each key once, and
            those without a key.
        repeated: Rows of the other table that are left out, as another one of it has the same key.
    """

    frame: pl.LazyFrame
    rest: pl.LazyFrame
    repeated: int


def join_rows(
    frame: pl.LazyFrame, other: pl.LazyFrame, column: str, folder: Path, keep: _Keep = "first"
) -> Joined:
    """Add columns of another table to the rows of one, by a key.

    Args:
        frame: The table.
        other: The other table: `column`, and columns that the first one lacks.
        column: A column of both, see `rows_in`. A row without a value in it matches none.
        folder: Where temporary files may be.
        keep: Which one of several rows of the other table with the same key counts.

    Returns:
        The result, in the order of the two tables. If the other table does not fit into memory, both have
        been read.

    Raises:
        As `first_rows`.
    """
    schema = {name: dtype for name, dtype in other.collect_schema().items() if name != column}
    rows = _Counted()
    keyed = other.rename({column: _KEY}).with_row_index(_OTHER)
    there = _held_or_filed(keyed, folder, keep, _limit(frame, other, column), rows)
    if isinstance(there, pl.DataFrame):
        once = _each_key_once(there, keep)
        found = once.drop(_OTHER).rename({_KEY: column}).lazy()
        joined = frame.join(
            found.with_columns(pl.lit(True).alias(FOUND)), on=column, how="left", maintain_order="left"
        )
        rest = found.select(column, *schema).join(
            frame.select(column), on=column, how="anti", maintain_order="left"
        )
        return Joined(joined, rest, rows.number - once.height)
    mine, height = _filed(frame.select(pl.col(column).alias(_KEY)), folder)
    match = _Match(there, mine, height, rows.number, schema, keep, folder)
    return Joined(
        pl.concat([frame, match.columns()], how="horizontal"),
        rows_where(other, match.rest),
        rows.number - match.distinct,
    )


def _limit(frame: pl.LazyFrame, other: pl.LazyFrame, column: str) -> int:
    """Bytes of another table that are held in memory."""
    kinds = {frame.collect_schema()[column], other.collect_schema()[column]}
    return LARGEST_BUFFER if kinds == {pl.String()} else sys.maxsize


class _Counted:
    """How many rows went by."""

    number = 0


def _held_or_filed(
    frame: pl.LazyFrame, folder: Path, keep: _Keep, limit: int, rows: _Counted | None = None
) -> pl.DataFrame | RowFiles:
    """A table in memory; a large one in files, where fewer rows have the same `_KEY`."""
    held: list[pl.DataFrame] = []
    size = 0
    files: RowFiles | None = None
    for piece in pieces_of(frame, BUFFER):
        if rows is not None:
            rows.number += piece.height
        held.append(piece)
        size += int(piece.estimated_size())
        if size > limit:
            files = files or RowFiles(folder)
            while held:
                files.add(_each_key_once(held.pop(0), keep), _GROUP)
    return pl.concat(held) if files is None else files


def _each_key_once(table: pl.DataFrame, keep: _Keep) -> pl.DataFrame:
    """One row of each `_KEY`; one without a key is like no other."""
    key = pl.col(_KEY)
    once = key.is_first_distinct() if keep == "first" else key.is_last_distinct()
    return table.filter(once | key.is_null())


def _filed(frame: pl.LazyFrame, folder: Path) -> tuple[RowFiles, int]:
    """The keys of a table with their `ROW` in files, and how many rows there are."""
    files, rows = RowFiles(folder), 0
    for batch in batches_of(frame.with_row_index(ROW)):
        files.add(batch, _GROUP)
        rows += batch.height
    return files, rows


class _Match:
    """Rows of two tables in files that belong together, group by group.

    Attributes:
        distinct: Rows of the other table that count.
        rest: For each row of the other table whether it counts and has been found by none, Boolean.
    """

    def __init__(
        self,
        there: RowFiles,
        mine: RowFiles,
        rows: int,
        other_rows: int,
        schema: dict[str, pl.DataType],
        keep: _Keep,
        folder: Path,
    ) -> None:
        import numpy as np

        self._rows, self._schema = rows, schema
        self._step = max(_LEAST, -(-rows // _GROUPS))  # rows of the first table in one file
        self._found = RowFiles(folder)
        self.distinct = 0
        self.rest = np.zeros(other_rows, bool)
        for group in there.groups:
            keys = _each_key_once(pl.concat(there.read(group)), keep)
            self.distinct += keys.height
            self.rest[keys[_OTHER].to_numpy()] = True
            for piece in mine.read(group):
                both = piece.join(keys, on=_KEY, how="inner")
                self.rest[both[_OTHER].to_numpy()] = False
                self._found.add(both.select(ROW, *schema), pl.col(ROW) // self._step)
        self._found.finish()

    def columns(self) -> pl.LazyFrame:
        """The other table's columns and `FOUND`, a row for each of the first table."""
        # Not kept: the frame keeps this object, and so the files.
        return register_io_source(self._read, schema={**self._schema, FOUND: pl.Boolean()}, is_pure=True)

    def _read(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        names = [*self._schema, FOUND] if columns is None else columns
        starts = range(0, self._rows, self._step)
        pieces = (self._between(start, min(start + self._step, self._rows), names) for start in starts)
        return asked_for(pieces, predicate, rows)

    def _between(self, start: int, end: int, names: list[str]) -> pl.DataFrame:
        """The rows of one file, and empty ones between them."""
        wanted = [name for name in names if name != FOUND]
        kinds = {ROW: pl.get_index_type(), **{name: self._schema[name] for name in wanted}}
        parts = [pl.DataFrame(schema=kinds), *self._found.read(start // self._step, [ROW, *wanted])]
        found = pl.concat([part.select(*kinds) for part in parts]).with_columns(pl.lit(True).alias(FOUND))
        numbers = pl.int_range(start, end, dtype=pl.get_index_type(), eager=True).alias(ROW).to_frame()
        return numbers.join(found, on=ROW, how="left", maintain_order="left").select(names)
