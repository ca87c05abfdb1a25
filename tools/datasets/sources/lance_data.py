"""Lance data sets: tables with the videos in a column, as blobs or as plain bytes (https://lance.org)."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tools.base.packages import require_package
from tools.datasets.sources import Found, SourceOptions
from tools.datasets.sources.extracting import Extraction
from tools.datasets.sources.places import Places, fault_of
from tools.datasets.sources.records import PATH_KEYS, RowTable, as_text, caption_of, file_id, renamed
from tools.errors import MediaError, UserError, first_line

_ROWS = 1024  # at a time, without their videos
_TAKEN = ("path", "id", "relpath", "text")
_BEGINNINGS = (
    (4, b"ftypqt", ".mov"),
    (4, b"ftyp", ".mp4"),
    (8, b"AVI ", ".avi"),
    (8, b"WEBP", ".webp"),
    (0, b"\x1a\x45\xdf\xa3", ".mkv"),
    (0, b"FLV", ".flv"),
    (0, b"GIF8", ".gif"),
    (0, b"\x30\x26\xb2\x75", ".wmv"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG", ".png"),
    (0, b"\x47", ".ts"),
)
"""Where a file has which bytes, and its extension, the more telling first; anything else becomes .mp4."""


def read(places: Sequence[str], options: SourceOptions) -> Found:
    """Read a Lance data set.

    Where a column holds videos (the one of blobs, else the one of bytes, or ``options.path_column``), each is
    written to ``DIR/<number of the row, 8 digits>.<extension by its first bytes>``, one at a time; a file
    that is there with the same content is kept. Otherwise the first text column of ``PATH_KEYS`` of
    `tools.datasets.sources.records` (or ``options.path_column``) has paths or addresses.

    Returns:
        Columns path, id (the column id, else the name of the file), relpath, text, and the other columns;
        lists and records are JSON, other bytes are left out. One called like a column of these without being
        it gets ``lance_`` before its name. Rows without a video or a path are failures.

    Raises:
        UserError: There is no such data set, it has no column of videos or paths, no folder to extract to is
            named, or the package is not installed.
    """
    data = _opened(places[0])
    columns = _columns(data)
    column, held = _media_column(places[0], columns, options.path_column)
    where = Places(Path(places[0]).parent if options.base is None else options.base)
    extraction = Extraction(options.extract, "lance") if held else None
    rows, failures = RowTable(("path", "id", "relpath")), []
    others = [name for name, kind in columns.items() if kind not in ("bytes", "blobs")]
    for number, record in enumerate(_records(data, others)):
        try:
            if extraction is None:
                cells = _placed(record.pop(column), where)
            else:
                cells = _extracted(data, column, held == "blobs", number, extraction, places[0])
        except MediaError as error:
            failures.append(MediaError(error.kind, f"{places[0]}: row {number}", error.message))
            continue
        given = record.pop("id", None)
        cells["id"] = file_id(str(cells["path"])) if given is None else as_text(given)
        text = caption_of(record, options.text_column)
        cells |= {} if text is None else {"text": text}
        rows.add({**cells, **renamed(record, _TAKEN, "lance_")})
    left = [name for name in columns if name not in others and name != column]
    notes = extraction.notes() if extraction else where.notes()
    if left:
        notes.append(f"columns of bytes that were not used: {', '.join(left)}")
    return Found(rows.table(), failures, notes, noun="row")


def _opened(place: str) -> Any:
    require_package("lance", "convert lance")
    lance = importlib.import_module("lance")
    if not Path(place).exists():
        raise UserError(f"{place}: there is no such data set")
    try:
        return lance.dataset(place)
    except (OSError, ValueError) as error:
        inner = sorted(
            str(path.parent) for depth in ("*", "*/*") for path in Path(place).glob(f"{depth}/_versions")
        )
        hint = f"; there is one in it: {', '.join(inner)}" if inner else f": {first_line(error)}"
        raise UserError(f"{place}: is no Lance data set{hint}") from None


def _columns(data: Any) -> dict[str, str]:
    """What each column holds: ``blobs``, ``bytes``, ``texts``, or anything else (empty)."""
    import pyarrow as pa

    kinds = {}
    for field in data.schema:
        name = str(getattr(field.type, "extension_name", ""))
        if (field.metadata or {}).get(b"lance-encoding:blob") == b"true" or name.startswith("lance.blob"):
            kinds[field.name] = "blobs"
        elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            kinds[field.name] = "bytes"
        else:
            text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            kinds[field.name] = "texts" if text else ""
    return kinds


def _media_column(place: str, columns: dict[str, str], wanted: str | None) -> tuple[str, str]:
    """The column with videos or paths, and what it holds: ``blobs``, ``bytes``, or paths (empty)."""
    if wanted is not None:
        if not columns.get(wanted):
            has = ", ".join(columns)
            raise UserError(f"{place}: no column '{wanted}' with videos or paths (it has: {has})")
        return wanted, columns[wanted].removesuffix("texts")
    for kind in ("blobs", "bytes"):
        found = [name for name, held in columns.items() if held == kind]
        found = [name for name in found if name in PATH_KEYS] if len(found) > 1 else found
        if found:
            return found[0], kind
    paths = [name for name in PATH_KEYS if columns.get(name) == "texts"]
    if not paths:
        has = ", ".join(columns)
        raise UserError(f"{place}: which column has videos or paths? --path-column names it (it has: {has})")
    return paths[0], ""


def _records(data: Any, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows without their videos, in their order."""
    if not columns:
        yield from ({} for _ in range(data.count_rows()))
        return
    for batch in data.to_batches(columns=columns, batch_size=_ROWS):
        for record in batch.to_pylist():
            yield {name: None if value != value else value for name, value in record.items()}


def _placed(place: Any, where: Places) -> dict[str, Any]:
    if place is None:
        raise MediaError("bad_value", "", "has no path")
    if fault := fault_of(place):
        raise MediaError("bad_value", "", f"{place[:100]!r} {fault}")
    return dict(where.cells(place))


def _extracted(
    data: Any, column: str, blobs: bool, number: int, extraction: Extraction, place: str
) -> dict[str, Any]:
    with _content(data, column, blobs, number) as content:
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        head = content.read(64)
        content.seek(0)
        name = f"{number:08d}{_extension(head)}"
        return {"path": str(extraction.put(content, size, name, place)), "relpath": name}


def _content(data: Any, column: str, blobs: bool, number: int) -> BinaryIO:
    """The video of a row: of a blob read as it is needed, of a column of bytes in memory."""
    if blobs:
        content = data.take_blobs(column, indices=[number])[0]
    else:
        value = data.take([number], columns=[column])[column][0].as_py()
        content = None if value is None else io.BytesIO(value)
    if content is None:
        raise MediaError("empty", "", f"column {column} is empty")
    return content


def _extension(head: bytes) -> str:
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head:
        return ".webm"
    return next((ext for at, mark, ext in _BEGINNINGS if head[at:].startswith(mark)), ".mp4")
