"""Command: find the shots of every video of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tools import cli

if TYPE_CHECKING:
    from fractions import Fraction


def _option_flags() -> dict[str, dict[str, Any]]:
    """Every option of every detector once: the detectors that have it, with their `Option`."""
    from tools.scene_cut.shots.detectors import DETECTORS

    flags: dict[str, dict[str, Any]] = {}
    for detector, options in DETECTORS.items():
        for name, option in options.items():
            flags.setdefault(name, {})[detector] = option
    return flags


def _time(text: str) -> Fraction:
    from tools.scene_cut.timestamps import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _scene_len(text: str) -> str | int:
    """Frames, or seconds as PySceneDetect takes them."""
    if text.isdecimal():
        return int(text)
    try:
        float(text.removesuffix("s"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be frames (15) or seconds (0.6s), not {text}") from None
    return text if text.endswith("s") else f"{text}s"


def _parser() -> cli.ArgumentParser:
    from tools.scene_cut.shots.detectors import DETECTORS
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scene_cut.scene_detect",
        "Find the shots of every video. Reads column path, adds column timestamp:\n"
        '[["00:00:00.000", "00:00:01.200"], ...], half-open. Writes META_timestamp.csv.',
        """
        python -m tools.scene_cut.scene_detect meta_info_fmin1.csv
        python -m tools.scene_cut.scene_detect meta.csv --detector content --threshold 30 --max-seconds 20
        python -m tools.scene_cut.scene_detect meta.csv --detector transnetv2
        """,
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, num_workers=16, timeout=3600)
    group = parser.add_argument_group("detection")
    group.add_argument("--detector", choices=tuple(DETECTORS), default="adaptive", help="(adaptive)")
    group.add_argument(
        "--min-scene-len",
        type=_scene_len,
        default=15,
        metavar="LEN",
        help="shortest shot: frames, or seconds as 0.6s (15)",
    )
    group.add_argument(
        "--start-time", type=_time, metavar="T", help="leave out what lies before: seconds or HH:MM:SS.mmm"
    )
    group.add_argument("--end-time", type=_time, metavar="T", help="leave out what lies behind")
    group.add_argument(
        "--max-seconds",
        type=cli.positive_number,
        metavar="S",
        help="slice longer shots into pieces of at most S",
    )
    group.add_argument(
        "--frame-skip",
        type=cli.whole_number(0),
        default=0,
        metavar="N",
        help="frames left out after each one looked at (0)",
    )
    group.add_argument("--device", default="auto", help="of transnetv2: auto, cpu, cuda or cuda:N (auto)")
    group = parser.add_argument_group("options of the detectors, with PySceneDetect's defaults")
    for name, owners in _option_flags().items():
        first = next(iter(owners.values()))
        defaults = "; ".join(f"{detector} {option.default}" for detector, option in owners.items())
        flag = f"--{name.replace('_', '-')}"
        if first.kind is bool:
            group.add_argument(
                flag, action="store_true", default=None, help=f"{first.help} ({', '.join(owners)})"
            )
        else:
            group.add_argument(
                flag,
                type=first.kind,
                choices=first.choices or None,
                metavar=None if first.choices else "X",
                help=f"{first.help} ({defaults})",
            )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage."""
    args = _parser().parse_args(argv)

    from tools.scene_cut.shots.stage import SceneDetectStage
    from tools.stage.options import run_command

    given = {name: value for name in _option_flags() if (value := getattr(args, name)) is not None}
    stage = SceneDetectStage(
        detector=args.detector,
        options=given,
        min_scene_len=args.min_scene_len,
        start_time=args.start_time,
        end_time=args.end_time,
        max_seconds=args.max_seconds,
        frame_skip=args.frame_skip,
        device=args.device,
    )
    return run_command(stage, args)


if __name__ == "__main__":
    cli.run(main)
