"""Read one table, lazily: CSV, Parquet or JSON by extension.

Text tables may be compressed: ``.csv.gz``, ``.jsonl.zst``.

Every column of a CSV is read as text, so that untouched cells are written as they were read: ``007``,
``None``, ``NA`` and ``25`` stay the same. `numeric` gives a column as numbers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

import polars as pl

from tools.base.disk import ALWAYS, disk_error, system_message
from tools.columns import no_column
from tools.errors import UserError, first_line
from tools.table.formats import FORMATS, HOW_TO_LIST, format_of
from tools.table.formats.types import text_columns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_UNREADABLE = (ValueError, TypeError, OverflowError, NotImplementedError, pl.exceptions.PolarsError)
"""What Polars and Arrow raise of a pandas frame; Arrow's errors are among the first."""

Table = Union[pl.DataFrame, pl.LazyFrame, "pd.DataFrame"]


def scan_table(path: str | Path) -> pl.LazyFrame:
    """Open a table lazily; columns of a CSV are all text.

    Args:
        path: A table file.

    Returns:
        A lazy frame whose header has been read and checked.

    Raises:
        UserError: There is no such file, it is not a table, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(
            f"{path}: not a table but a folder; if it holds the parts of a table, make one file of them: "
            f"python -m tools.datasets.datautil {path} --output meta.parquet; {HOW_TO_LIST}"
        )
    form = format_of(path)
    _check_file(path)
    try:
        return text_columns(form.scan(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: cannot open the table: {system_message(error)}") from None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a table but a folder or a device")


def read_table(path: str | Path) -> pl.DataFrame:
    """Read a whole table into memory; columns of a CSV are all text. Errors as in `scan_table`."""
    table = collected(scan_table(path), path)
    rows = format_of(path).known_rows(Path(path))
    if rows not in (None, table.height):
        raise UserError(f"{path}: {table.height} of {rows} rows were read; did the table change?")
    return table


def collected(frame: pl.LazyFrame, source: str | Path) -> pl.DataFrame:
    """A table in memory.

    Args:
        frame: What `scan_table` has opened, or a part of it.
        source: Its name, for the error.

    Raises:
        UserError: Polars meets something that it cannot read.
    """
    try:
        return frame.collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None


def column_names(path: str | Path) -> list[str]:
    """Names of a table's columns; of a CSV no more than the header is read. Errors as in `scan_table`."""
    path = Path(path)
    form = format_of(path)
    _check_file(path)
    try:
        return form.column_names(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None


def unreadable(source: str | Path, error: Exception) -> UserError:
    """One line for a table that Polars (or the disk) refuses.

    Args:
        source: The table, or the names of several.
        error: What was raised; the error names the line if it can be found.
    """
    if fault := disk_error(source, error, ALWAYS):
        return fault
    named = str(source).split(", ")
    for form in dict.fromkeys(FORMATS.values()):
        if fault := form.find_fault(named):
            return fault
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"{source}: cannot read the table: {reason}")


def numeric(column: str) -> pl.Expr:
    """A column as Float64; empty cells, texts and NaN are null (for Polars NaN is above all numbers)."""
    return pl.col(column).cast(pl.Float64, strict=False).fill_nan(None)


def to_lazy(frame: Table) -> pl.LazyFrame:
    """Any of the accepted frames as a Polars lazy frame; `Path` objects of a pandas frame become text.

    Raises:
        UserError: It is no frame, or a pandas frame has values that no table can store.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    if not hasattr(frame, "dtypes") or not hasattr(frame, "columns"):
        raise UserError(f"a {type(frame).__name__} is no table: give a pandas or Polars frame, or a file")
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        cells = frame[name]
        if dtype == "object" and any(isinstance(cell, os.PathLike) for cell in cells):
            frame = frame.assign(**{name: [os.fspath(c) if isinstance(c, os.PathLike) else c for c in cells]})
    try:
        return pl.from_pandas(frame).lazy()
    except _UNREADABLE as error:
        fault = error if frame.columns.is_unique else None
        for name in frame.columns if fault else ():
            try:
                pl.from_pandas(frame[[name]])
            except _UNREADABLE as of_column:
                raise UserError(
                    f"the frame: column {name!r} cannot be read: {first_line(of_column)}"
                ) from None
        raise UserError(f"the frame: cannot be read: {first_line(error)}") from None


def from_polars(table: pl.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """A table as a pandas frame, after what `to_lazy` made of one.

    Whole numbers with missing cells, of which pandas by itself makes floats, stay whole.
    """
    import pandas as pd

    made = table.to_pandas()
    before = {str(name): dtype for name, dtype in frame.dtypes.items()}
    for cells in table.select(pl.selectors.integer()).iter_columns():
        if cells.name in before and cells.null_count():
            dtype = before[cells.name]
            whole = dtype.kind != "O" and pd.api.types.is_extension_array_dtype(dtype)
            made[cells.name] = pd.array(cells.to_list(), dtype=dtype if whole else "Int64")
    return made


_PICKED = 1 << 28  # bytes of rows that are picked; more are not held in memory


def pick_rows(path: str | Path, keep: np.ndarray, share: float) -> pl.LazyFrame | None:
    """Some rows of a table without parsing the others; None where that does not pay.

    Args:
        path: A table that `scan_table` has opened.
        keep: For each row whether it is wanted, Boolean (rows).
        share: How many of the rows these are, 0 to 1.
    """
    path = Path(path)
    form = format_of(path)
    if share > 0.25 or path.stat().st_size * share > _PICKED:
        return None
    return form.picked(path, keep)


def count_rows(path: str | Path) -> int:
    """Rows of a table, read with little memory.

    Raises:
        UserError: It cannot be read.
    """
    path = Path(path)
    form = format_of(path)
    _check_file(path)
    if (rows := form.known_rows(path)) is not None:
        return int(rows)  # not one of NumPy's, which are no JSON
    try:
        return scan_table(path).select(pl.len()).collect(engine="streaming").item()
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, error) from None


def require_columns(frame: pl.LazyFrame | pl.DataFrame, names: Iterable[str], path: str | Path) -> None:
    """Check that a table has the columns that a command needs.

    Raises:
        UserError: Names the first missing column, those that are there, and the command that adds it.
    """
    present = frame.collect_schema().names()
    for name in names:
        if name not in present:
            raise UserError(f"{path}: {no_column(name, present)}")
