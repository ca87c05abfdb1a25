"""Tables and their failures files, as a user names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tools.errors import UserError
from tools.report.chain.losses import failures_files
from tools.report.chain.tables import ChainTable, tables_among, tables_in
from tools.table import expand_inputs, is_failures_file, scan_table
from tools.table.files import unreadable

COLUMNS = ("path", "kind", "message")
"""Columns of a failures file."""


@dataclass(frozen=True)
class Failed:
    """A table, or a failures file alone, and what failed.

    Attributes:
        name: The table; of a failures file alone that file.
        table: The table; None where only a failures file was named.
        failures: Columns `COLUMNS`, in the order of the files.
    """

    name: Path
    table: ChainTable | None
    failures: pl.DataFrame

    @property
    def rows(self) -> int | None:
        """Rows of the table; None without one."""
        return None if self.table is None else self.table.frame().select(pl.len()).collect().item()


def read_failed(inputs: Sequence[str]) -> list[Failed]:
    """Read the failures of tables, of all tables of folders, and of failures files.

    Args:
        inputs: Names or patterns.

    Returns:
        One for each table, also where nothing failed, and for each failures file that was named.

    Raises:
        UserError: A table is missing or cannot be read, or a folder has none.
    """
    found: list[Failed] = []
    files: list[Path] = []
    for text in inputs:
        if Path(text).is_dir():
            tables = tables_in(Path(text)).tables
            if not tables:
                raise UserError(f"{text}: there is no table of images or videos in this folder")
            found += map(_of_table, tables)
        else:
            files += expand_inputs([text])
    alone = [file for file in files if is_failures_file(file)]
    named = [file for file in files if file not in alone]
    found += map(_of_table, tables_among(named).tables if named else [])
    return found + [Failed(file, None, _read([file])) for file in alone]


def _of_table(table: ChainTable) -> Failed:
    return Failed(table.path, table, _read(failures_files(table.path, table.ranks)))


def _read(files: Sequence[Path]) -> pl.DataFrame:
    if not files:
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))
    try:
        cells = [pl.col(name).cast(pl.String).fill_null("") for name in COLUMNS]
        return pl.concat([scan_table(file).select(cells) for file in files]).collect()
    except pl.exceptions.ColumnNotFoundError:
        raise UserError(f"{files[0]}: is no failures file, which has {', '.join(COLUMNS)}") from None
    except pl.exceptions.PolarsError as error:
        raise unreadable(", ".join(map(str, files)), error) from None
