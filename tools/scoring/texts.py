"""The text in a cell of a row."""

from __future__ import annotations

from tools.errors import MediaError
from tools.stage.stage import Row


def cell_text(row: Row, column: str) -> str:
    """The text in a cell; a number is what it is written as.

    Raises:
        MediaError: bad_value: it is empty, or holds a list or a record. A table with a column of these is
            refused before the run, but not where another score of the same run takes them.
    """
    text = row.get(column)
    if text is None or text != text or not str(text).strip():
        raise MediaError("bad_value", row["path"], f"the cell of column {column} is empty")
    if isinstance(text, (list, tuple, dict)):
        raise MediaError("bad_value", row["path"], f"column {column}: {text!r:.60} is no text")
    return str(text)
