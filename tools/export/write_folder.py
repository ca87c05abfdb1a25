"""An export: the files by a stage, then the texts of the trainer, then what has come of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from tools.base.addresses import is_address, without_query
from tools.base.disk import writing
from tools.base.locks import holding
from tools.base.terminal import counted, one_line
from tools.errors import UserError
from tools.export.explain import judge
from tools.export.folder import items_of, names_in, planned_items, refuse_texts, strangers, write_texts
from tools.export.items import Item, as_clip
from tools.export.keys import keys_of
from tools.export.layouts.base import Layout, by_split
from tools.export.layouts.shard_folder import ShardFolder
from tools.export.layouts.shards import SIZE, Shards
from tools.export.manifest import About, refuse_others, write_manifest
from tools.export.planning import RowPlan
from tools.export.presets import Preset, layout_of
from tools.export.stage import ExportStage
from tools.export.trainers.base import Setup
from tools.stage.ledger.files import is_running
from tools.stage.names.folder_tables import list_beside
from tools.stage.names.new_files import MadeFiles
from tools.stage.options import run_options
from tools.stage.run_options import RunOptions
from tools.stage.shards import current_shard, state_of
from tools.table import part_path, read_table, table_extension
from tools.typed_names import failures_command


def write_folder(
    args: argparse.Namespace,
    table: pl.DataFrame,
    plans: Sequence[RowPlan],
    chosen: Preset,
    setup: Setup,
    splits: Sequence[str] | None,
    then: Callable[[list[Item]], object] | None = None,
) -> int:
    """Write the folder.

    Args:
        args: The command line.
        table: The source table.
        plans: One for each of its rows.
        chosen: The preset.
        setup: How one trains.
        splits: The split of each row; None for none.
        then: Called with the clips of the folder when it is finished.

    Returns:
        The exit code: 0 only if there is a clip in the folder.
    """
    layout = layout_of(chosen.trainer.name)
    folder = Path(args.output_dir).absolute()
    output = clips_table(args)
    if folder in output.absolute().parents:
        raise UserError(f"--output {output}: must not lie in {args.output_dir}, which the trainer reads")
    options = run_options(args)
    stage = ExportStage(
        str(folder),
        overwrite=options.overwrite,
        workers=options.num_workers,
        **{name: getattr(args, name) for name in ("codec", "crf", "preset", "hdr")},
    )
    refuse_others(folder)

    def check(targets: list[str | None]) -> None:
        texts = layout.texts(planned_items(plans, targets, splits), setup, args.root or str(folder))
        refuse_texts(folder, texts, state_of(output))

    stage.plan_files(
        targets_of(table, plans, layout, splits),
        [[piece.cut for piece in plan.pieces] for plan in plans],
        None if options.overwrite else check,
    )
    code, items = make_clips(stage, args.meta, output, options, plans, splits)
    if not items:
        return code
    with turn(folder):  # two ranks may end at the same time
        _write_rest(args, table, folder, items, layout, chosen, setup)
    report(str(folder), _strangers(folder, items, layout, chosen), items, plans, chosen, setup)
    if then is not None:
        then(items)
    return code


def make_clips(
    stage: ExportStage,
    meta: str,
    output: Path,
    options: RunOptions,
    plans: Sequence[RowPlan],
    splits: Sequence[str] | None,
) -> tuple[int, list[Item]]:
    """Make the files that a stage has planned, and say what has come of it.

    Args:
        stage: With its files planned.
        meta: The source table.
        output: The table of the clips.
        options: How to run.
        plans: One for each row of the source table.
        splits: The split of each row; None for none.

    Returns:
        The exit code, and the clips of all ranks: none where other ranks are at work, or no clip was made.
    """
    from tools.stage.runner import run_stage
    from tools.stage.summary import summary

    try:
        result = run_stage(stage, meta, output=output, options=options)
    finally:
        stage.remove_leftovers()
    print(summary(result), file=sys.stderr)
    if result.totals is None:
        _say_who_ends(output)
        return 0, []
    items = items_of(_written_rows(output), plans, stage.targets, splits)
    if not items:
        first = f", the first: {one_line(str(result.failures[0]))}" if result.failures else ""
        to_do = f"; what to do: {failures_command(result.output)}" if result.failures else ""
        print(f"error: {meta}: no clip was written{first}{to_do}", file=sys.stderr)
        return 1, []
    return 1 if options.strict and result.totals.failures else 0, items


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other process writes what is made of all clips of a folder, and keep others waiting.

    A file has the lock: network file systems know none of folders.
    """
    lock = list_beside(folder).with_suffix(".lock")
    with writing(lock):
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with holding(file):
        yield


def _say_who_ends(output: Path) -> None:
    """Of a rank that leaves the rest to another: say so where no other one is at work.

    They have not begun, were killed, or their files cannot be seen from here yet.
    """
    shard = current_shard()
    ranks = [rank for rank in range(shard.world) if rank != shard.rank]
    if not any(is_running(state_of(output), rank) for rank in ranks):
        print(
            f"{output}: parts of other ranks are not there; the last rank to end writes the texts and the "
            "manifest, or the same command without ranks",
            file=sys.stderr,
        )


def _write_rest(
    args: argparse.Namespace,
    table: pl.DataFrame,
    folder: Path,
    items: list[Item],
    layout: Layout,
    chosen: Preset,
    setup: Setup,
) -> None:
    """Write all but the clips."""
    output = clips_table(args)
    if args.prune:
        _remove_own(folder, output, _strangers(folder, items, layout, chosen))
    if isinstance(layout, Shards):
        made = layout.write(folder, items, args.shards or SIZE)
        _stale_shards(layout.stale(folder, made), prune=args.prune)
    texts = list(layout.texts(items, setup, args.root or str(folder)))
    write_texts(folder, texts, state_of(output), overwrite=args.overwrite, prune=args.prune)
    write_manifest(folder, items, about_of(args, table, chosen, setup))


def _strangers(folder: Path, items: Sequence[Item], layout: Layout, chosen: Preset) -> list[str]:
    roots = [layout.root(item.split) for item in items]
    return strangers(names_in(folder), roots, chosen.trainer, items)


def _stale_shards(stale: Sequence[ShardFolder], *, prune: bool) -> None:
    """Remove shards of an earlier run that are not of this export, or name them."""
    for shards in stale:
        if prune:
            shards.remove()
        else:
            print(
                f"warning: {shards.path}: an earlier run made these shards, which are not of this export; "
                "--prune removes them",
                file=sys.stderr,
            )


def _remove_own(folder: Path, output: Path, names: Sequence[str]) -> None:
    """Remove files that an earlier run of this export made, and that were not changed since."""
    made = MadeFiles(str(folder), output)
    for name in names:
        with writing(folder / name):
            if made.is_own(folder / name, name):
                (folder / name).unlink()
                _remove_empty((folder / name).parent, folder)


def _remove_empty(below: Path, folder: Path) -> None:
    """Remove folders that nothing is left in, up to the exported one."""
    with suppress(OSError):
        while below != folder:
            below.rmdir()
            below = below.parent


_SAID = (
    "place",
    "windows",
    "keep_source",
    "keep_small",
    "split",
    "seed",
    "shards",
    "caption_column",
    "trigger",
    "caption_template",
    "allow_empty_captions",
    "keep_prefixes",
    "codec",
    "crf",
    "preset",
    "hdr",
)
"""Flags that the manifest has besides those in the set-up of the trainer."""


def about_of(args: argparse.Namespace, table: pl.DataFrame, chosen: Preset, setup: Setup) -> About:
    """What the manifest says of where the data set comes from."""
    said = {name: getattr(args, name) for name in _SAID} | ({"root": args.root} if args.root else {})
    return About(chosen, setup, Path(args.meta), table, args.typed, said)


def targets_of(
    table: pl.DataFrame, plans: Sequence[RowPlan], layout: Any, splits: Sequence[str] | None
) -> list[str | None]:
    """The path of each row's file; of a file that stays as it is with its own extension."""
    keys = keys_of(table["path"].cast(pl.String).to_list())
    found: list[str | None] = []
    for plan, key in zip(plans, keys, strict=True):
        if not plan.pieces:
            found.append(None)
            continue
        path = layout.media(key, "" if splits is None else splits[plan.row])
        if plan.pieces[0].cut is None:
            path = str(PurePosixPath(path).with_suffix(PurePosixPath(without_query(plan.source.name)).suffix))
        found.append(path)
    return found


def clips_table(args: argparse.Namespace) -> Path:
    """The table of clips: beside the folder, or where that is in object storage, beside the source table."""
    if args.output:
        return Path(args.output)
    if is_address(args.output_dir):
        name = args.output_dir.rstrip("/").rpartition("/")[2]
        return Path(args.meta).absolute().with_name(f"{name}_clips{table_extension(args.meta)}")
    return Path(f"{Path(args.output_dir).absolute()}_clips{table_extension(args.meta)}")


def _written_rows(output: Path) -> list[dict[str, Any]]:
    """The rows of the written table, of all ranks."""
    shard = current_shard()
    parts = [output] if shard.alone else [part_path(output, rank) for rank in range(shard.world)]
    columns = ("relpath", "width", "height", "num_frames", "fps", "has_audio")
    rows: list[dict[str, Any]] = []
    for part in parts:
        found = read_table(part)
        if found.height:
            yes = pl.col("has_audio").cast(pl.String).str.to_lowercase().is_in(["true", "1"])
            rows += found.select(columns).with_columns(yes).rows(named=True)
    return rows


def report(
    folder: str,
    others: Sequence[str],
    items: Sequence[Item],
    plans: Sequence[RowPlan],
    chosen: Preset,
    setup: Setup,
) -> None:
    """Print what is in the folder, as the trainer sees it.

    Args:
        folder: Its path or address.
        others: Files of others that the trainer reads, too.
        items: What was written.
        plans: What was planned.
        chosen: The preset.
        setup: How one trains.
    """
    from tools.export.presets import layout_of

    judged = [(item, judge(as_clip(item), chosen.trainer, setup).loss) for item in items]
    refused = [(item, reason) for item, reason in judged if reason is not None]
    rows = len({item.source_row for item in items})
    lost = sum(1 for plan in plans if plan.loss)
    failed = len(plans) - lost - rows
    layout = layout_of(chosen.trainer.name)
    print()
    made = f"{counted(len(items), 'clip')} of {counted(rows, 'row')}"
    print(f"{folder}: {made}; {counted(lost, 'row')} lost, {counted(failed, 'row')} failed")
    dropped = sum(layout.summary(part, setup, split).dropped for split, part in by_split(items).items())
    left = f"; {dropped} fill no batch" if dropped else ""
    print(f"{chosen.trainer.name} uses {len(items) - len(refused)} of {len(items)}{left}")
    for item, reason in refused[:5]:
        print(f"warning: {item.file}: {reason.text}", file=sys.stderr)
    if others:
        shown = ", ".join(map(one_line, others[:3]))
        effect = "which are in no shard" if layout.sharded else f"which {chosen.trainer.name} reads too"
        print(
            f"warning: {len(others)} more files in {folder} that are not of this export, {effect}; "
            f"--prune removes those that an earlier run made: {shown}",
            file=sys.stderr,
        )
    for line in layout_of(chosen.trainer.name).warnings(items, setup):
        print(f"warning: {line}", file=sys.stderr)
