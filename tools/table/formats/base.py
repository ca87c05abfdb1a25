"""What a format of tables is: how it is read and written, and what it cannot store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from polars.datatypes import DataTypeClass

    ColumnType = pl.DataType | DataTypeClass  # inside a list, types may be classes

Compression = Literal["uncompressed", "gzip", "zstd"]
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
"""Further extension of a text table to its compression; Parquet is compressed in itself."""


def compression(path: str | Path) -> Compression:
    """How a file of this name is compressed."""
    return COMPRESSIONS.get(Path(path).suffix.lower(), "uncompressed")


class TableFormat:
    """A format; a subclass says what differs, and is listed in `tools.table.formats.FORMATS`.

    Attributes:
        name: As in ``--format``.
        title: In words, for errors.
        is_text: A text format: its tables may be compressed, and store no bytes and no durations.
        reads_whole: A table is read as a whole even where only its rows are counted.
    """

    name: str
    title: str
    is_text = False
    reads_whole = False

    def scan(self, path: Path) -> pl.LazyFrame:
        """Open a table lazily.

        Raises:
            UserError: It cannot be read; Polars' errors and `OSError` become one in `scan_table`.
        """
        raise NotImplementedError

    def scan_together(self, paths: Sequence[Path]) -> pl.LazyFrame | None:
        """Files with the same columns as one table, in their order; None where they have to be read apart.

        Errors as `scan`.
        """
        return None

    def sink(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """A lazy frame that writes a table to a file when it is collected."""
        raise NotImplementedError

    def sink_unquoted(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """The same where `needs_no_quotes` says so; there is nothing to `finish`."""
        raise NotImplementedError

    def finish(self, path: Path) -> None:
        """Complete a file that `sink` has written."""

    def column_names(self, path: Path) -> list[str]:
        """Names of the columns, from as little of the file as possible."""
        return self.scan(path).collect_schema().names()

    def known_rows(self, path: Path) -> int | None:
        """Number of rows if it can be found without parsing the cells."""
        return None

    def picked(self, path: Path, keep: np.ndarray) -> pl.LazyFrame | None:
        """Some rows of a table, without parsing the others; None where that cannot be done.

        Args:
            path: The table.
            keep: For each row whether it is wanted, Boolean (rows).
        """
        return None

    def needs_no_quotes(self, paths: Iterable[Path]) -> bool:
        """Whether all cells of some tables can be written as CSV without quotes."""
        return False

    def find_fault(self, names: Collection[str]) -> UserError | None:
        """The line that makes a table unreadable.

        Args:
            names: Paths of tables, as text; those that this process has not opened are left out.
        """
        return None

    def refused_type(self, dtype: ColumnType) -> str:
        """What cells of a type are called that the format cannot store; empty if it can."""
        if dtype == pl.Binary and self.is_text:
            return "bytes"
        if dtype == pl.Duration and self.is_text:
            return "durations"
        return "Python objects" if dtype == pl.Object else ""
