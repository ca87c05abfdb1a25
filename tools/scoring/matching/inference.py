"""Command: add how well caption and pictures fit, for every image and video of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.scoring.matching.stage import MatchingStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.scoring.clip_arguments import add_clip_arguments, add_long_text_argument
    from tools.scoring.matching.scorer import LONG_TEXT, REDUCE
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.matching.inference",
        "Add the match of caption and pictures: 100 x cosine of CLIP's text and image features.\n"
        "Reads columns path and text, adds column match, writes META_match.csv; under torchrun each rank\n"
        "writes META_match_part<rank>.csv.",
        """
        python -m tools.scoring.matching.inference meta.csv
        python -m tools.scoring.matching.inference meta.csv --num_frames 8 --reduce max --long-text split
        torchrun --nproc_per_node 8 -m tools.scoring.matching.inference meta.csv --bs 1024
        """,
    )
    made.add_argument("meta", help="table with columns path and text: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=1024, num_workers=16, engine=True)
    group = made.add_argument_group("match")
    add_clip_arguments(group, frames="1", sampling="middle; with --num-frames first_middle_last")
    group.add_argument(
        "--reduce",
        default="mean",
        choices=tuple(REDUCE),
        help="several frames: " + ", ".join(f"{name} {text}" for name, text in REDUCE.items()) + " (mean)",
    )
    add_long_text_argument(group, LONG_TEXT, "truncate")
    group.add_argument(
        "--skip-if-existing",
        action="store_true",
        help="accepted for Open-Sora's sake; a complete output is never made twice anyway",
    )
    return made


def make_stage(args: argparse.Namespace) -> MatchingStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights or vocabulary are missing, or an option is wrong.
    """
    from tools.scoring.clip_arguments import clip_options
    from tools.scoring.matching.stage import FRAMES, MatchingStage

    return MatchingStage(reduce=args.reduce, long_text=args.long_text, **clip_options(args, FRAMES))


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
