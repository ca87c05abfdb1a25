"""``dataset.json``: what an exported folder holds, what it was made from, and a digest of every file.

Three files, so that reading what there is needs no memory for millions of files:

* ``dataset.json``: preset, source, stages and weights behind it, counts and hours;
* ``dataset_clips.json``: every clip, with the row that it was made from;
* ``dataset_files.json``: every other file with its size and SHA-256.

The lists have one object a line. No trainer takes files that end in .json for clips. There is no time and no
place in them unless asked for: the same export is the same to the byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from tools import __version__
from tools.base.disk import publish, remove_quietly, system_message, writing
from tools.base.temporary_files import temporary_file, write_whole
from tools.errors import UserError
from tools.export.explain import explain
from tools.export.items import Item, as_clip
from tools.export.presets import Preset
from tools.export.provenance import steps_of
from tools.export.trainers.base import Setup
from tools.export.trainers.judgement import Clip
from tools.stage.provenance import digest_file
from tools.stage.shards import STATE_FOLDER

MANIFEST = "dataset.json"
CLIPS = "dataset_clips.json"
FILES = "dataset_files.json"

FORMAT = 1
"""Raised when a reader of earlier manifests could misunderstand a new one."""

LICENCE_COLUMNS = ("licence", "license", "rights")
"""Columns of which the first that a table has says the licence of each row."""

_HASHED_AT_ONCE = 4  # files: disks are slower than one core


@dataclass(frozen=True)
class About:
    """What an export was made from, and how.

    Attributes:
        preset: What it is for.
        setup: How one trains.
        table: The table.
        frame: Its rows; a column of licences is counted.
        command: What was typed, as ``sys.argv[1:]``; the folder after ``-o`` is left out.
        options: What else decides the result, by name.
        time: When, in any form; "" for not saying it.
    """

    preset: Preset
    setup: Setup
    table: Path
    frame: pl.DataFrame
    command: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""


def write_manifest(
    folder: Path,
    items: Sequence[Item],
    about: About,
    entries: Callable[[], Iterable[dict[str, Any]]] | None = None,
) -> Path:
    """Write the manifest of a folder in which everything else is finished.

    Every file in it is read once. Hidden files and folders are not part of the data set.

    Args:
        folder: The exported folder.
        items: What was written, in any order.
        about: What it was made from.
        entries: Gives all files but the manifest itself, in the order of `in_order`, where they are not in
            `folder`; called when the list of clips is there.

    Returns:
        The path of ``dataset.json``.

    Raises:
        UserError: A file cannot be read, or two clips have one key.
        DiskError: The disk is full, for example.
    """
    ordered = sorted(items, key=lambda item: item.key)
    repeated = next((key for key, count in Counter(i.key for i in ordered).items() if count > 1), None)
    if repeated is not None:
        raise UserError(f"{folder}: two clips have the key {repeated!r}")
    refuse_others(folder)
    # A manifest of an earlier export is none of this one, should this be killed.
    remove_quietly(folder / MANIFEST)
    _write_list(folder / CLIPS, (clip_entry(item) for item in ordered))
    count, size = 0, 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal count, size
        for entry in hashed(folder, files_in(folder)) if entries is None else entries():
            count, size = count + 1, size + entry["bytes"]
            yield entry

    digest = _write_list(folder / FILES, counted())
    files = {"list": FILES, "sha256": digest, "count": count, "bytes": size}
    whole = {**described(about), "clips": CLIPS, **counts(ordered, about), "files": files}
    path = folder / MANIFEST
    write_whole(path, (json.dumps(whole, indent=2, default=str) + "\n").encode(), "the manifest")
    return path


def refuse_others(folder: Path) -> None:
    """Make sure that no file of somebody else has the name of a manifest.

    Raises:
        UserError: There is one.
    """
    path = folder / MANIFEST
    try:
        whole = json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        whole = None
    if not isinstance(whole, dict) or not {"format", "preset"} <= set(whole):
        raise UserError(f"{path}: is no manifest of an export; move it, or choose another folder")


def described(about: About) -> dict[str, Any]:
    """Where an export comes from, without what is in it."""
    digest = digest_file(about.table)
    trainer, setup = about.preset.trainer, about.setup
    whole: dict[str, Any] = {
        "format": FORMAT,
        "preset": about.preset.name,
        "trainer": {"name": trainer.name, **asdict(trainer.rule)},
        "setup": {**asdict(setup), "model": setup.model.name},
        "versions": {"vidsieve": __version__, "python": platform.python_version(), "av": _version("av")},
        "command": _without_output(about.command),
        "options": dict(about.options),
        "source": {"table": about.table.name, "sha256": digest, "rows": about.frame.height},
        "stages": steps_of(about.table, digest),
    }
    if about.time:
        whole["time"] = about.time
    return whole


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not known"


def _without_output(command: Sequence[str]) -> list[str]:
    found, words = [], iter(command)
    for word in words:
        if word in ("-o", "--output", "--output-dir", "--output_dir"):
            next(words, None)
        elif not word.startswith(("--output=", "--output-dir=", "--output_dir=")):
            found.append(word)
    return found


def clip_entry(item: Item) -> dict[str, Any]:
    """What the list of clips says of one; its caption is in the files of its trainer."""
    entry = asdict(item)
    del entry["caption"]
    return entry


def counts(items: Sequence[Item], about: About) -> dict[str, Any]:
    """Clips and hours in all, of each split and bucket, and of each licence."""
    splits: dict[str, list[Clip]] = {}
    for item in items:
        splits.setdefault(item.split, []).append(replace(as_clip(item), caption=item.caption or None))
    found, buckets = {}, []
    for name, clips in sorted(splits.items()):
        summary = explain(clips, about.preset.trainer, about.setup).summary
        found[name] = {"clips": summary.clips, "hours": hours(summary.seconds)}
        for bucket, line in summary.buckets.items():
            one = {"split": name, "bucket": str(bucket), "clips": line.clips, "examples": line.pieces}
            one |= {"hours": hours(line.seconds), "dropped": line.dropped.pieces if line.dropped else 0}
            buckets.append(one)
    total = sum(clip.seconds for clips in splits.values() for clip in clips)
    whole: dict[str, Any] = {"count": len(items), "hours": hours(total), "splits": found, "buckets": buckets}
    column = next((name for name in LICENCE_COLUMNS if name in about.frame.columns), None)
    if column is not None:
        cells = about.frame[column].cast(pl.String).fill_null("").to_list()
        named = Counter(cells[item.source_row].strip() or "not said" for item in items)
        whole["licences"] = dict(sorted(named.items(), key=lambda pair: (-pair[1], pair[0])))
    return whole


def hours(seconds: float) -> float:
    """Hours, to the tenth of a second."""
    return round(seconds / 3600, 5)


def files_in(folder: Path) -> Iterator[str]:
    """Files of a data set with / in their paths, in the order of their names; one folder in memory at a time.

    Raises:
        UserError: A folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot read the folder: {system_message(error)}") from None

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != STATE_FOLDER)
        below = Path(parent).relative_to(folder)
        for name in sorted(files):
            path = (below / name).as_posix()
            if not name.startswith(".") and path not in (MANIFEST, FILES):
                yield path


def in_order(names: Iterable[str]) -> list[str]:
    """Files in the order of `files_in`: those of a folder before those of the folders in it."""
    return sorted(names, key=lambda name: [*((1, part) for part in name.split("/")[:-1]), (0, name)])


def hashed(folder: Path, files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Path, size and SHA-256 of each file, in the order given; several are read at once, few are waited for.

    Raises:
        UserError: A file cannot be read.
    """

    def entry(name: str) -> dict[str, Any]:
        path = folder / name
        digest = digest_file(path)
        return {"file": name, "bytes": path.stat().st_size, "sha256": digest}

    rest = iter(files)
    with ThreadPoolExecutor(_HASHED_AT_ONCE) as threads:
        while some := list(islice(rest, 64 * _HASHED_AT_ONCE)):
            yield from threads.map(entry, some)


def _write_list(path: Path, entries: Iterable[dict[str, Any]]) -> str:
    """A JSON list of one object a line, and its SHA-256."""
    digest = hashlib.sha256()
    with writing(path, "the list"), temporary_file(path) as temporary:
        with temporary.open("wb") as file:

            def write(text: str) -> None:
                digest.update(text.encode())
                file.write(text.encode())

            write("[")
            for number, entry in enumerate(entries):
                write(("," if number else "") + "\n" + json.dumps(entry))
            write("\n]\n")
        publish(temporary, path)
    return digest.hexdigest()


def read_list(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a list that `write_manifest` wrote, one line in memory at a time.

    Raises:
        UserError: It cannot be read, or is no such list.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                text = line.strip().rstrip(",")
                if text not in ("[", "]", ""):
                    try:
                        entry = json.loads(text)
                    except ValueError:
                        entry = None
                    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
                        raise UserError(f"{path}: line {number} is damaged")
                    yield entry
    except OSError as error:
        raise UserError(f"{path}: cannot read: {system_message(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is damaged: no UTF-8") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """``dataset.json`` of a folder.

    Raises:
        UserError: There is none, or none that this version reads.
    """
    path = folder / MANIFEST
    try:
        whole = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path}: cannot read: {system_message(error)}; --check judges folders without a manifest"
        ) from None
    except ValueError:
        raise UserError(f"{path}: is damaged: no JSON") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise UserError(f"{path}: is no manifest of this version of vidsieve")
    return whole
