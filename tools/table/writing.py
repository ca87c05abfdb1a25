"""Write one table whole or not at all, and never over what was read."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tools.base.disk import WHEN_WRITING, cannot_write, check_disk, errno_of, publish
from tools.base.temporary_files import temporary_file
from tools.errors import UserError
from tools.table.checks import check_types
from tools.table.files import Table, column_names, to_lazy, unreadable
from tools.table.formats import format_of
from tools.table.names import table_extension


def write_table(frame: Table, path: str | Path, *, inputs: str | Path | Iterable[str | Path] = ()) -> Path:
    """Write a table whole or not at all: to a temporary file beside it, then renamed.

    Lazy frames are streamed. Lists and records become JSON in a CSV. In Parquet and JSON the columns of the
    contract that are text (because they come from a CSV) get their contract type when no cell would be lost
    by it. In a CSV of one column a missing cell is ``""``: a blank line would be no row.

    Args:
        frame: Polars (lazy or not) or pandas frame.
        path: Where; the extension gives the format. Missing parent folders are created.
        inputs: File or files that were read to make the frame; writing over one is refused.

    Returns:
        The path written.

    Raises:
        UserError: The path is one of the inputs, is not a table name, or cannot be written, the format cannot
            hold a column, or a lazily read input turns out to be unreadable.
    """
    write_and_count(frame, path, inputs=inputs)
    return Path(path)


def write_and_count(
    frame: Table,
    path: str | Path,
    *,
    inputs: str | Path | Iterable[str | Path] = (),
    rows: int | None = None,
    quotes: bool = True,
) -> int:
    """As `write_table`, but returns the number of rows written.

    Args:
        frame: As there.
        path: As there.
        inputs: As there.
        rows: How many rows there have to be; when it is another number, nothing is written.
        quotes: False where no cell has a separator, a quote or the end of a line in it.
    """
    path = Path(path)
    form = format_of(path)
    inputs = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    refuse_inputs(path, inputs)
    lazy = to_lazy(frame)
    read = ", ".join(str(i) for i in inputs) or path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path, table_extension(path)) as temporary:
            schema = lazy.collect_schema()
            check_types(schema, path)
            count = _Count()
            writing = (form.sink if quotes else form.sink_unquoted)(count.of(lazy), temporary)
            count.rows = 0  # a format may have looked at the rows before
            writing.collect(engine="streaming")
            counted = count.rows
            if rows is not None and counted != rows:
                raise UserError(f"{read}: {counted} of {rows} rows were read; did a table change meanwhile?")
            if quotes:
                form.finish(temporary)
            publish(temporary, path)
    except OSError as error:
        raise cannot_write(path, error, "the table") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if errno_of(error) in WHEN_WRITING:  # a full disk is no OSError where Parquet is written
            raise cannot_write(path, error, "the table") from None
        # Where the end of a Parquet file finds no room, Polars speaks of its format.
        check_disk(path.parent, path)
        raise unreadable(read, error) from None
    return counted


class _Count:
    """Counts the rows of a table that pass, so that it need not be read, or sorted, twice."""

    def __init__(self) -> None:
        self.rows = 0
        self._lock = threading.Lock()

    def of(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The same table."""
        return frame.map_batches(self._pass, validate_output_schema=False, streamable=True)

    def _pass(self, rows: pl.DataFrame) -> pl.DataFrame:
        with self._lock:
            self.rows += rows.height
        return rows


def refuse_inputs(path: Path, inputs: Iterable[str | Path]) -> None:
    """Check that a path to write is none of the files that are read.

    Raises:
        UserError: It is, perhaps by another name.
    """
    for source in inputs:
        if path.exists() and path.samefile(source):
            raise UserError(f"{path}: the output would overwrite the input; choose another --output")


def refuse_loss(path: Path, columns: Iterable[str], *, overwrite: bool) -> None:
    """Check that a table does not replace one with further columns: scores take hours.

    Args:
        path: Where the table is to be written.
        columns: What it will have.
        overwrite: Whether it may replace whatever is there.

    Raises:
        UserError: The existing table has columns that the new one would lose, or the file is no table.
    """
    if overwrite or not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    try:
        there = column_names(path)
    except UserError as error:  # what would be lost is unknown
        raise UserError(f"{path}: is in the way, --overwrite replaces it ({error})") from None
    new = set(columns)
    if lost := [name for name in there if name not in new]:
        raise UserError(
            f"{path}: is in the way, it has columns that the new table would lack ({', '.join(lost)}); "
            "--overwrite replaces it, --output writes elsewhere"
        )
