"""Captions of the clips in an existing folder, found where each trainer looks for them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tools.base.disk import system_message
from tools.errors import UserError
from tools.export.trainers.base import Table, Trainer
from tools.table.sidecar import is_sidecar

_PROMPTS, _VIDEOS = "prompts.txt", "videos.txt"
_ABOVE = 3
"""Folders above the trainer's that paths in a list may begin with."""

_TABLES = (".csv", ".jsonl", ".parquet", ".json")
_OWN = ("dataset.json", "dataset_clips.json", "dataset_files.json")


@dataclass
class Found:
    """What a trainer would find.

    Attributes:
        captions: File → caption, "" where that is empty, None where there is none. In the order found.
        missing: Files that a list names and that are not there.
        unlisted: Files in the folder that the trainer's list does not name.
    """

    captions: dict[str, str | None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def found_captions(folder: Path, trainer: Trainer, media: Sequence[str], trained_at: str = "") -> Found:
    """The clips that a trainer would read and their captions.

    Args:
        folder: The folder that the trainer is given.
        trainer: What reads it.
        media: The files that it could open, as `Trainer.reads` says.
        trained_at: Where the folder lies for training, if not here.

    Raises:
        UserError: The table that its clips are listed in is not there, or cannot be read.
    """
    where = trainer.captions
    if where.table is not None:
        return _listed(folder, trainer, where.table, media, trained_at)
    if where.by_line and (where.required or (folder / _PROMPTS).exists()):
        return _by_line(folder, trainer, media)
    if where.by_name and (folder / where.by_name).exists():
        whole = _json(folder / where.by_name)
        if not isinstance(whole, dict):
            raise UserError(f"{folder / where.by_name}: must be an object of file names and captions")
        return Found({file: _first(whole.get(PurePosixPath(file).name)) for file in media})
    files = {file: PurePosixPath(file).with_suffix(".txt") for file in media}
    if where.folder:
        files = {file: PurePosixPath(where.folder, text.name) for file, text in files.items()}
    return Found({file: _text(folder / text) for file, text in files.items()})


def _text(path: Path) -> str | None:
    """A file of one caption, without blanks around it; what is no UTF-8 in it is replaced by U+FFFD."""
    try:
        return _content(path).decode("utf-8-sig", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path}: is no file")
    return path.read_bytes()


def _by_line(folder: Path, trainer: Trainer, media: Sequence[str]) -> Found:
    lines = {}
    for name in (_PROMPTS, _VIDEOS):
        text = _text(folder / name)
        if text is None:
            raise UserError(
                f"{folder}: {trainer.name} reads {_PROMPTS} and {_VIDEOS}, and there is no {name}"
            )
        lines[name] = [line.strip() for line in text.splitlines()]
    prompts, videos = lines[_PROMPTS], lines[_VIDEOS]
    if len(prompts) != len(videos):
        counts = f"{len(prompts)} lines in {_PROMPTS}, {len(videos)} in {_VIDEOS}"
        raise UserError(f"{folder}: {counts}: {trainer.name} ends with an error")
    return _matched(folder, "", zip(videos, prompts, strict=True), media)


def _listed(folder: Path, trainer: Trainer, table: Table, media: Sequence[str], trained_at: str) -> Found:
    required = trainer.captions.required
    paths = sorted(path for path in folder.iterdir() if path.suffix in _TABLES and path.name not in _OWN)
    rows = [row for path in paths if not is_sidecar(path) for row in _rows(path, table)]
    if not required:
        rows += _of_folders(folder, table, media)
    if rows:
        return _matched(folder, table.folder, rows, media, trained_at)
    if not required:
        return Found(dict.fromkeys(media))
    columns = f"{' or '.join(table.files)}, and {' or '.join(table.captions)}"
    raise UserError(
        f"{folder}: {trainer.name} reads clips that a table (CSV, JSON, JSON Lines or Parquet) lists, and "
        f"there is none with columns {columns}"
    )


def _of_folders(folder: Path, table: Table, media: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Rows of the metadata files in the folders of a video folder, where names of files begin."""
    folders = {parent for name in media for parent in list(PurePosixPath(name).parents)[:-1]}
    for below in sorted(folders):
        for suffix in _TABLES:
            path = folder / below / f"metadata{suffix}"
            if suffix != ".json" and path.is_file():
                yield from ((f"{below}/{file}", caption) for file, caption in _rows(path, table))


def _rows(path: Path, table: Table) -> Iterator[tuple[str, str | None]]:
    """File and caption of each row of a table; nothing if it is a table of something else."""
    if path.suffix == ".json":
        whole = _json(path)
        entries = [entry for entry in whole if isinstance(entry, dict)] if isinstance(whole, list) else []
    else:
        from tools.table import scan_table
        from tools.table.files import collected

        frame = scan_table(path)
        names = frame.collect_schema().names()
        columns = [name for name in (*table.files, *table.captions) if name in names]
        entries = collected(frame.select(columns), path).iter_rows(named=True) if columns else ()
    for entry in entries:
        file = next((entry[name] for name in table.files if entry.get(name)), None)
        if file is not None:
            given = next((entry[name] for name in table.captions if entry.get(name) is not None), None)
            yield str(file), _first(given)


def _matched(
    folder: Path,
    prefix: str,
    rows: Iterable[tuple[str, str | None]],
    media: Collection[str],
    trained_at: str = "",
) -> Found:
    """Rows of a list with the files of the folder."""
    found, known = Found(), set(media)
    parts = folder.absolute().parts
    # Paths relative to the folder, to one of the folders that it is in, to where one trains, or absolute.
    above = [
        "".join(f"{part}/" for part in parts[-depth:]) for depth in range(1, min(len(parts), _ABOVE + 1))
    ]
    above += [f"{trained_at.rstrip('/')}/"] if trained_at else []
    for given, caption in rows:
        file = PurePosixPath(prefix, given).as_posix()
        if file not in known:
            plain = PurePosixPath(given).as_posix()
            begin = next((one for one in above if plain.startswith(one)), None)
            file = plain[len(begin) :] if begin else Path(os.path.relpath(given, folder)).as_posix()
        if file in known:
            found.captions[file] = caption
        else:
            found.missing.append(given)
    found.unlisted = [file for file in media if file not in found.captions]
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(_content(path))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None
    except ValueError:
        raise UserError(f"{path}: is no JSON") from None


def _first(caption: Any) -> str | None:
    """A caption, or the first of several."""
    if isinstance(caption, list):
        caption = caption[0] if caption else None
    return None if caption is None else str(caption).strip()
