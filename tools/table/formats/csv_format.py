"""CSV: every column is read as text, so that cells which no operation touches are written as they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tools.base.disk import ALWAYS, disk_error, system_message
from tools.base.temporary_files import rewriting
from tools.errors import UserError
from tools.table.csv_check import CheckedCsv, check_csv
from tools.table.csv_rows import csv_header, csv_rows
from tools.table.formats.base import TableFormat, compression
from tools.table.formats.types import lists_as_text

if TYPE_CHECKING:
    import numpy as np

# Bytes; a file may be written twice within one tick of its clock, but hardly one of this size.
_SMALL = 1 << 20
_BLOCK = 1 << 19  # bytes of a file that are looked at, at a time
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # for a NUL


class CsvFormat(TableFormat):
    """Cells with a separator between them.

    A table is checked first (see `tools.table.csv_check`), so that its rows and cells are those of Python's
    csv module, whatever reads them.

    Args:
        separator: A comma, or a tab.
    """

    name, title, is_text = "csv", "CSV", True

    def __init__(self, separator: str = ",") -> None:
        self.separator = separator
        self._known: dict[Path, tuple[tuple[int, ...], CheckedCsv]] = {}

    def scan(self, path: Path) -> pl.LazyFrame:
        """A table of text columns."""
        return self.scan_all([path])

    def scan_together(self, paths: Sequence[Path]) -> pl.LazyFrame | None:
        """Plain files only."""
        return self.scan_all(paths) if all(self.is_plain(path) for path in paths) else None

    def scan_all(self, paths: Sequence[Path]) -> pl.LazyFrame:
        """Tables with the same header, whose rows follow each other."""
        return self._named([self._checked(path) for path in paths])

    def _named(self, tables: Sequence[CheckedCsv]) -> pl.LazyFrame:
        frame = self._scan(tables)
        found = frame.collect_schema().names()
        names = tables[0].names
        return frame if found == names else frame.rename(dict(zip(found, names, strict=True)))

    def _scan(self, tables: Sequence[CheckedCsv]) -> pl.LazyFrame:
        """As Polars reads them; names of columns may still have blanks around them."""
        sources: list[Any] = [table.source for table in tables]  # Polars takes files and bytes in one list
        return pl.scan_csv(
            sources if len(sources) > 1 else sources[0],
            infer_schema=False,
            glob=False,
            separator=self.separator,
            quote_char='"' if any(table.quotes for table in tables) else None,  # without is quicker
        )

    def is_plain(self, path: Path) -> bool:
        """Whether Polars reads a table as it is, so that it may be read together with others."""
        if compression(path) != "uncompressed":
            return False
        table = self._checked(path)
        return table.source == path and self._scan([table]).collect_schema().names() == table.names

    def picked(self, path: Path, keep: np.ndarray) -> pl.LazyFrame | None:
        """The lines of these rows; None where a row may have several."""
        table = self._checked(path)
        if table.lines is None or compression(path) != "uncompressed":
            return None
        if len(keep) != table.rows:
            raise UserError(f"{path}: the table has {table.rows} rows and had {len(keep)}; did it change?")
        return self._named([replace(table, source=table.lines.picked(path, keep))])

    def needs_no_quotes(self, paths: Iterable[Path]) -> bool:
        """Whether none of them has a quote."""
        return all(not self._checked(path).quotes for path in paths)

    def _checked(self, path: Path) -> CheckedCsv:
        """The result of the check; large tables are checked once, as long as they stay the same."""
        try:
            status = path.stat()
            same = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if self._known.get(path, (None,))[0] != same or status.st_size < _SMALL:
                self._known[path] = (same, check_csv(path, self.separator))
        except OSError as error:
            why = f"{path}: cannot read the table: {system_message(error)}"
            raise disk_error(path, error, ALWAYS) or UserError(why) from None
        return self._known[path][1]

    def sink(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """Lists and records are written as JSON, and a NUL as U+FFFD: no CSV with one can be read."""
        texts = lists_as_text(frame)
        if compression(path) != "uncompressed":  # `finish` cannot look into it, for a quarter of the time
            texts = texts.map_batches(_without_nul, validate_output_schema=False, streamable=True)
        return self._sink(_without_blank_lines(texts), path, "necessary")

    def finish(self, path: Path) -> None:
        """Replace each NUL."""
        if compression(path) != "uncompressed" or not _has_nul(path):
            return
        with rewriting(path) as new, path.open("rb") as source, new.open("wb") as target:
            for block in iter(partial(source.read, _BLOCK), b""):
                target.write(block.replace(b"\0", _REPLACEMENT.encode()))

    def sink_unquoted(self, frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
        """Without a look for cells that need quotes it is quicker."""
        alone = len(frame.collect_schema()) == 1  # its empty cells need quotes
        return self.sink(frame, path) if alone else self._sink(frame, path, "never")

    def _sink(self, frame: pl.LazyFrame, path: Path, quotes: Literal["necessary", "never"]) -> pl.LazyFrame:
        return frame.sink_csv(
            path,
            lazy=True,
            separator=self.separator,
            compression=compression(path),
            check_extension=False,
            quote_style=quotes,
        )

    def column_names(self, path: Path) -> list[str]:
        """No more than the header is read."""
        return csv_header(path, self.separator)

    def known_rows(self, path: Path) -> int:
        """Rows that the check has counted."""
        return self._checked(path).rows

    def find_fault(self, names: Collection[str]) -> UserError | None:
        """The first row that Python's csv module refuses."""
        try:
            for path in [path for path in self._known if str(path) in names]:
                deque(csv_rows(path, self.separator), maxlen=0)
        except UserError as fault:
            return fault
        return None


def _has_nul(path: Path) -> bool:
    buffer = bytearray(_BLOCK)
    with path.open("rb", buffering=0) as stream:
        return any(buffer.find(0, 0, size) >= 0 for size in iter(partial(stream.readinto, buffer), 0))


def _without_nul(rows: pl.DataFrame) -> pl.DataFrame:
    texts = rows.select(pl.col(pl.String)).iter_columns()
    return rows.with_columns(
        cells.str.replace_all("\0", _REPLACEMENT, literal=True)
        for cells in texts
        if cells.str.contains("\0", literal=True).any()
    )


def _without_blank_lines(frame: pl.LazyFrame) -> pl.LazyFrame:
    """In a CSV of one column a missing cell would be a blank line, which is no row for any reader."""
    columns = frame.collect_schema().names()
    return frame.select(pl.col(columns).cast(pl.String).fill_null("")) if len(columns) == 1 else frame
