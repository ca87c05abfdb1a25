"""Rows of a CSV, exactly as Python's csv module gives them; what is ambiguous is refused with its line.

Polars reads a CSV an order of magnitude faster, but some files wrongly: see `tools.table.csv_check`, which
decides who reads.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

from tools.base.disk import ALWAYS, disk_error
from tools.errors import UserError
from tools.table.opening import Lines, corrected

Row = list["str | None"]


def csv_rows(path: Path, separator: str = ",") -> Generator[Row]:
    """Rows of a CSV, the header first.

    Rows and cells are those of ``csv.reader``; blank lines are no rows (as for ``csv.DictReader`` and
    pandas), and rows with fewer cells than the header are filled up. Blanks around the names of columns are
    removed.

    Args:
        path: The table, perhaps compressed; UTF-8, or UTF-16 or UTF-32 with a byte order mark.
        separator: Between cells.

    Yields:
        Texts; None for a cell that is not there, or has nothing in it, not even quotes.

    Raises:
        UserError: Names the line: a row has more cells than the header; a quoted cell is not closed, or
            holds a quote that is not doubled; a carriage return splits a row; the file is no text.
    """
    csv.field_size_limit(sys.maxsize)  # for good: a limit put back would meet other readers of this process
    try:
        with Lines(path) as lines:
            yield from _rows(lines, separator)
    except (OSError, EOFError) as error:
        why = f"{path}: cannot read the table: {error}"
        raise disk_error(path, error, ALWAYS) or UserError(why) from None


def _rows(lines: Lines, separator: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    width = short = 0
    while True:
        first = lines.number + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _broken_quotes(lines, first, separator, str(error)) from None
        if row is None:
            break
        if row:
            cells = _missing(row, lines.recent, separator)
            if not width:
                cells, width = _header(lines, cells), len(cells)
            if len(cells) > width:
                raise lines.refused(first, _too_long(len(cells), width, separator))
            if len(cells) < width:
                short = short or first
                cells += [None] * (width - len(cells))
            yield cells
        lines.clear()
    if not width:
        raise UserError(f"{lines.path}: cannot read the table: it is empty")
    if short and lines.carriage_return and lines.line_feeds:
        # csv and pandas end a row at a carriage return; who wrote this may have meant a part of the cell.
        raise lines.refused(
            lines.carriage_return, "a carriage return outside quotes would end the row; quote it"
        )


def _header(lines: Lines, cells: Row) -> Row:
    names = [(name or "").strip() for name in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        what = f"column {twice!r} stands twice in the header" if twice else "two columns have no name"
        raise UserError(f"{lines.path}: {what}")
    return list(names)


def _too_long(cells: int, width: int, separator: str) -> str:
    shown = {",": "a comma", "\t": "a tab"}.get(separator, separator)
    names = "1 column" if width == 1 else f"{width} columns"
    return f"{cells} cells, but the header has {names}; a cell with {shown} in it has to stand in quotes"


def _missing(row: list[str], lines: list[str], separator: str) -> Row:
    """The cells of a row, with None for those that have nothing in them, not even quotes."""
    if "" not in row:
        return list(row)
    text = lines[0] if len(lines) == 1 else "".join(lines)
    if '""' not in text:
        return [cell or None for cell in row]
    quoted = [text[start] == '"' for start, _ in _cells(text.rstrip("\r\n"), separator) if start < len(text)]
    quoted += [False] * (len(row) - len(quoted))
    return [cell if cell or is_quoted else None for cell, is_quoted in zip(row, quoted, strict=True)]


def _cells(text: str, separator: str) -> Iterator[tuple[int, int]]:
    """Where each cell of a row begins, and, where its quotes are broken, the place of the odd one; else -1.

    A quoted cell that is not closed is odd at the end of the text.
    """
    start = 0
    while True:
        end = start
        if text[start : start + 1] == '"':
            end = text.find('"', start + 1)
            while end >= 0 and text[end + 1 : end + 2] == '"':
                end = text.find('"', end + 2)
            if end < 0:
                yield start, len(text)
                return
            if text[end + 1 : end + 2] not in (separator, "\r", "\n", ""):
                yield start, end
                return
        yield start, -1
        start = text.find(separator, end) + 1
        if not start:
            return


def _broken_quotes(lines: Lines, first: int, separator: str, error: str) -> UserError:
    """The error for a quote that is never closed, or of one that is not doubled."""
    text = "".join(lines.recent)
    for start, odd in _cells(text, separator):
        opened = first + _breaks(text[:start])
        if odd == len(text):
            return lines.refused(opened, "the quote that opens a cell here is never closed")
        if odd >= 0:
            number = first + _breaks(text[:odd])
            where = "" if number == opened else f" that begins in line {opened}"
            return lines.refused(
                number, f'a quote inside a quoted cell{where} is not doubled (each has to be written as "")'
            )
    return lines.refused(lines.number, error)


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def csv_header(path: Path, separator: str = ",") -> list[str]:
    """Names of the columns of a CSV. Errors as `csv_rows`."""
    rows = csv_rows(path, separator)
    try:
        return [name or "" for name in next(rows)]
    finally:
        rows.close()


def corrected_csv(path: Path, separator: str = ",") -> tuple[bytes | Path, int]:
    """A copy that every reader reads alike, and its number of rows. Errors as `csv_rows`.

    Its columns are called 0, 1, 2, ...
    """
    count = 0

    def texts() -> Iterator[str]:
        nonlocal count
        rows = csv_rows(path, separator)
        yield separator.join(str(number) for number, _ in enumerate(next(rows))) + "\n"
        for row in rows:
            count += 1
            yield csv_line(row, separator)

    return corrected(texts()), count


def csv_line(row: Row, separator: str = ",") -> str:
    """A row as it is written. None is nothing; alone in its row it is ``""``, for a blank line is no row."""
    return (separator.join(_written(cell, separator) for cell in row) or '""') + "\n"


def _written(cell: str | None, separator: str) -> str:
    if cell is None:
        return ""
    if not cell or '"' in cell or separator in cell or "\n" in cell or "\r" in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell
