"""Command: cut videos into clips, and write the table of clips."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tools import cli
from tools.errors import UserError
from tools.options import read_options
from tools.stage.command import StageCommand
from tools.stage.options import run_command, run_options

if TYPE_CHECKING:
    from tools.scene_cut.clips.stage import CutStage

COMMAND = StageCommand(
    "tools.scene_cut.cut",
    "tools.scene_cut.clips.stage.CutStage",
    "clips",
    "Cut videos into clips SAVE_DIR/<stem>_scene-<i>.mp4, frame-exactly, and write the table of\n"
    "clips META_clips.csv: path, id, relpath, source, scene, start, end, num_frames, fps, ... and the\n"
    "columns of the source that are true of its clips. Reads column path, timestamp (without it each\n"
    "file is one scene) and relpath (its folders are mirrored). Clips that exist are not cut again.",
    """
    python -m tools.scene_cut.cut meta_info_fmin1_timestamp.csv --save_dir clips
    python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --min_seconds 2 --max_seconds 20
    python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --shorter_size 512 --target_fps 24
    python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --mode smart
    python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --codec hevc_nvenc --crf 22
    """,
    timeout=7200,
    engines=False,
    refused={  # Open-Sora 1.3's
        "--drop-invalid-timestamps": "use --on-error drop; a cell that cannot be read fails its row alone"
    },
)

_SHORTER_SIZE = 1080  # of clips that are encoded as a whole, where no size is given


def _parser() -> cli.ArgumentParser:
    parser = COMMAND.parser()
    parser.add_argument_group("earlier cuts").add_argument(
        "--prune",
        action="store_true",
        help="remove clips of earlier cuts from SAVE_DIR that no table lists any more",
    )
    return parser


def _make_stage(args: argparse.Namespace) -> CutStage:
    from tools.scene_cut.clips.stage import CutStage

    if args.shorter_size is None and args.mode == "exact":
        args.shorter_size = _SHORTER_SIZE
    return CutStage(**read_options(args, CutStage), workers=run_options(args).num_workers)


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and cut."""
    args = _parser().parse_args(argv)

    from tools.table import output_path

    if args.prune and args.limit:
        raise UserError("--prune: not with --limit, which leaves clips of other rows without a table for now")
    stage = _make_stage(args)
    if args.dry_run:
        return run_command(stage, args)
    try:
        code = run_command(stage, args)
    finally:
        stage.remove_leftovers()
    lines = stage.totals()
    if code == 0:
        lines += stage.check_earlier_clips(
            output_path(args.meta, stage.suffix, output=args.output), prune=args.prune
        )
    for line in lines:
        print(line, file=sys.stderr)
    return code


if __name__ == "__main__":
    cli.run(main)
