"""Command: make of a table the data set that a trainer reads, or say what of it the trainer would use."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tools import cli
from tools.base.addresses import is_address, local_path
from tools.errors import UserError
from tools.export.folder_flags import add_folder_flags, run_check, run_verify

if TYPE_CHECKING:
    from tools.export.captions import Captions
    from tools.export.planning import Wanted
    from tools.export.presets import Preset
    from tools.export.trainers.base import Setup

_MAY_BE_REMOTE = ("output_dir", "check", "verify")
_ENCODING = ("codec", "crf", "preset", "hdr")


def _parser() -> cli.ArgumentParser:
    from tools.export.stage import ExportStage
    from tools.options import options_of
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.export",
        "Make of a table the data set that a trainer reads: each clip at the model's frame rate, with the\n"
        "largest number of frames that it takes, cropped and scaled down to its bucket, with captions and\n"
        "the trainer's own configuration beside. Needs path, num_frames, fps, width, height and text; uses\n"
        "has_audio and crop. Writes the folder DIR and the table DIR_clips.csv. Prints what is written, and\n"
        "what is lost and why.",
        """
        python -m tools.export --list
        python -m tools.export meta.csv --for wan2.2-a14b@diffusion-pipe --explain
        python -m tools.export meta.csv --for wan2.2-a14b@diffusion-pipe -o data/wan --batch-size 2 --gpus 4
        python -m tools.export meta.csv --for ltx-2@ltx-trainer -o data/ltx --frames 49 --windows
        python -m tools.export meta.csv --for videofolder -o data/folder --split train:0.98,val:0.02
        python -m tools.export meta.csv --for webdataset -o data/shards --shards 1GB
        python -m tools.export meta.csv --for wan2.2-a14b@musubi -o s3://bucket/wan --root /data/wan
        python -m tools.export --check data/others --for wan2.2-a14b@musubi
        python -m tools.export --verify data/wan
        """,
    )
    parser.may_be_remote = lambda _: _MAY_BE_REMOTE
    parser.add_argument("meta", nargs="?", metavar="META", help="table of clips")
    parser.add_argument("--for", dest="preset_name", metavar="MODEL@TRAINER", help="who reads it, of --list")
    parser.add_argument(
        "-o",
        "--output-dir",
        metavar="DIR",
        help="folder of the data set: a path, or an address such as s3://bucket/folder",
    )
    parser.add_argument("--list", action="store_true", help="list all presets")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say what becomes of each row, and of all; write nothing else",
    )
    parser.add_argument("--explain-out", metavar="FILE", help="write what becomes of each row as a table")

    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--frames",
        nargs="+",
        type=cli.whole_number(1),
        metavar="N",
        help="numbers of frames (by the clips' lengths)",
    )
    clips.add_argument("--sizes", nargs="+", type=_size, metavar="WxH", help="sizes (the model's smallest)")
    clips.add_argument(
        "--from",
        dest="place",
        choices=("start", "middle"),
        default="start",
        help="where to cut a piece from a longer clip (start)",
    )
    clips.add_argument("--windows", action="store_true", help="cut a long clip into several pieces")
    clips.add_argument(
        "--keep-source", action="store_true", help="link the files as they are, or copy them; encode nothing"
    )
    clips.add_argument(
        "--keep-small",
        action="store_true",
        help="keep clips smaller than their bucket; trainers enlarge them",
    )
    clips.add_argument(
        "--split", metavar="NAME:SHARE,...", help="splits by source video: train:0.98,val:0.02"
    )
    clips.add_argument("--seed", type=int, default=0, metavar="N", help="another one gives other splits (0)")
    clips.add_argument(
        "--shards", type=_bytes, metavar="SIZE", help="bytes of a shard of webdataset, mds … (1GB)"
    )
    clips.add_argument(
        "--prune", action="store_true", help="remove what earlier runs left in DIR and is not of this export"
    )
    for name, made, default in options_of(ExportStage):
        if name in _ENCODING:
            made.add(clips, name, default)

    captions = parser.add_argument_group("captions")
    captions.add_argument(
        "--caption-column", default="text", metavar="NAME", help="column of captions (text)"
    )
    captions.add_argument("--trigger", default="", metavar="WORD", help="word before each caption")
    captions.add_argument(
        "--caption-template", default="", metavar="TEXT", help='columns around it: "{text} {fps:.0f} FPS"'
    )
    captions.add_argument("--allow-empty-captions", action="store_true", help="keep clips without a caption")
    captions.add_argument(
        "--keep-prefixes", action="store_true", help='leave "The video shows" at the beginning'
    )

    training = parser.add_argument_group("training")
    training.add_argument(
        "--batch-size", type=cli.whole_number(1), default=1, metavar="N", help="clips of a GPU's batch (1)"
    )
    training.add_argument("--gpus", type=cli.whole_number(1), default=1, metavar="N", help="GPUs (1)")
    training.add_argument(
        "--accumulation", type=cli.whole_number(1), default=1, metavar="N", help="batches of one step (1)"
    )
    training.add_argument(
        "--root",
        metavar="PATH",
        help="where DIR lies for training, in the configuration (DIR; of an address: the current folder)",
    )
    training.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="the trainer's own settings, such as num_repeats=5",
    )
    add_folder_flags(parser)
    add_stage_arguments(parser, timeout=7200)
    return parser


def _bytes(text: str) -> int:
    from tools.export.shard_size import shard_size

    try:
        return shard_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not found or not int(found[1]) or not int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 832x480")
    return int(found[1]), int(found[2])


def main(argv: list[str] | None = None) -> int:
    """Parse the command line; list, explain or export."""
    args = _parser().parse_args(argv)
    args.typed = sys.argv[1:] if argv is None else list(argv)

    from tools.export.presets import SHARDED, layout_of, preset
    from tools.export.render import list_presets
    from tools.stage.options import STATUS

    for name in _MAY_BE_REMOTE:
        setattr(args, name, local_path(getattr(args, name) or ""))
    if args.list:
        print(list_presets())
        return 0
    if args.quick and not args.verify:
        raise UserError("--quick goes with --verify")
    if args.verify:
        return run_verify(args.verify, quick=args.quick)
    if not args.meta and not args.check:
        raise UserError("which table? python -m tools.export META --for MODEL@TRAINER -o DIR")
    if not args.preset_name:
        raise UserError("--for is missing: MODEL@TRAINER; --list shows all")
    chosen = preset(args.preset_name)
    if args.shards and chosen.trainer.name not in SHARDED:
        raise UserError(f"--shards: {chosen.trainer.name} reads no shards; of {', '.join(SHARDED)} alone")
    if args.dry_run == STATUS:
        return _status(args)
    setup = _setup(args, chosen)
    if args.check:
        from tools.stage.options import run_options

        how = {"as_exported": not args.frames, "trained_at": args.root or ""}
        return run_check(args.check, chosen, setup, run_options(args), **how)
    only_explain = args.explain or args.dry_run
    if not only_explain and not args.output_dir:
        raise UserError("-o is missing: the folder that the data set goes to; or --explain")
    if not only_explain and (place := args.root or _here(args.output_dir)):
        layout_of(chosen.trainer.name).check_place(place)
    return _run(args, chosen, setup, only_explain=only_explain)


def _status(args: argparse.Namespace) -> int:
    """How far the run is that writes the folder; see `tools.stage.progress.status.show_status`."""
    from tools.export.write_folder import clips_table
    from tools.stage.progress.status import show_status

    if not args.output_dir:
        raise UserError("--status: -o is missing: the folder that the data set goes to")
    return show_status(clips_table(args), as_json=args.json)


def _here(folder: str) -> str:
    """The path of a folder on this machine; "" for an address, to which nothing in a configuration leads."""
    return "" if is_address(folder) else str(Path(folder).absolute())


def _setup(args: argparse.Namespace, chosen: Preset) -> Setup:
    """How one trains; sizes and numbers of frames are those that the model takes.

    Raises:
        UserError: They are not.
    """
    from tools.export.render import option_value

    model = chosen.model
    settings: dict[str, object] = {
        name: getattr(args, name) for name in ("batch_size", "gpus", "accumulation")
    }
    if (args.frames or args.sizes) and model.name == "any":
        raise UserError(f"{chosen.name} takes every clip as it is: leave out --frames and --sizes")
    if args.frames:
        rule = model.frames
        if len(set(args.frames)) > 1 and not chosen.trainer.several_lengths:
            raise UserError(f"--frames: {chosen.trainer.name} has one number for all clips; give one")
        for frames in args.frames:
            if frames < rule.least or (frames - rule.rest) % rule.step:
                below = max(rule.least, frames - (frames - rule.rest) % rule.step)
                near = f"{below}, {below + rule.step}"
                raise UserError(f"--frames {frames}: {chosen.name} takes {rule} frames; near it: {near}")
        settings["frames"] = tuple(sorted(set(args.frames)))
    if args.sizes:
        for width, height in args.sizes:
            if width % model.multiple or height % model.multiple:
                near = "x".join(
                    str(max(1, round(side / model.multiple)) * model.multiple) for side in (width, height)
                )
                raise UserError(
                    f"--sizes {width}x{height}: sides must be multiples of {model.multiple}; near it: {near}"
                )
        settings["sizes"] = tuple(dict.fromkeys(args.sizes))
    options = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: must be NAME=VALUE")
        options[name] = option_value(value)
    if options:
        settings["options"] = options
    return chosen.trainer.setup(model, **settings)


def _captions(args: argparse.Namespace) -> Captions:
    from tools.export.captions import Captions, caption_line

    made = Captions(
        caption_line(args.trigger), args.caption_template, args.allow_empty_captions, args.keep_prefixes
    )
    made.columns()  # a template that is none is an error before the table is read
    return made


def _wanted(args: argparse.Namespace, chosen: Preset, setup: Setup) -> Wanted:
    from tools.export.planning import Wanted

    # Formats that take every clip as it is get it as it is.
    keep = args.keep_source or chosen.model.name == "any"
    return Wanted(
        chosen.trainer,
        setup,
        _captions(args),
        args.caption_column,
        args.place,
        args.windows,
        keep,
        args.keep_small,
    )


def _run(args: argparse.Namespace, chosen: Preset, setup: Setup, *, only_explain: bool) -> int:
    from tools.export.batches import fill_batches
    from tools.export.default_frames import by_length, choose_frames
    from tools.export.planning import Planner
    from tools.export.render import row_lines, row_records, summary_lines
    from tools.table import read_table

    wanted = _wanted(args, chosen, setup)
    table = read_table(args.meta)
    splits: list[str] | None = None
    if args.split:
        from tools.export.presets import layout_of
        from tools.export.splits import check_splits, split_rows

        named = split_rows(table, args.split, args.seed)
        for line in check_splits(named, args.split):
            print(line, file=sys.stderr)
        splits = [str(name) for name in named]
        layout_of(chosen.trainer.name).check_splits(dict.fromkeys(splits))
    planner, choice = Planner(table, args.meta, wanted), ""
    if not args.frames:
        setup, choice = choose_frames(setup, planner)
    setup = by_length(setup, wanted)
    planner.wanted = replace(wanted, setup=setup)
    plans, shortened = fill_batches(list(planner.plans()), planner, splits)
    notes = [choice] if choice else []
    if shortened:
        count = "1 clip is" if shortened == 1 else f"{shortened} clips are"
        notes.append(f"{count} cut shorter than need be, to fill batches of {setup.global_batch}")
    if args.explain_out:
        import polars as pl

        from tools.table import write_table

        write_table(
            pl.DataFrame(row_records(plans), infer_schema_length=None), args.explain_out, inputs=[args.meta]
        )
    if only_explain:
        for line in row_lines(plans):
            print(line)
        print()
    for line in (*notes, *summary_lines(plans, chosen, setup)):
        print(line)
    if only_explain:
        return 0
    if not any(plan.pieces for plan in plans):
        print("error: nothing is left to be written", file=sys.stderr)
        return 1

    if is_address(args.output_dir):
        from tools.export.remote.upload_folder import upload_folder as write
    else:
        from tools.export.write_folder import write_folder as write
    return write(args, table, plans, chosen, setup, splits)


if __name__ == "__main__":
    cli.run(main)
