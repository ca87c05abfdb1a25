"""The exported folder: its clips as items, its texts, and what else lies there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from tools.base.disk import make_folder, writing
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.export.items import Item
from tools.export.planning import RowPlan
from tools.export.stage import window_name
from tools.export.trainers.base import Trainer


def items_of(
    written: Iterable[Mapping[str, Any]],
    plans: Sequence[RowPlan],
    targets: Sequence[str | None],
    splits: Sequence[str] | None = None,
) -> list[Item]:
    """The clips that are in the folder, in the order of the table they come from.

    Args:
        written: Rows of the table that `tools.export.stage.ExportStage` wrote.
        plans: What was planned, one for each row of the source table.
        targets: The path of each row's file, as the stage took it in the end.
        splits: The split of each row; None for none.
    """
    places = places_of(plans, targets)
    found = []
    for values in written:
        if values["relpath"] not in places:
            continue
        row, number = places[values["relpath"]]
        plan = plans[row]
        item = Item(
            key=PurePosixPath(values["relpath"]).stem,
            file=values["relpath"],
            width=int(values["width"]),
            height=int(values["height"]),
            num_frames=int(values["num_frames"]),
            fps=float(values["fps"]),
            has_audio=bool(values["has_audio"]),
            caption=plan.pieces[number].clip.caption or "",
            source_row=row,
            source_path=plan.source.name,
            split="" if splits is None else splits[row],
        )
        found.append(((row, number), item))
    return [item for _, item in sorted(found, key=lambda one: one[0])]


def places_of(plans: Sequence[RowPlan], targets: Sequence[str | None]) -> dict[str, tuple[int, int]]:
    """The row of the source table, and the number of its piece, of each file that may be made."""
    places: dict[str, tuple[int, int]] = {}
    for plan, target in zip(plans, targets, strict=True):
        if target:
            count = len(plan.pieces)
            names = [window_name(target, number, count) for number in range(1, count + 1)]
            places |= {name: (plan.row, number) for number, name in enumerate(names)}
    return places


def planned_items(
    plans: Sequence[RowPlan], targets: Sequence[str | None], splits: Sequence[str] | None = None
) -> list[Item]:
    """The clips that would be in the folder if no row failed; arguments as for `items_of`."""
    written = []
    for name, (row, number) in places_of(plans, targets).items():
        clip = plans[row].pieces[number].clip
        found = {key: getattr(clip, key) for key in ("width", "height", "num_frames", "fps", "has_audio")}
        written.append({"relpath": name, **found})
    return items_of(written, plans, targets, splits)


def refuse_texts(folder: Path, texts: Iterable[tuple[str, str]], state: Path) -> None:
    """Make sure, before a clip is written, that no file of somebody else has the name of a text.

    Args:
        folder: The exported folder.
        texts: Path below the folder and text of each file, as they would be if no row failed.
        state: See `write_texts`, which looks again.

    Raises:
        UserError: There is one.
    """
    known = _known(state / "texts.json")
    for name, text in texts:
        there = None if name in known else _digest_of(folder / name)
        if there not in (None, hashlib.sha256(text.encode("utf-8")).hexdigest()):
            raise _another_file(folder / name)


def _another_file(path: Path) -> UserError:
    return UserError(f"{path}: another file is there; --overwrite replaces it, or choose another folder")


def write_texts(
    folder: Path,
    texts: Iterable[tuple[str, str]],
    state: Path,
    *,
    overwrite: bool = False,
    prune: bool = False,
) -> list[str]:
    """Write captions, tables and configurations into the folder; those that are there already stay.

    Args:
        folder: The exported folder.
        texts: Path below the folder and text of each file.
        state: Folder in which the digests of the texts that were written are kept: by them a text of an
            earlier run of the same export is told from one of somebody else.
        overwrite: Replace texts of others, too.
        prune: Remove texts of earlier runs that are not among them and were not changed since.

    Returns:
        The paths, in the order given.

    Raises:
        UserError: Another file has the name of a text.
    """
    wanted = {name: text.encode("utf-8") for name, text in texts}
    listed = state / "texts.json"
    known = _known(listed)
    kept: dict[str, list[str]] = {}
    for name, content in wanted.items():
        path = folder / name
        there = _digest_of(path)
        own = hashlib.sha256(content).hexdigest()
        if there is not None and there != own and there not in known.get(name, ()) and not overwrite:
            raise _another_file(path)
        kept[name] = sorted({own, *([there] if there else ())})
    for name in sorted(known.keys() - wanted.keys()) if prune else ():
        if _digest_of(folder / name) in known.pop(name):
            with writing(folder / name):
                (folder / name).unlink(missing_ok=True)
    make_folder(state)
    # Before they are written: so a run that was killed in between knows its own texts.
    write_whole(listed, json.dumps({**known, **kept}, sort_keys=True).encode(), "the list of texts")
    for name, content in wanted.items():
        path = folder / name
        if _digest_of(path) != hashlib.sha256(content).hexdigest():
            make_folder(path.parent)
            write_whole(path, content)
    return list(wanted)


def names_in(folder: Path) -> list[str]:
    """The files below a folder, with ``/``; none of hidden folders."""
    names = []
    for below, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [Path(below, name).relative_to(folder).as_posix() for name in sorted(files)]
    return names


def strangers(
    names: Iterable[str], roots: Iterable[str], trainer: Trainer, items: Sequence[Item]
) -> list[str]:
    """Media files that the trainer would read beside those of the items.

    Args:
        names: Of the files in the exported folder.
        roots: The folders below it that the trainer is given, one for each split; "" for the folder itself.
        trainer: What reads it.
        items: What was exported.
    """
    names = list(names)
    own = {item.file for item in items}
    found = []
    for root in dict.fromkeys(roots):
        begin = f"{root}/" if root else ""
        inside = [name.removeprefix(begin) for name in names if name.startswith(begin)]
        found += [begin + name for name in trainer.reads(inside)]
    return [name for name in dict.fromkeys(found) if name not in own]


def _known(listed: Path) -> dict[str, list[str]]:
    with suppress(OSError, ValueError):
        found = json.loads(listed.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
