"""Read one table, lazily: CSV, Parquet or JSON Lines by extension.

Text tables may be compressed: ``.csv.gz``, ``.jsonl.zst``.

Every column of a CSV is read as text, so that cells which nobody touches come out as they went in: ``007``,
``None``, ``NA`` and ``25`` stay what they are. Who needs a number asks for it with `numeric`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

import polars as pl

from tools.columns import COLUMNS
from tools.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Table = Union[pl.DataFrame, pl.LazyFrame, "pd.DataFrame"]
FORMATS: dict[str, str] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""File extension to table format."""
COMPRESSIONS: dict[str, str] = {".gz": "gzip", ".zst": "zstd"}
"""Further extension of a text table to its compression; Parquet is compressed in itself."""


def table_format(path: str | Path) -> str:
    """Return ``csv``, ``parquet`` or ``jsonl``.

    Raises:
        UserError: The name ends in none of `FORMATS`, nor in one of `COMPRESSIONS` after it.
    """
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


def scan_table(path: str | Path) -> pl.LazyFrame:
    """Open a table lazily; columns of a CSV are all text.

    Args:
        path: A table file.

    Returns:
        A lazy frame whose header has been read and checked.

    Raises:
        UserError: There is no such file, it is not a table, or its header cannot be read.
    """
    path = Path(path)
    kind = table_format(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: cannot open the table: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: not a table but a folder or a device")
    try:
        frame = _SCANNERS[kind](path)
        names = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None
    if kind == "csv":
        _check_header(path, names)
        return frame
    return _as_text(frame)


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
    try:
        return scan_table(path).collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, error) from None


def scan_csv(path: Path | list[Path]) -> pl.LazyFrame:
    """One CSV, or several of the same header, whose rows follow each other; every column is text."""
    return pl.scan_csv(path, infer_schema=False, glob=False)


def _scan_parquet(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False)


def _scan_jsonl(path: Path) -> pl.LazyFrame:
    return pl.scan_ndjson(path, infer_schema_length=None)


_SCANNERS = {"csv": scan_csv, "parquet": _scan_parquet, "jsonl": _scan_jsonl}


def _check_header(path: Path, names: list[str]) -> None:
    # Polars renames the second of two equal names; a table with such a header is ambiguous for everyone.
    twice = [
        n for n in names if n.removesuffix("_duplicated_0") != n and n.removesuffix("_duplicated_0") in names
    ]
    if twice:
        raise UserError(
            f"{path}: column '{twice[0].removesuffix('_duplicated_0')}' stands twice in the header"
        )
    if any("\0" in name or "\ufffd" in name for name in names):
        raise UserError(f"{path}: not a CSV table: the first line is not UTF-8 text")


def unreadable(path: str | Path, error: Exception) -> UserError:
    """One line for a table that Polars (or the disk) refuses."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"{path}: cannot read the table: {reason}")


def numeric(column: str) -> pl.Expr:
    """A column as Float64; empty, no number, and NaN are null (Polars would hold NaN above all numbers)."""
    return pl.col(column).cast(pl.Float64, strict=False).fill_nan(None)


def to_lazy(frame: Table) -> pl.LazyFrame:
    """Any of the accepted frames as a Polars lazy frame."""
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    return pl.from_pandas(frame).lazy()


def count_rows(path: str | Path) -> int:
    """Rows of a table, read with little memory.

    Raises:
        UserError: It cannot be read.
    """
    frame = scan_table(path)
    rows = pl.len()
    if table_format(path) == "csv":
        # A plain count of a CSV maps the whole file into memory; a look at one column streams it.
        rows = (pl.nth(-1).is_null() | True).sum()
    try:
        return frame.select(rows).collect(engine="streaming").item()
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
            raise UserError(f"{path}: no column '{name}' (it has: {', '.join(present)}){hint}")
