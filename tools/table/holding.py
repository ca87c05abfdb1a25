"""What a file format cannot hold: told with the column, before work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from tools.errors import UserError
from tools.table.files import table_format

_NAMES = {"csv": "CSV", "jsonl": "JSON Lines", "json": "JSON", "parquet": "Parquet"}
_AS_SECONDS = "`.dt.total_seconds(fractional=True)` of Polars makes numbers of them"


def check_types(schema: Mapping[str, pl.DataType], path: str | Path) -> None:
    """Check that a format can hold the columns of a table.

    Args:
        schema: Names and types of the columns.
        path: Where the table is to be written; its name tells the format.

    Raises:
        UserError: It cannot; names the column and the way out.
    """
    kind = table_format(path)
    for name, dtype in schema.items():
        for part in _parts(dtype):
            what = _held_by_none(part) if kind == "parquet" else _no_text(part)
            if what:
                raise UserError(
                    f"{path}: column '{name}' holds {what}, which {_NAMES[kind]} cannot hold; "
                    f"{_way_out(part, kind, name)}"
                )


def _parts(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """A type, and those inside it."""
    yield dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        yield from _parts(dtype.inner)
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _parts(field.dtype)


def _no_text(dtype: pl.DataType) -> str:
    if dtype == pl.Binary:
        return "bytes"
    if dtype == pl.Duration:
        return "durations"
    return "Python objects" if dtype == pl.Object else ""


def _held_by_none(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Struct) and not dtype.fields:
        return "records without fields"
    return "Python objects" if dtype == pl.Object else ""


def _way_out(dtype: pl.DataType, kind: str, name: str) -> str:
    if dtype == pl.Binary:
        return f"leave it out (datautil --drop-columns {name}), or write Parquet (.parquet, --format parquet)"
    if dtype == pl.Duration:
        return f"write Parquet (.parquet, --format parquet), or make numbers of it: {_AS_SECONDS}"
    return f"leave it out (datautil --drop-columns {name})"
