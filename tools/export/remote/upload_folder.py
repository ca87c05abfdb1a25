"""An export to an address: clips go to object storage as they are made, then the texts, then the manifest."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.temporary_files import temporary_folder
from tools.base.terminal import counted
from tools.export import write_folder
from tools.export.folder import places_of, planned_items, strangers
from tools.export.items import Item
from tools.export.layouts.base import join
from tools.export.layouts.shard_folder import SHARDS
from tools.export.manifest import CLIPS, FILES, MANIFEST, files_in, hashed, in_order, write_manifest
from tools.export.planning import RowPlan
from tools.export.presets import SHARDED, Preset, layout_of
from tools.export.remote.stage import AT_ONCE, UploadingStage
from tools.export.remote.uploads import Uploads
from tools.export.trainers.base import Setup
from tools.media.fetching.remote_folder import RemoteFolder
from tools.stage.failures import own_list
from tools.stage.names.folder_tables import parts_of
from tools.stage.options import run_options
from tools.stage.shards import current_shard, state_of
from tools.table import failures_path, split_part

_OWN = (MANIFEST, CLIPS, FILES)


def upload_folder(
    args: argparse.Namespace,
    table: pl.DataFrame,
    plans: Sequence[RowPlan],
    chosen: Preset,
    setup: Setup,
    splits: Sequence[str] | None,
) -> int:
    """Write the folder at the address ``args.output_dir``.

    The table of the clips and the ledger are on this machine, and a copy of the table is beside the folder.

    Args:
        args: The command line.
        table: The source table.
        plans: One for each of its rows.
        chosen: The preset.
        setup: How one trains.
        splits: The split of each row; None for none.

    Returns:
        The exit code: 0 only if there is a clip in the folder.
    """
    address = args.output_dir.rstrip("/")
    output = write_folder.clips_table(args)
    uploads = Uploads(RemoteFolder(args.output_dir), _list_of(address, output))
    uploads.refresh()
    if not args.overwrite:
        uploads.refuse(MANIFEST)
    beside = _beside(address, output) if not args.output else None
    if beside is not None:
        beside.refresh([output.name])
        if not args.overwrite:
            beside.refuse(output.name)
    if chosen.trainer.name in SHARDED:
        work = state_of(output) / "folder"
        here = argparse.Namespace(**{**vars(args), "output_dir": str(work), "output": str(output)})
        then = partial(_upload_shards, uploads, work, write_folder.about_of(args, table, chosen, setup), args)
        return write_folder.write_folder(here, table, plans, chosen, setup, splits, then)
    return _upload(args, table, plans, chosen, setup, splits, output, uploads, beside)


def _upload(
    args: argparse.Namespace,
    table: pl.DataFrame,
    plans: Sequence[RowPlan],
    chosen: Preset,
    setup: Setup,
    splits: Sequence[str] | None,
    output: Path,
    uploads: Uploads,
    beside: Uploads | None,
) -> int:
    layout = layout_of(chosen.trainer.name)
    options = dataclasses.replace(run_options(args), batch_size=AT_ONCE)
    on_their_way = state_of(output) / f"clips{current_shard().rank}"
    stage = UploadingStage(
        str(on_their_way),
        overwrite=options.overwrite,
        workers=options.num_workers,
        address=uploads.folder.address,
        **{name: getattr(args, name) for name in ("codec", "crf", "preset", "hdr")},
    )

    def texts_of(items: Sequence[Item]) -> dict[str, bytes]:
        return {name: text.encode() for name, text in layout.texts(items, setup, args.root or ".")}

    def check(targets: list[str | None]) -> None:
        uploads.refuse_others(texts_of(planned_items(plans, targets, splits)))

    targets = write_folder.targets_of(table, plans, layout, splits)
    pieces = [[piece.cut for piece in plan.pieces] for plan in plans]
    stage.plan_files(targets, pieces, None if options.overwrite else check)
    stage.upload_to(uploads, partial(_is_mine, stage, places_of(plans, targets), table.height))
    code, items = write_folder.make_clips(stage, args.meta, output, options, plans, splits)
    if not items:
        return code
    if not current_shard().alone:
        uploads.refresh()  # what the other ranks have written
    texts = texts_of(items)
    uploads.put_all(texts, foreign=options.overwrite)
    names = {*(item.file for item in items), *texts}
    if args.prune:
        uploads.remove(set(uploads.known()) - names - {*_OWN})
    about = write_folder.about_of(args, table, chosen, setup)
    _write_manifest(uploads, items, about, names, foreign=options.overwrite)
    roots = {item.split: layout.root(item.split) for item in items}
    others = strangers(uploads.objects, roots.values(), chosen.trainer, items)
    write_folder.report(uploads.folder.address, others, items, plans, chosen, setup)
    if not args.root and _says_where(layout, items, setup):
        note = "paths in its configuration are relative: train from inside of the folder, or say --root PATH"
        print(f"{chosen.trainer.name}: {note}", file=sys.stderr)
    print(f"table: {_upload_table(beside, output, foreign=options.overwrite) or output}")
    return code


def _is_mine(stage: UploadingStage, places: Mapping[str, tuple[int, int]], total: int, name: str) -> bool:
    """Whether an object is written by this rank alone: by one of its rows, or when all rows are done."""
    if name not in places:
        return current_shard().rank == 0
    row, _ = places[name]
    return row in stage.own_rows(total)


def _says_where(layout: Any, items: Sequence[Item], setup: Setup) -> bool:
    """Whether a configuration says where the folder is."""
    one = items[:1]
    return list(layout.texts(one, setup, ".")) != list(layout.texts(one, setup, "/data"))


def _write_manifest(
    uploads: Uploads, items: Sequence[Item], about: Any, names: Collection[str], *, foreign: bool
) -> None:
    """Write the manifest last: one that is there is that of a finished export."""
    with temporary_folder() as folder:

        def entries() -> Iterator[dict[str, Any]]:
            for name in in_order([*names, CLIPS]):
                yield from hashed(folder, [CLIPS]) if name == CLIPS else [uploads.entry(name)]

        path = write_manifest(folder, items, about, entries)
        if not uploads.is_there(path, MANIFEST):
            uploads.remove([MANIFEST])  # of an earlier export, should this be killed
        for name in reversed(_OWN):
            uploads.put_text(folder / name, name, foreign=foreign)


def _upload_shards(
    uploads: Uploads, work: Path, about: Any, args: argparse.Namespace, items: list[Item]
) -> None:
    """Upload what was packed on this machine, without the clips that it was packed from."""
    folders = tuple(f"{join(split, SHARDS)}/" for split in {item.split for item in items})
    names = [name for name in files_in(work) if name.startswith(folders)]
    uploads.end_open_uploads(lambda name: True)
    for name in names:  # one by one: a storage takes the parts of a large file side by side
        uploads.put_text(work / name, name, foreign=args.overwrite)
    earlier = set(uploads.known()) - {*names, *_OWN}
    # A shard too many in a folder would be read, too.
    uploads.remove(name for name in earlier if args.prune or name.startswith(folders))
    _write_manifest(uploads, items, about, names, foreign=args.overwrite)
    print(f"{uploads.folder.address}: {counted(len(names), 'file')}")
    print(f"the clips stay in {work} for further runs; remove it when there is none", file=sys.stderr)


def _beside(address: str, output: Path) -> Uploads | None:
    """What is written beside the folder at an address: the table. None where the folder is a whole bucket."""
    parent = address.rpartition("/")[0]
    if parent.endswith("/"):
        return None
    return Uploads(RemoteFolder(parent), _list_of(parent, output))


def _list_of(address: str, output: Path) -> Path:
    """The list of the objects that were written below an address, beside the ledger of the table."""
    digits = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()[:10]
    return state_of(output) / f"objects_{digits}.jsonl"


def _upload_table(uploads: Uploads | None, output: Path, *, foreign: bool) -> str:
    """Copy the table of clips, or its parts, and the lists of failures to where the folder is."""
    if uploads is None:
        return ""
    files = []
    for table in parts_of(output):
        part = split_part(table)
        files += [table, own_list(failures_path(output, part[1] if part else None))]
    files = [file for file in files if file is not None]
    uploads.refresh([*(file.name for file in files), *uploads.noted()])
    uploads.remove(set(uploads.known()) - {file.name for file in files})
    for file in files:
        uploads.put_text(file, file.name, foreign=foreign)
    return uploads.folder / files[0].name
