"""Read one table, lazily: CSV, Parquet or JSON by extension.

Text tables may be compressed: ``.csv.gz``, ``.jsonl.zst``.

Every column of a CSV is read as text, so that cells which nobody touches come out as they went in: ``007``,
``None``, ``NA`` and ``25`` stay what they are. Who needs a number asks for it with `numeric`.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import polars as pl

from tools.base.addresses import refuse_address
from tools.columns import COLUMNS
from tools.errors import UserError, first_line
from tools.table.csv_check import CheckedCsv, check_csv
from tools.table.csv_rows import csv_header, csv_rows
from tools.table.json_rows import corrected_json, has_half_characters, mixed_kinds

if TYPE_CHECKING:
    import pandas as pd

Table = Union[pl.DataFrame, pl.LazyFrame, "pd.DataFrame"]
FORMATS: dict[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
}
"""File extension to table format; ``.tsv`` is a CSV with tabs, ``.json`` one list of records."""
COMPRESSIONS: dict[str, str] = {".gz": "gzip", ".zst": "zstd"}
"""Further extension of a text table to its compression; Parquet is compressed in itself."""


def table_format(path: str | Path) -> str:
    """Return ``csv``, ``parquet``, ``jsonl`` or ``json``.

    Raises:
        UserError: The name ends in none of `FORMATS`, nor in one of `COMPRESSIONS` after it, or is an
            address.
    """
    refuse_address(path)
    extension = "." + table_extension(path).lower().lstrip(".").partition(".")[0]
    if extension not in FORMATS:
        raise UserError(
            f"{path}: not a table; the name of a table ends in {', '.join(FORMATS)}, "
            f"that of a text table may add {' or '.join(COMPRESSIONS)}"
        )
    return FORMATS[extension]


def table_extension(path: str | Path) -> str:
    """What a table's name ends in, as typed: ``.csv``, ``.jsonl.gz``; empty when it is no table."""
    path = Path(path)
    last = path.suffix.lower()
    if last in FORMATS:
        return path.suffix
    inner = Path(path.stem).suffix
    if last in COMPRESSIONS and FORMATS.get(inner.lower(), "parquet") != "parquet":
        return inner + path.suffix
    return ""


def compression(path: str | Path) -> str:
    """``gzip``, ``zstd`` or ``uncompressed``."""
    return COMPRESSIONS.get(Path(path).suffix.lower(), "uncompressed")


def separator(path: str | Path) -> str:
    """What stands between the cells of a CSV: a tab in ``.tsv``, else a comma."""
    return "\t" if table_extension(path).lower().startswith(".tsv") else ","


def scan_table(path: str | Path) -> pl.LazyFrame:
    """Open a table lazily; columns of a CSV are all text.

    A CSV is looked through first (see `tools.table.csv_check`), so that its rows and cells are those of
    Python's csv module, whoever reads them.

    Args:
        path: A table file.

    Returns:
        A lazy frame whose header has been read and checked.

    Raises:
        UserError: There is no such file, it is not a table, or it cannot be read.
    """
    path = Path(path)
    kind = table_format(path)
    _check_file(path)
    if kind == "csv":
        return scan_csv([path])
    try:
        return _as_text(_scan_parquet(path) if kind == "parquet" else _scan_json(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: cannot open the table: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a table but a folder or a device")


def _as_text(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Make text of the contract's text columns where a typed file has numbers in them, or nothing at all."""
    wrong = [
        name
        for name, dtype in frame.collect_schema().items()
        if name in COLUMNS and COLUMNS[name].kind == "String" and dtype != pl.String and not dtype.is_nested()
    ]
    return frame.with_columns(pl.col(wrong).cast(pl.String)) if wrong else frame


def read_table(path: str | Path) -> pl.DataFrame:
    """Read a whole table into memory; columns of a CSV are all text. Errors as in `scan_table`."""
    frame = scan_table(path)
    try:
        table = frame.collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, error) from None
    if table_format(path) == "csv" and table.height != count_rows(path):
        raise UserError(f"{path}: {table.height} of {count_rows(path)} rows were read; did the table change?")
    return table


def column_names(path: str | Path) -> list[str]:
    """Names of a table's columns; of a CSV no more than the header is read. Errors as in `scan_table`."""
    path = Path(path)
    if table_format(path) == "csv":
        _check_file(path)
        return csv_header(path, separator(path))
    return scan_table(path).collect_schema().names()


def scan_csv(paths: Sequence[Path]) -> pl.LazyFrame:
    """One CSV, or several of the same header, whose rows follow each other; every column is text."""
    tables = [_checked(path) for path in paths]
    frame = _scan(tables)
    try:
        found = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(paths[0], error) from None
    names = tables[0].names
    return frame if found == names else frame.rename(dict(zip(found, names, strict=True)))


def _scan(tables: Sequence[CheckedCsv]) -> pl.LazyFrame:
    """As Polars reads them; names of columns may still have blanks around them."""
    sources: list[Any] = [table.source for table in tables]  # Polars takes files and bytes in one list
    return pl.scan_csv(
        sources if len(sources) > 1 else sources[0],
        infer_schema=False,
        glob=False,
        separator=tables[0].separator,
    )


def is_plain_csv(path: Path) -> bool:
    """Whether a table is a CSV that Polars reads as it is, so that it may be read together with others."""
    if table_format(path) != "csv" or compression(path) != "uncompressed":
        return False
    table = _checked(path)
    return table.source == path and _scan([table]).collect_schema().names() == table.names


def _checked(path: Path) -> CheckedCsv:
    """What is known of a CSV; large ones are looked through once, as long as they stay the same."""
    try:
        status = path.stat()
        same = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if _CHECKED.get(path, (None,))[0] != same or status.st_size < _SMALL:
            _CHECKED[path] = (same, check_csv(path, separator(path)))
    except OSError as error:
        raise UserError(f"{path}: cannot read the table: {error.strerror or error}") from None
    return _CHECKED[path][1]


_CHECKED: dict[Path, tuple[tuple[int, ...], CheckedCsv]] = {}
# Bytes; a file may be written twice within one tick of its clock, but hardly one of this size.
_SMALL = 1 << 20


def _scan_parquet(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False)


def _scan_json(path: Path) -> pl.LazyFrame:
    """JSON as Polars reads it, or as Python's json module does where Polars fails, or would be wrong."""
    _JSON.add(path)
    if table_format(path) == "jsonl" and not has_half_characters(path):
        frame = pl.scan_ndjson(path, infer_schema_length=None)
        try:
            frame.collect_schema()
        except pl.exceptions.PolarsError:
            pass
        else:
            return frame  # but Polars may still meet values that it did not expect: see `unreadable`
    source = corrected_json(path)
    if source == b"":
        raise UserError(f"{path}: cannot read the table: it is empty")
    return pl.scan_ndjson(source, infer_schema_length=None)


_JSON: set[Path] = set()


def unreadable(source: str | Path, error: Exception) -> UserError:
    """One line for a table that Polars (or the disk) refuses.

    Args:
        source: The table, or the names of several.
        error: What was raised; where a look at the tables finds the line that is to blame, that is told.
    """
    named = str(source).split(", ")
    try:
        for path in [path for path in _CHECKED if str(path) in named]:
            deque(csv_rows(path, separator(path)), maxlen=0)
        for path in [path for path in _JSON if str(path) in named]:
            if mixed := mixed_kinds(path):
                return UserError(f"{path}: {mixed}")
    except UserError as found:
        return found
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"{source}: cannot read the table: {reason}")


def numeric(column: str) -> pl.Expr:
    """A column as Float64; empty, no number, and NaN are null (Polars would hold NaN above all numbers)."""
    return pl.col(column).cast(pl.Float64, strict=False).fill_nan(None)


def to_lazy(frame: Table) -> pl.LazyFrame:
    """Any of the accepted frames as a Polars lazy frame; `Path` objects of a pandas frame become text.

    Raises:
        UserError: A pandas frame holds what no table can hold.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        cells = frame[name]
        if dtype == "object" and any(isinstance(cell, os.PathLike) for cell in cells):
            frame = frame.assign(**{name: [os.fspath(c) if isinstance(c, os.PathLike) else c for c in cells]})
    try:
        return pl.from_pandas(frame).lazy()
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:  # Arrow's errors are among these
        raise UserError(f"the frame: cannot be read: {first_line(error)}") from None


def count_rows(path: str | Path) -> int:
    """Rows of a table, read with little memory.

    Raises:
        UserError: It cannot be read.
    """
    path = Path(path)
    if table_format(path) == "csv":
        _check_file(path)
        return _checked(path).rows
    try:
        return scan_table(path).select(pl.len()).collect(engine="streaming").item()
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, error) from None


def require_columns(frame: pl.LazyFrame | pl.DataFrame, names: Iterable[str], path: str | Path) -> None:
    """Check that a table has the columns that a command needs.

    Raises:
        UserError: Names the first missing column, those that are there, and the command that makes it.
    """
    present = frame.collect_schema().names()
    for name in names:
        if name not in present:
            maker = COLUMNS[name].made_by if name in COLUMNS else ""
            hint = f"; `python -m {maker}` makes it" if maker else ""
            if len(present) == 1 and any(mark in present[0] for mark in ";\t|"):
                hint = "; cells are separated by commas, in .tsv by tabs"
            raise UserError(f"{path}: no column '{name}' (it has: {', '.join(present)}){hint}")
