"""The formats of tables, by the extension of the file.

To add one, write a `TableFormat` in a module beside this one, and list it in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tools.base.addresses import refuse_address
from tools.errors import UserError
from tools.table.formats.base import COMPRESSIONS, TableFormat
from tools.table.formats.csv_format import CsvFormat
from tools.table.formats.json_format import JsonFormat, JsonLinesFormat
from tools.table.formats.types import contract_types
from tools.table.names import table_extension

if TYPE_CHECKING:
    from tools.table.formats.base import ColumnType

__all__ = ["COMPRESSIONS", "FORMATS", "HOW_TO_LIST", "TableFormat", "format_of", "table_format"]


class ParquetFormat(TableFormat):
    """Parquet."""

    name, title = "parquet", "Parquet"

    def scan(self, path: Path) -> pl.LazyFrame:
        """As Polars reads it."""
        return pl.scan_parquet(path, glob=False)

    def scan_together(self, paths: Sequence[Path]) -> pl.LazyFrame | None:
        """Unless a column has different types in them, of which Polars knows none in common."""
        schemas = [pl.read_parquet_schema(path) for path in paths]
        if any(schema != schemas[0] for schema in schemas):
            return None
        return pl.scan_parquet(list(paths), glob=False)

    def sink(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """Text columns get their type in the contract where that loses no cell."""
        return contract_types(frame).sink_parquet(path, lazy=True)

    def refused_type(self, dtype: ColumnType) -> str:
        """Records need a field."""
        if isinstance(dtype, pl.Struct) and not dtype.fields:
            return "records without fields"
        return super().refused_type(dtype)


_JSON_LINES = JsonLinesFormat()

FORMATS: dict[str, TableFormat] = {
    ".csv": CsvFormat(),
    ".tsv": CsvFormat("\t"),
    ".parquet": ParquetFormat(),
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".json": JsonFormat(),
}
"""Extension of a file to the format of the table."""


HOW_TO_LIST = "for a table of videos: python -m tools.datasets.convert video FOLDER --output meta.csv"
"""What to do for who gives a video, or a folder of them, in place of a table."""


def format_of(path: str | Path) -> TableFormat:
    """The format of a table.

    Raises:
        UserError: The name ends in none of `FORMATS`, nor in one of `COMPRESSIONS` after it, is an address,
            or is not UTF-8, which Polars cannot open.
    """
    refuse_address(path)
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise UserError(
            f"{path}: the name of the table or of its folder is not UTF-8; rename it (convmv does), "
            "or run the command inside the folder"
        )
    extension = "." + table_extension(path).lower().lstrip(".").partition(".")[0]
    if extension not in FORMATS:
        hint = f"; {HOW_TO_LIST}" if Path(path).exists() else ""
        raise UserError(
            f"{path}: not a table; the name of a table ends in {', '.join(FORMATS)}, "
            f"that of a text table may add {' or '.join(COMPRESSIONS)}{hint}"
        )
    return FORMATS[extension]


def table_format(path: str | Path) -> str:
    """The name of the format: ``csv``, ``parquet``, ``jsonl`` or ``json``; errors as in `format_of`."""
    return format_of(path).name
