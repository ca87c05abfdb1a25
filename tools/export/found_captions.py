"""Captions of clips that are in a folder already, found where each trainer looks for them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tools.base.disk import system_message
from tools.errors import UserError
from tools.table.sidecar import is_sidecar


class _Listing(NamedTuple):
    """A table that names the files which a trainer reads."""

    files: tuple[str, ...]  # columns, of which one must be there
    captions: tuple[str, ...]
    folder: str = ""  # to which the paths are relative


_LISTINGS = {
    "ltx-trainer": _Listing(("video", "media_path"), ("caption",)),
    "diffsynth": _Listing(("video",), ("prompt",)),
    "videox-fun": _Listing(("file_path",), ("text",)),
    "open-sora": _Listing(("path",), ("text",)),
    "fastvideo": _Listing(("path",), ("cap",), "videos"),
    "videofolder": _Listing(("file_name", "video_file_name"), ("caption", "text", "prompt")),
}
_LINES = ("cogvideo", "finetrainers")
"""Trainers that read a line of prompts.txt for each line of videos.txt; the second one if these are there."""

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


def found_captions(folder: Path, trainer: str, media: Sequence[str], trained_at: str = "") -> Found:
    """The clips that a trainer would read and their captions.

    Args:
        folder: The folder that the trainer is given.
        trainer: Its name.
        media: The files that it could open, as `tools.export.trainers.base.Trainer.reads` says.
        trained_at: Where the folder lies for training, if not here.

    Raises:
        UserError: The table that its clips are listed in is not there, or cannot be read.
    """
    if trainer in _LISTINGS:
        return _listed(folder, trainer, media, trained_at)
    if trainer in _LINES and ((folder / "prompts.txt").exists() or trainer == "cogvideo"):
        return _by_line(folder, trainer, media)
    if trainer == "diffusion-pipe" and (folder / "captions.json").exists():
        whole = _json(folder / "captions.json")
        if not isinstance(whole, dict):
            raise UserError(f"{folder / 'captions.json'}: must be an object of file names and captions")
        return Found({file: _first(whole.get(PurePosixPath(file).name)) for file in media})
    return Found({file: _text(folder / _beside(file, trainer)) for file in media})


def _beside(file: str, trainer: str) -> PurePosixPath:
    path = PurePosixPath(file).with_suffix(".txt")
    return PurePosixPath("metas") / path.name if trainer == "cosmos" else path


def _text(path: Path) -> str | None:
    """A file of one caption, without blanks around it; what is no UTF-8 in it is replaced by U+FFFD."""
    try:
        return path.read_bytes().decode("utf-8-sig", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None


def _by_line(folder: Path, trainer: str, media: Sequence[str]) -> Found:
    lines = {}
    for name in ("prompts.txt", "videos.txt"):
        text = _text(folder / name)
        if text is None:
            raise UserError(f"{folder}: {trainer} reads prompts.txt and videos.txt, and there is no {name}")
        lines[name] = [line.strip() for line in text.splitlines()]
    prompts, videos = lines["prompts.txt"], lines["videos.txt"]
    if len(prompts) != len(videos):
        counts = f"{len(prompts)} lines in prompts.txt, {len(videos)} in videos.txt"
        raise UserError(f"{folder}: {counts}: {trainer} ends with an error")
    return _matched(folder, "", zip(videos, prompts, strict=True), media)


def _listed(folder: Path, trainer: str, media: Sequence[str], trained_at: str) -> Found:
    listing = _LISTINGS[trainer]
    tables = sorted(path for path in folder.iterdir() if path.suffix in _TABLES and path.name not in _OWN)
    tables = [path for path in tables if not is_sidecar(path)]
    rows = [row for path in tables for row in _rows(path, listing)]
    if trainer == "videofolder":
        rows += _of_folders(folder, listing, media)
    if not rows and trainer == "videofolder":  # a table is welcome there, not needed
        return Found(dict.fromkeys(media))
    if not rows:
        columns = f"{' or '.join(listing.files)}, and {' or '.join(listing.captions)}"
        raise UserError(
            f"{folder}: {trainer} reads clips that a table (CSV, JSON, JSON Lines or Parquet) lists, and "
            f"there is none with columns {columns}"
        )
    return _matched(folder, listing.folder, rows, media, trained_at)


def _of_folders(folder: Path, listing: _Listing, media: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Rows of the metadata files in the folders of a video folder, where names of files begin."""
    folders = {parent for name in media for parent in list(PurePosixPath(name).parents)[:-1]}
    for below in sorted(folders):
        for suffix in _TABLES:
            path = folder / below / f"metadata{suffix}"
            if suffix != ".json" and path.is_file():
                yield from ((f"{below}/{file}", caption) for file, caption in _rows(path, listing))


def _rows(path: Path, listing: _Listing) -> Iterator[tuple[str, str | None]]:
    """File and caption of each row of a table; nothing if it is a table of something else."""
    if path.suffix == ".json":
        whole = _json(path)
        entries = [entry for entry in whole if isinstance(entry, dict)] if isinstance(whole, list) else []
    else:
        from tools.table import scan_table

        frame = scan_table(path)
        names = frame.collect_schema().names()
        columns = [name for name in (*listing.files, *listing.captions) if name in names]
        entries = frame.select(columns).collect().iter_rows(named=True) if columns else ()
    for entry in entries:
        file = next((entry[name] for name in listing.files if entry.get(name)), None)
        if file is not None:
            given = next((entry[name] for name in listing.captions if entry.get(name) is not None), None)
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
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None
    except ValueError:
        raise UserError(f"{path}: is no JSON") from None


def _first(caption: Any) -> str | None:
    """A caption, or the first of several."""
    if isinstance(caption, list):
        caption = caption[0] if caption else None
    return None if caption is None else str(caption).strip()
