"""Write one table whole or not at all, and never over what was read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

import polars as pl

from tools.base.disk import WHEN_WRITING, cannot_write, errno_of, probe, remove_quietly
from tools.columns import COLUMNS
from tools.errors import UserError
from tools.table.files import (
    Table,
    column_names,
    compression,
    separator,
    table_extension,
    table_format,
    to_lazy,
    unreadable,
)
from tools.table.holding import check_types


def write_table(frame: Table, path: str | Path, *, inputs: Iterable[str | Path] = ()) -> Path:
    """Write a table whole or not at all: to a temporary file beside it, then renamed.

    Lazy frames are streamed. Lists and records become JSON in a CSV. In Parquet and JSON the columns of the
    contract that are text (because they come from a CSV) get their contract type when no cell would be lost
    by it. In a CSV of one column a missing cell is ``""``: a blank line would be no row.

    Args:
        frame: Polars (lazy or not) or pandas frame.
        path: Where; the extension gives the format. Missing parent folders are made.
        inputs: Files that were read to make the frame; writing over one of them is refused.

    Returns:
        The path written.

    Raises:
        UserError: The path is one of the inputs, is not a table name, or cannot be written, the format cannot
            hold a column, or a lazily read input turns out to be unreadable.
    """
    write_and_count(frame, path, inputs=inputs)
    return Path(path)


def write_and_count(
    frame: Table, path: str | Path, *, inputs: Iterable[str | Path] = (), rows: int | None = None
) -> int:
    """As `write_table`, but returns the number of rows written.

    Args:
        frame: As there.
        path: As there.
        inputs: As there.
        rows: How many rows there have to be; when it is another number, nothing is written.
    """
    path = Path(path)
    table_format(path)
    refuse_inputs(path, inputs)
    lazy = to_lazy(frame)
    read = ", ".join(str(i) for i in inputs) or path
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name[:100]}.", suffix=f".tmp{table_extension(path)}", dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        schema = lazy.collect_schema()
        check_types(schema, path)
        counted = pl.collect_all([_sink(lazy, temporary), lazy.select(pl.len())], engine="streaming")[
            1
        ].item()
        if rows is not None and counted != rows:
            raise UserError(f"{read}: {counted} of {rows} rows were read; did a table change meanwhile?")
        if table_format(path) == "json":
            _make_list(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error, "the table") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if errno_of(error) in WHEN_WRITING:  # a full disk is no OSError where Parquet is written
            raise cannot_write(path, error, "the table") from None
        if temporary is not None:
            probe(
                path.parent, path
            )  # where the end of a Parquet file finds no room, Polars speaks of its format
        raise unreadable(read, error) from None
    finally:
        if temporary is not None:
            remove_quietly(temporary)
    return counted


def _sink(lazy: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    kind = table_format(path)
    if kind == "parquet":
        return contract_types(lazy).sink_parquet(path, lazy=True)
    packed = "uncompressed" if kind == "json" else compression(path)  # a list is made of its lines afterwards
    packing = {"compression": packed, "check_extension": False}  # .GZ is one too
    if kind == "csv":
        lazy = _without_blank_lines(lists_as_text(lazy))
        return lazy.sink_csv(path, lazy=True, separator=separator(path), **packing)
    return contract_types(lazy).sink_ndjson(path, lazy=True, **packing)


def lists_as_text(frame: pl.LazyFrame, names: Collection[str] | None = None) -> pl.LazyFrame:
    """Lists and records, of all columns or of some, as JSON: a cell of a CSV is text."""
    schema = frame.collect_schema()
    nested = [name for name in (schema if names is None else names) if schema[name].is_nested()]
    return frame.with_columns(
        pl.col(name).map_batches(_encode, return_dtype=pl.String, is_elementwise=True) for name in nested
    )


def _without_blank_lines(frame: pl.LazyFrame) -> pl.LazyFrame:
    """In a CSV of one column a missing cell would be a blank line, which is no row for any reader."""
    columns = frame.collect_schema().names()
    return frame.select(pl.col(columns).cast(pl.String).fill_null("")) if len(columns) == 1 else frame


def _encode(cells: pl.Series) -> pl.Series:
    texts = [None if c is None else json.dumps(c, ensure_ascii=False, default=str) for c in cells.to_list()]
    return pl.Series(cells.name, texts, dtype=pl.String)


def _make_list(path: Path) -> None:
    """Turn a file of JSON Lines into one list of records, a line for each."""
    import pyarrow as pa

    lines = path.with_name(f"{path.name}.lines")
    path.replace(lines)
    try:
        packing = None if compression(path) == "uncompressed" else compression(path)
        with lines.open("rb") as records, pa.output_stream(str(path), compression=packing) as target:
            target.write(b"[")
            before = b"\n"
            for record in records:
                target.write(before + record.rstrip(b"\n"))
                before = b",\n"
            target.write(b"\n]\n")
    finally:
        remove_quietly(lines)


def refuse_inputs(path: Path, inputs: Iterable[str | Path]) -> None:
    """Check that a path to write is none of the files that are read.

    Raises:
        UserError: It is, perhaps by another name.
    """
    for source in inputs:
        if path.exists() and path.samefile(source):
            raise UserError(f"{path}: the output would overwrite the input; choose another --output")


def refuse_loss(path: Path, columns: Iterable[str], *, overwrite: bool) -> None:
    """Check that a table does not replace one that knows more: scores are hours of work.

    Args:
        path: Where the table is to be written.
        columns: What it will have.
        overwrite: Whether it may replace whatever is there.

    Raises:
        UserError: A table stands there with columns that the new one would lack, or a file that is no table.
    """
    if overwrite or not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    try:
        there = column_names(path)
    except UserError as error:  # nobody knows what would be lost
        raise UserError(f"{path}: is in the way, --overwrite replaces it ({error})") from None
    new = set(columns)
    if lost := [name for name in there if name not in new]:
        raise UserError(
            f"{path}: is in the way, it has columns that the new table would lack ({', '.join(lost)}); "
            "--overwrite replaces it, --output writes elsewhere"
        )


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def contract_types(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give text columns of the contract their contract type, where that loses no cell."""
    schema = frame.collect_schema()
    wanted = {n: COLUMNS[n].dtype for n, t in schema.items() if n in COLUMNS and t == pl.String}
    wanted = {name: dtype for name, dtype in wanted.items() if dtype != pl.String}
    if not wanted:
        return frame
    lost = frame.select(
        [
            (pl.col(name).is_not_null() & _cast(name, dtype).is_null()).any().alias(name)
            for name, dtype in wanted.items()
        ]
    ).collect(engine="streaming")
    keep = [name for name in wanted if not lost[name][0]]
    return frame.with_columns([_cast(name, wanted[name]) for name in keep])


def _cast(name: str, dtype: type[pl.DataType]) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col(name).replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        )
    return pl.col(name).cast(dtype, strict=False)
