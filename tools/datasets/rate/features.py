"""What ratings are predicted from: the numbers of a table, and what groups its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tools.columns import COLUMNS, measured_on
from tools.errors import UserError
from tools.table import numeric, require_columns
from tools.table.files import unreadable

PREDICTED = ("suitability", "suitability_std")
"""The columns that are added. Those of an earlier run are never predicted from: they know its ratings."""


def score_columns(
    frame: pl.LazyFrame, wanted: Sequence[str] | None, source: str | Path, *, may_be_none: bool = False
) -> list[str]:
    """Names of the columns to predict from.

    Args:
        frame: The table.
        wanted: The user's choice; None for all numbers that the toolkit measures on a file or its caption,
            and columns of the user's own in which every filled cell is a number. Where in its source a clip
            lies says nothing of how it looks, and is not among them.
        source: Name of the table, for messages.
        may_be_none: A table without scores is no error: there are embeddings.

    Raises:
        UserError: A column is missing, holds lists or no numbers, or there is none to choose.
    """
    schema = frame.collect_schema()
    if wanted is None:
        measured = {name for name in measured_on(schema.names(), "file", "caption") if _is_number(name)}
        measured |= set(_own_numbers(frame, schema, source))
        names = [name for name in schema if name in measured]
        names = [name for name in names if name not in PREDICTED and not schema[name].is_nested()]
        if not names and not may_be_none:
            raise UserError(
                f"{source}: no column of scores (it has: {', '.join(schema.names())}); compute some, "
                "`python -m tools.scoring` does, or name columns of your own with --columns"
            )
        return names
    names = list(dict.fromkeys(wanted))
    require_columns(frame, names, source)
    for name in names:
        if name in PREDICTED:
            raise UserError(f"--columns {name}: it is what an earlier run predicted; name what it came from")
        if schema[name].is_nested():
            raise UserError(f"--columns {name}: holds lists; vectors are given with --embeddings")
    return names


def _is_number(name: str) -> bool:
    return name not in COLUMNS or COLUMNS[name].kind in ("Int64", "Float64")


def _own_numbers(frame: pl.LazyFrame, schema: pl.Schema, source: str | Path) -> list[str]:
    """The user's own columns in which there are numbers, and nothing else."""
    own = [name for name in schema if name not in COLUMNS]
    typed = [name for name in own if schema[name].is_numeric()]
    texts = [name for name in own if schema[name] == pl.String]
    if not texts:
        return typed
    cell = {name: pl.col(name) for name in texts}
    filled = [(cell[name].str.len_bytes() > 0).sum().alias(f"filled {name}") for name in texts]
    number = [
        cell[name].cast(pl.Float64, strict=False).is_not_null().sum().alias(f"number {name}")
        for name in texts
    ]
    try:
        counts = frame.select(*filled, *number).collect(engine="streaming").row(0, named=True)
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    return [*typed, *[name for name in texts if 0 < counts[f"number {name}"] == counts[f"filled {name}"]]]


def read_matrix(frame: pl.LazyFrame, names: Sequence[str], rows: int, source: str | Path) -> np.ndarray:
    """Columns of numbers.

    Args:
        frame: The table.
        names: Columns.
        rows: Rows of the table.
        source: Name of the table, for messages.

    Returns:
        float32, shape (rows, columns); NaN where a cell is empty or no finite number. true and false are 1
        and 0.

    Raises:
        UserError: The table cannot be read.
    """
    schema = frame.collect_schema()
    numbers = [_number(name, schema[name]) for name in names]
    try:
        table = frame.select(numbers).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    matrix = np.empty((rows, len(names)), np.float32)
    for place, column in enumerate(table.iter_columns()):
        matrix[:, place] = column.fill_null(float("nan")).to_numpy()
    return matrix


def _number(name: str, dtype: pl.DataType) -> pl.Expr:
    number = numeric(name)
    if dtype == pl.String:
        truth = pl.col(name).str.to_lowercase().replace_strict({"true": 1.0, "false": 0.0}, default=None)
        number = pl.coalesce(number, truth.cast(pl.Float64))
    small = number.cast(pl.Float32, strict=False)
    return pl.when(small.is_finite()).then(small).alias(name)


def read_texts(frame: pl.LazyFrame, names: Sequence[str], source: str | Path) -> pl.DataFrame:
    """Columns as text, null where a cell is empty; a column that there is not is null throughout."""
    schema = frame.collect_schema()
    cells = [
        pl.when(pl.col(name).cast(pl.String).str.len_bytes() > 0).then(pl.col(name).cast(pl.String))
        if name in schema and not schema[name].is_nested()
        else pl.lit(None, pl.String)
        for name in names
    ]
    count = pl.len().alias("\0rows")  # a column of literals alone would have one row
    try:
        table = frame.select(count, *[c.alias(n) for c, n in zip(cells, names, strict=True)])
        return table.collect(engine="streaming").drop("\0rows")
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None


def groups_of(texts: pl.DataFrame) -> np.ndarray:
    """A number for each source video, or for each path where a row names no source; int64, shape (rows,)."""
    name = pl.coalesce(
        pl.lit("source ") + pl.col("source"),
        pl.lit("path ") + pl.col("path"),
        pl.lit("row ") + pl.int_range(pl.len()).cast(pl.String),
    )
    return texts.select(name.rank("dense")).to_series().cast(pl.Int64).to_numpy() - 1
