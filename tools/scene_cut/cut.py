"""Command: cut videos into clips, and write the table of clips."""

from __future__ import annotations

import sys
from fractions import Fraction

from tools import cli
from tools.errors import UserError
from tools.media.writing.hdr import add_hdr_argument


def _parser() -> cli.ArgumentParser:
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scene_cut.cut",
        "Cut videos into clips SAVE_DIR/<stem>_scene-<i>.mp4, frame-exactly, and write the table of\n"
        "clips META_clips.csv: path, id, relpath, source, scene, start, end, num_frames, fps, ... and the\n"
        "columns of the source that still hold. Reads column path, timestamp (without it each file is one\n"
        "scene) and relpath (its folders are mirrored). Clips that are there already are not cut again.",
        """
        python -m tools.scene_cut.cut meta_info_fmin1_timestamp.csv --save_dir clips
        python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --min_seconds 2 --max_seconds 20
        python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --shorter_size 512 --target_fps 24
        python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --mode smart
        python -m tools.scene_cut.cut meta_timestamp.csv --save_dir clips --codec hevc_nvenc --crf 22
        """,
        refused={  # Open-Sora 1.3's
            "--drop-invalid-timestamps": "use --on-error drop; a cell that cannot be read costs its own row"
        },
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    group = parser.add_argument_group("clips")
    group.add_argument("--save-dir", metavar="DIR", help="folder of the clips (required)")
    group.add_argument("--min-seconds", type=float, metavar="S", help="leave out shorter scenes")
    group.add_argument("--max-seconds", type=float, metavar="S", help="cut off what is longer")
    group.add_argument(
        "--target-fps",
        metavar="FPS",
        help="frame rate of the clips: 24, 29.97, 30000/1001 (that of the source)",
    )
    group.add_argument(
        "--shorter-size",
        type=int,
        metavar="PX",
        help="scale down to this shorter side, never up; 0: keep sizes (exact: 1080, smart and copy: 0)",
    )
    group.add_argument(
        "--mode",
        default="exact",
        choices=("exact", "copy", "smart"),
        help="exact: encode; copy: encode nothing, begin at key frames; smart: encode only the ends (exact)",
    )
    group.add_argument(
        "--codec",
        default="h264",
        metavar="NAME",
        help="h264, hevc, av1, vp9, or an encoder such as h264_nvenc (h264)",
    )
    group.add_argument("--crf", type=float, metavar="Q", help="quality, lower is better (18 for h264)")
    group.add_argument("--preset", metavar="NAME", help="speed of the encoder (veryfast for h264)")
    group.add_argument(
        "--engine",
        default="pyav",
        choices=("pyav", "ffmpeg"),
        help="ffmpeg: encode with the ffmpeg program, for encoders that PyAV lacks (pyav)",
    )
    add_hdr_argument(group)
    sound = group.add_mutually_exclusive_group()
    sound.add_argument("--keep-audio", dest="keep_audio", action="store_true", default=True, help="(default)")
    sound.add_argument("--drop-audio", dest="keep_audio", action="store_false", help="silent clips")
    group.add_argument(
        "--audio-track",
        metavar="N|LANG",
        help="sound track by number from 0 on, or by language: eng, en (that marked default)",
    )
    group.add_argument(
        "--prune",
        action="store_true",
        help="remove clips of earlier cuts from SAVE_DIR that no table names any more",
    )
    add_stage_arguments(parser, num_workers=16, timeout=7200)
    return parser


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and cut."""
    args = _parser().parse_args(argv)

    from tools.scene_cut.clips.cutting import CutOptions
    from tools.scene_cut.clips.stage import CutStage
    from tools.stage.options import run_command
    from tools.table import output_path

    if not args.save_dir:
        raise UserError("--save_dir is missing: the folder that the clips go to")
    if args.prune and args.limit:
        raise UserError("--prune: not with --limit, which leaves clips of other rows without a table for now")
    default_size = 1080 if args.mode == "exact" else 0
    options = CutOptions(
        mode=args.mode,
        engine=args.engine,
        codec=args.codec,
        crf=args.crf,
        preset=args.preset,
        target_fps=_rate(args.target_fps),
        shorter_size=(default_size if args.shorter_size is None else args.shorter_size) or None,
        keep_audio=args.keep_audio,
        audio_track=args.audio_track,
        min_seconds=args.min_seconds,
        max_seconds=args.max_seconds,
        hdr=args.hdr,
    )
    workers = min(1, args.num_workers) if args.disable_parallel else args.num_workers
    stage = CutStage(args.save_dir, options, workers=workers)
    if args.dry_run:
        return run_command(stage, args)
    try:
        code = run_command(stage, args)
    finally:
        stage.remove_leftovers()
    lines = stage.remarks()
    if code == 0:
        lines += stage.tidy(output_path(args.meta, stage.suffix, output=args.output), prune=args.prune)
    for line in lines:
        print(line, file=sys.stderr)
    return code


def _rate(text: str | None) -> Fraction | None:
    """A frame rate as typed; 23.976, 29.97 and 59.94 mean the rates with 1001 below."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UserError(
            f"Invalid target_fps ({text}). Supported values are frame rates such as 24, 29.97 and 30000/1001."
        ) from None
    exact = Fraction(round(rate) * 1000, 1001)
    return exact if rate.denominator != 1 and abs(rate - exact) < Fraction(1, 1000) else rate


if __name__ == "__main__":
    cli.run(main)
