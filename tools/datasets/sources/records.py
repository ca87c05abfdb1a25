"""Rows of any JSON values as a table, and what of a record is its path, its caption and its id."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tools.base.addresses import scheme
from tools.table.cells import whole_characters

if TYPE_CHECKING:
    import polars as pl

PATH_KEYS = (
    "path",
    "video",
    "file",
    "url",
    "video_path",
    "file_path",
    "file_name",
    "media_path",
    "video_url",
    "image",
    "image_path",
)
"""What files and addresses are called in other tables, the more telling first."""
TEXT_KEYS = ("text", "caption", "prompt", "description")
"""What captions are called, the more telling first."""

_CHUNK = 1 << 16  # rows that are Python objects at a time
_INT64 = 1 << 63


class RowTable:
    """Rows become a table: columns in the order in which they first occur, cells that are missing are empty.

    A column of texts is text, one of whole numbers Int64, of numbers Float64, of truth values Boolean. One
    that mixes these is text (``1``, ``true``), and lists and records are JSON.

    Args:
        first: Columns that come first, and are there even if no row has them.
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        self._first = tuple(first)
        self._rows: list[Mapping[str, Any]] = []
        self._chunks: list[pl.DataFrame] = []
        self._names: dict[str, None] = dict.fromkeys(first)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row: texts, numbers, truth values, None, and lists and dicts of them."""
        self._rows.append(row)
        if len(self._rows) >= _CHUNK:
            self._pack()

    def _pack(self) -> None:
        import polars as pl

        for row in self._rows:
            self._names.update(dict.fromkeys(row))
        columns = {name: _column([row.get(name) for row in self._rows]) for name in self._names}
        self._chunks.append(pl.DataFrame(columns))
        self._rows = []

    def table(self) -> pl.DataFrame:
        """All rows; columns without any value are left out, but for the first ones, which are text."""
        import polars as pl

        if self._rows or not self._chunks:
            self._pack()
        types: dict[str, pl.DataType] = {}
        for name in self._names:
            kinds = {chunk.schema[name] for chunk in self._chunks if name in chunk.columns} - {pl.Null()}
            if kinds or name in self._first:
                types[name] = _common(kinds)
        return pl.concat(
            [
                chunk.select(
                    pl.col(name).cast(dtype)
                    if name in chunk.columns
                    else pl.lit(None, dtype=dtype).alias(name)
                    for name, dtype in types.items()
                )
                for chunk in self._chunks
            ]
        )


def _column(values: list[Any]) -> pl.Series:
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    numbers = kinds <= {int, float}
    if kinds == {int} and all(value is None or -_INT64 <= value < _INT64 for value in values):
        return pl.Series(values, dtype=pl.Int64)
    if numbers and float in kinds:
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series([as_text(value) for value in values], dtype=pl.String)


def _common(kinds: set[Any]) -> Any:
    import polars as pl

    if len(kinds) == 1:
        return next(iter(kinds))
    return pl.Float64() if kinds == {pl.Int64(), pl.Float64()} else pl.String()


def as_text(value: Any) -> str | None:
    """A value as the text of a cell: a text itself, a date or time as Python prints it, the rest as JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        return whole_characters(value).replace("\0", "\N{REPLACEMENT CHARACTER}")  # no table can hold NUL
    if isinstance(value, (bool, int, float, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def renamed(record: Mapping[str, Any], taken: Iterable[str], prefix: str) -> dict[str, Any]:
    """The fields of a record as columns: names that are taken, or given twice, get a prefix.

    Args:
        record: The fields.
        taken: Columns that the row has already.
        prefix: ``json_``, for example.
    """
    used = set(taken)
    cells: dict[str, Any] = {}
    for name, value in record.items():
        name = str(as_text(name)).strip() or "unnamed"
        while name in used:
            name = prefix + name
        used.add(name)
        cells[name] = value
    return cells


def caption_of(record: dict[str, Any], column: str | None = None) -> str | None:
    """Take the caption out of a record: the first of `TEXT_KEYS` (or ``column``) that holds a text."""
    for key in (column,) if column else TEXT_KEYS:
        if isinstance(record.get(key), str):
            return record.pop(key)
    return None


def file_id(place: str) -> str:
    """The id of a file: its name without its last extension; of an address that of the last part of its path.

    ``https://host/a%20b.mp4?x=1`` is ``a b``.
    """
    if scheme(place) is not None:
        place = urllib.parse.unquote(re.split("[?#]", place.partition("://")[2])[0])
    return os.path.splitext(place.rstrip("/").rpartition("/")[2])[0]  # noqa: PTH122  (a Path costs more)
