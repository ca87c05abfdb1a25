"""Rows in temporary files, in numbered groups, and rows that are chosen by their number.

For what does not fit into memory: `tools.table.external_sort`, `tools.table.external_join`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from tools.base.disk import writing
from tools.base.temporary_files import TemporaryFolder

if TYPE_CHECKING:
    import numpy as np
    from polars.datatypes import DataTypeClass

BUFFER = 1 << 26  # bytes of rows that are held, at least
LARGEST_BUFFER = 1 << 28  # and at most; the more there is, the larger the files are
_BATCH = 50_000  # rows
ROW = "row\0"
"""The number of a row, from 0 on."""
_GROUP = "group\0"


def scratch_folder(wanted: Path | None) -> Path:
    """Where temporary files go: the folder of an output, or that of the system if it is not there yet."""
    return wanted if wanted is not None and wanted.is_dir() else Path(tempfile.gettempdir())


def batches_of(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """A table piece by piece, in the order of its rows; errors of Polars come from the iterator.

    A table without rows is one piece, also where Polars gives none.
    """
    batches = iter(frame.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"))
    first = next(batches, None)
    yield pl.DataFrame(schema=frame.collect_schema()) if first is None else first
    yield from batches


def pieces_of(frame: pl.LazyFrame, limit: int) -> Iterator[pl.DataFrame]:
    """As `batches_of`, in pieces of about so many bytes."""
    held: list[pl.DataFrame] = []
    size = 0
    for batch in batches_of(frame):
        held.append(batch)
        size += int(batch.estimated_size())
        if size >= limit:
            yield pl.concat(held)
            held, size = [], 0
    if held:
        yield pl.concat(held)


def asked_for(
    pieces: Iterator[pl.DataFrame], predicate: pl.Expr | None, rows: int | None
) -> Iterator[pl.DataFrame]:
    """What Polars asks a source for: its first rows, and of these the ones that pass a filter."""
    left = rows
    for piece in pieces:
        for part in piece.iter_slices(_BATCH):
            taken = part if left is None else part.head(left)
            if left is not None:
                left -= taken.height
            yield taken if predicate is None else taken.filter(predicate)
            if left == 0:
                return


class RowFiles:
    """Rows in files, in groups; each group keeps the order in which its rows were added.

    The files are removed when nobody uses the object any more.

    Args:
        folder: Where a temporary folder may be.

    Raises:
        DiskError: It cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = TemporaryFolder(folder)
        self._files: dict[int, list[Path]] = {}
        self._held: list[tuple[pl.DataFrame, pl.Expr]] = []
        self._size = self._written = 0

    def __del__(self) -> None:
        if hasattr(self, "_folder"):
            self._folder.close()

    @property
    def groups(self) -> list[int]:
        """Numbers of the groups that have rows, ascending."""
        self.finish()
        return sorted(self._files)

    def add(self, table: pl.DataFrame, group: pl.Expr) -> None:
        """Add rows; they are written when there are enough of them.

        Args:
            table: The rows.
            group: The number of the group of each, from 0 on.

        Raises:
            DiskError: There is no room for the temporary files.
        """
        self._held.append((table, group))
        self._size += int(table.estimated_size())
        if self._size >= min(max(BUFFER, self._written // 16), LARGEST_BUFFER):
            self.finish()

    def finish(self) -> None:
        """Write what is held. Before that one thread alone may read; Polars may read with several."""
        if not self._held:
            return
        table = pl.concat([_with_group(part, group) for part, group in self._held])
        self._written += self._size
        self._held, self._size = [], 0
        self._write(table)

    def write(self, table: pl.DataFrame, group: pl.Expr) -> None:
        """As `add`, at once."""
        self._write(_with_group(table, group))

    def _write(self, table: pl.DataFrame) -> None:
        parts = table.partition_by(_GROUP, maintain_order=True, include_key=False, as_dict=True)
        for (which,), part in parts.items():
            files = self._files.setdefault(int(str(which)), [])
            path = self._folder.path / f"{which}.{len(files)}.arrow"
            with writing(path, "a temporary file"):
                part.write_ipc(path, compression="uncompressed")
            files.append(path)

    def read(self, group: int, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of a group, some columns of them or all, in pieces."""
        self.finish()
        return (pl.read_ipc(path, columns=columns) for path in self._files.get(group, []))

    def read_all(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        """All rows, group after group, as Polars asks a source for them."""
        pieces = (piece for group in self.groups for piece in self.read(group, columns))
        return asked_for(pieces, predicate, rows)


def _with_group(table: pl.DataFrame, group: pl.Expr) -> pl.DataFrame:
    return table.with_columns(group.cast(pl.Int32).alias(_GROUP))


def map_pieces(
    frame: pl.LazyFrame, function: Callable[[pl.DataFrame], pl.DataFrame], folder: Path
) -> pl.LazyFrame:
    """Apply a function to a table, piece by piece, once.

    Args:
        frame: The table.
        function: From rows to as many rows, whose columns do not depend on them.
        folder: Where temporary files may be: of a table of several pieces the results are kept there.

    Raises:
        PolarsError: The table cannot be read.
        DiskError: There is no room for the temporary files.
    """
    files: RowFiles | None = None
    done: list[pl.DataFrame] = []
    for number, piece in enumerate(pieces_of(frame, LARGEST_BUFFER)):
        if done:
            files = files or RowFiles(folder)
            files.write(done.pop(), pl.lit(number))
        done.append(function(piece))
    if files is None:
        return done[0].lazy()
    files.write(done[0], pl.lit(files.groups[-1] + 1))
    return register_io_source(files.read_all, schema=done[0].schema, is_pure=True)


def of_rows(values: np.ndarray, dtype: DataTypeClass) -> pl.Expr:
    """A column with a value for each row, by the number of the row in the column `ROW`."""

    def look_up(numbers: pl.Series) -> pl.Series:
        return pl.Series(values[numbers.to_numpy()])

    return pl.col(ROW).map_batches(look_up, return_dtype=dtype, is_elementwise=True)


def rows_where(frame: pl.LazyFrame, chosen: np.ndarray) -> pl.LazyFrame:
    """Some rows of a table.

    Args:
        frame: The table.
        chosen: For each row whether it is wanted, Boolean (rows).
    """
    return frame.with_row_index(ROW).filter(of_rows(chosen, pl.Boolean)).drop(ROW)
