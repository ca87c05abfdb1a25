"""Command: find the shots of every video of a table."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tools import cli
from tools.options import read_options
from tools.stage.command import StageCommand
from tools.stage.options import STATUS, run_command
from tools.stage.stage import weights_later

if TYPE_CHECKING:
    from tools.scene_cut.shots.stage import SceneDetectStage

COMMAND = StageCommand(
    "tools.scene_cut.scene_detect",
    "tools.scene_cut.shots.stage.SceneDetectStage",
    "detection",
    "Find the shots of every video. Reads column path, adds column timestamp:\n"
    '[["00:00:00.000", "00:00:01.200"], ...], half-open, and boundary, what each begins and ends with:\n'
    '[["edge", "cut"], ["cut", "gradual"], ...]. Writes META_timestamp.csv.',
    """
    python -m tools.scene_cut.scene_detect meta_info_fmin1.csv
    python -m tools.scene_cut.scene_detect meta.csv --detector content --threshold 30 --max-seconds 20
    python -m tools.scene_cut.scene_detect meta.csv --detector transnetv2
    python -m tools.scene_cut.scene_detect meta.csv --fast
    python -m tools.scene_cut.scene_detect meta.csv --detector adaptive    # the cuts of Open-Sora's tools
    """,
    defaults={"detector": None, "min_scene_len": None},  # whether they are given decides on the detector
    timeout=3600,
    engines=False,
    refused={  # Open-Sora 1.3's
        "--transition-seconds": "use --trim-transitions, which finds how long each of them is"
    },
)


def _make_stage(args: argparse.Namespace) -> SceneDetectStage:
    from tools.scene_cut.shots.choice import AUTO
    from tools.scene_cut.shots.stage import SceneDetectStage

    options = read_options(args, SceneDetectStage)
    given = {name: value for name, value in options.items() if value is not None}
    # adaptive was the default before there was auto: a line with flags of its kind means what it meant then
    old_flags = given["options"] or "min_scene_len" in given or given["frame_skip"] or "stats_dir" in given
    given.setdefault("detector", "adaptive" if old_flags and not given["fast"] else AUTO)
    return SceneDetectStage(**given)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage."""
    args = COMMAND.parser().parse_args(argv)
    with weights_later():
        stage = _make_stage(args)
    code = run_command(stage, args)
    if args.dry_run != STATUS:
        print(stage.detector_used(), file=sys.stderr)
    return code


if __name__ == "__main__":
    cli.run(main)
