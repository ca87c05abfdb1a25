"""Command: find the shots of every video of a table."""

from __future__ import annotations

import sys
from typing import Any

from tools import cli


def _option_flags() -> dict[str, dict[str, Any]]:
    """Every option of every detector once: the detectors that have it, with their `Option`."""
    from tools.scene_cut.shots.options import DETECTORS

    flags: dict[str, dict[str, Any]] = {}
    for detector, options in DETECTORS.items():
        for name, option in options.items():
            flags.setdefault(name, {})[detector] = option
    return flags


def _parser() -> cli.ArgumentParser:
    from tools.scene_cut.shots.choice import AUTO
    from tools.scene_cut.shots.options import DETECTORS
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scene_cut.scene_detect",
        "Find the shots of every video. Reads column path, adds column timestamp:\n"
        '[["00:00:00.000", "00:00:01.200"], ...], half-open, and boundary, what each begins and ends with:\n'
        '[["edge", "cut"], ["cut", "gradual"], ...]. Writes META_timestamp.csv.',
        """
        python -m tools.scene_cut.scene_detect meta_info_fmin1.csv
        python -m tools.scene_cut.scene_detect meta.csv --detector content --threshold 30 --max-seconds 20
        python -m tools.scene_cut.scene_detect meta.csv --detector transnetv2
        python -m tools.scene_cut.scene_detect meta.csv --detector adaptive    # the cuts of Open-Sora's tools
        """,
        refused={  # Open-Sora 1.3's
            "--transition-seconds": "use --trim-transitions, which finds how long each of them is"
        },
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, num_workers=16, timeout=3600)
    group = parser.add_argument_group("detection")
    group.add_argument(
        "--detector",
        choices=(AUTO, *DETECTORS),
        help="auto: transnetv2 where it is installed and has a GPU or a core, else hash with "
        "--trim-transitions (auto; adaptive with flags that transnetv2 does not have)",
    )
    group.add_argument(
        "--trim-transitions",
        action="store_true",
        help="leave out the frames of dissolves and fades; transnetv2 always does",
    )
    group.add_argument(
        "--min-scene-len",
        metavar="LEN",
        help="shortest shot: frames (15 or 15f) or seconds (0.6s or HH:MM:SS.mmm) (15)",
    )
    group.add_argument(
        "--start-time",
        metavar="T",
        help="leave out what lies before: seconds (12.5 or 12.5s), HH:MM:SS.mmm, or a frame number (30f)",
    )
    group.add_argument(
        "--end-time", metavar="T", help="leave out what starts then or later; 60f is the first frame left out"
    )
    group.add_argument(
        "--max-seconds", metavar="S", help="slice longer shots into pieces of at most S (20, 20s, 00:00:20)"
    )
    group.add_argument(
        "--frame-skip",
        type=cli.whole_number(0),
        default=0,
        metavar="N",
        help="frames left out after each one looked at (0)",
    )
    group.add_argument(
        "--stats-dir",
        metavar="DIR",
        help="write what the detector measures on each frame to DIR/<video>.stats.csv, named in column stats",
    )
    group.add_argument("--device", default="auto", help="of transnetv2: auto, cpu, cuda or cuda:N (auto)")
    group = parser.add_argument_group("options of the detectors, with PySceneDetect's defaults")
    for name, owners in _option_flags().items():
        first = next(iter(owners.values()))
        flag = f"--{name.replace('_', '-')}"
        if first.kind is bool:
            group.add_argument(
                flag, action="store_true", default=None, help=f"{first.help} ({', '.join(owners)})"
            )
        else:
            # What is a number decides argparse; which numbers are allowed depends on the detector.
            kind = first.kind if len({option.kind for option in owners.values()}) == 1 else float
            group.add_argument(
                flag,
                type=kind,
                choices=first.choices or None,
                metavar=None if first.choices else "X",
                help=_option_help(owners),
            )
    return parser


def _option_help(owners: dict[str, Any]) -> str:
    """What an option does, its default and range, for each detector that has it."""
    texts: dict[str, list[str]] = {}
    for detector, option in owners.items():
        default = "" if option.default is None else f", default {option.default}"
        values = "" if option.choices else f": {option.supported}"
        texts.setdefault(f"{option.help}{values}{default}", []).append(detector)
    return "; ".join(f"{', '.join(detectors)}: {text}" for text, detectors in texts.items())


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage."""
    args = _parser().parse_args(argv)

    from tools.scene_cut.shots.choice import AUTO
    from tools.scene_cut.shots.limits import MIN_SCENE_LEN
    from tools.scene_cut.shots.stage import SceneDetectStage
    from tools.stage.options import run_command
    from tools.stage.readiness import postponed

    given = {name: value for name in _option_flags() if (value := getattr(args, name)) is not None}
    # adaptive was the default before there was auto: a line with flags of its kind means what it meant then
    old_flags = given or args.min_scene_len is not None or args.frame_skip or args.stats_dir
    with postponed():
        stage = SceneDetectStage(
            detector=args.detector or ("adaptive" if old_flags else AUTO),
            options=given,
            min_scene_len=MIN_SCENE_LEN if args.min_scene_len is None else args.min_scene_len,
            start_time=args.start_time,
            end_time=args.end_time,
            max_seconds=args.max_seconds,
            frame_skip=args.frame_skip,
            trim_transitions=args.trim_transitions,
            stats_dir=args.stats_dir,
            device=args.device,
        )
    code = run_command(stage, args)
    print(stage.detector_taken(), file=sys.stderr)
    return code


if __name__ == "__main__":
    cli.run(main)
