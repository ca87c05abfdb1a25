"""Checks of a table before work is done: types that a format or a column cannot store, and addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tools.columns import COLUMNS
from tools.errors import UserError
from tools.table.formats import format_of

if TYPE_CHECKING:
    from tools.table.formats.base import ColumnType

_AS_SECONDS = "`.dt.total_seconds(fractional=True)` of Polars makes numbers of them"


def check_types(schema: Mapping[str, pl.DataType], path: str | Path) -> None:
    """Check that a format can store the columns of a table.

    Args:
        schema: Names and types of the columns.
        path: Where the table is to be written; its extension gives the format.

    Raises:
        UserError: It cannot; names the column and what to do.
    """
    form = format_of(path)
    for name, dtype in schema.items():
        for part in _parts(dtype):
            if what := form.refused_type(part):
                raise UserError(
                    f"{path}: column '{name}' holds {what}, which {form.title} cannot hold; "
                    f"{_way_out(part, name)}"
                )


def _parts(dtype: ColumnType) -> Iterator[ColumnType]:
    """A type, and those inside it."""
    left: list[ColumnType] = [dtype]
    while left:
        part = left.pop()
        yield part
        if isinstance(part, (pl.List, pl.Array)):
            left.append(part.inner)
        elif isinstance(part, pl.Struct):
            left += [field.dtype for field in part.fields]


def _way_out(dtype: ColumnType, name: str) -> str:
    if dtype == pl.Binary:
        return f"leave it out (datautil --drop-columns {name}), or write Parquet (.parquet, --format parquet)"
    if dtype == pl.Duration:
        return f"write Parquet (.parquet, --format parquet), or make numbers of it: {_AS_SECONDS}"
    return f"leave it out (datautil --drop-columns {name})"


def require_single_values(schema: Mapping[str, pl.DataType], names: Iterable[str], path: str | Path) -> None:
    """Check that columns of the contract have a text, a number or a truth value in each cell.

    Args:
        schema: Names and types of a table's columns.
        names: Those that are to be checked; what is not there, or not of the contract, is passed over.
        path: The table and the flag, for the error.

    Raises:
        UserError: Names the first one with lists, records, bytes or durations.
    """
    for name in names:
        dtype = schema.get(name)
        if name not in COLUMNS or dtype is None:
            continue
        if isinstance(dtype, (pl.List, pl.Array)):
            held, way_out = "lists", "give each value its own row (`explode` of Polars and pandas)"
        elif isinstance(dtype, pl.Struct):
            fields = ", ".join(field.name for field in dtype.fields)
            held, way_out = f"records ({fields})", "put the field that is meant in its place"
        elif dtype in (pl.Binary, pl.Duration):
            held, way_out = "bytes" if dtype == pl.Binary else "durations", "convert it, or leave it out"
        else:
            continue
        raise UserError(
            f"{path}: column '{name}' holds {held}, where each cell has to hold one "
            f"{_SINGLE.get(COLUMNS[name].kind, 'number')}; {way_out}"
        )


_SINGLE = {"String": "text", "Boolean": "truth value"}
