"""JSON Lines of others: one record for each video, with a path or an address under one of many names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.base.disk import system_message
from tools.datasets.sources import Found, SourceOptions
from tools.datasets.sources.places import Places, fault_of
from tools.datasets.sources.records import PATH_KEYS, RowTable, as_text, caption_of, file_id, renamed
from tools.errors import MediaError, UserError
from tools.table.json_rows import placed_records


def read(places: Sequence[str], options: SourceOptions) -> Found:
    """Read records of JSON Lines (of a .json file: a list of them), perhaps compressed.

    The path is the first of ``PATH_KEYS`` of `tools.datasets.sources.records` that has a text in it, or
    ``options.path_column``; the caption, which becomes text, the first of ``TEXT_KEYS``, or
    ``options.text_column``. All other keys are columns; those called path, id, relpath or text without being
    it get ``json_`` before their name. Relative paths begin in the folder of the file, or in
    ``options.base``. A record with an id keeps it, as text.

    Returns:
        Columns path, id, relpath, text (where there is a caption) and the other keys. A record without a path
        is no row but a failure.

    Raises:
        UserError: There is no such file, a line is no record (with its number), or none has a path.
    """
    source = Path(places[0])
    where = Places(source.parent if options.base is None else options.base)
    rows = RowTable(("path", "id", "relpath"))
    failures: list[MediaError] = []
    keys: dict[str, None] = {}
    count = 0
    try:
        for at, record in placed_records(source):
            keys.update(dict.fromkeys(record))
            place = _path_of(record, options.path_column)
            fault = "has no path" if place is None else fault_of(place)
            if place is None or fault:
                named = f"{place[:100]!r} " if place else ""
                failures.append(MediaError("bad_value", f"{source}: {at}", f"{named}{fault}"))
                continue
            rows.add(_row(record, place, where, options.text_column))
            count += 1
    except (OSError, EOFError) as error:
        raise UserError(f"{source}: cannot read the file: {system_message(error)}") from None
    if not count:
        wanted = options.path_column or ", ".join(PATH_KEYS)
        has = f"; its keys are {', '.join(keys)}; --path-column names the one" if keys else ", and no record"
        raise UserError(f"{source}: has no key with paths or addresses ({wanted}){has}")
    return Found(rows.table(), failures, where.notes(), [source], "row")


def _path_of(record: dict[str, Any], column: str | None) -> str | None:
    """Take the path out of a record."""
    for key in (column,) if column else PATH_KEYS:
        if isinstance(record.get(key), str) and record[key].strip():
            return record.pop(key)
        inner = record.get(key)
        if isinstance(inner, dict) and isinstance(inner.get("path"), str) and inner["path"].strip():
            return record.pop(key)["path"]  # as datasets of Hugging Face write media
    return None


def _row(record: dict[str, Any], place: str, where: Places, text_column: str | None) -> dict[str, Any]:
    cells: dict[str, Any] = {**where.cells(place)}
    given = record.pop("id", None)
    cells["id"] = file_id(place) if given is None else as_text(given)
    if not record.get("path"):
        record.pop("path", None)  # empty, as the path is under another key
    caption = caption_of(record, text_column)
    if caption is not None:
        cells["text"] = caption
    return {**cells, **renamed(record, ("path", "id", "relpath", "text"), "json_")}
