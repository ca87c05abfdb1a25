"""Command: add CLIP-IQA, the quality and other attributes of every image and video of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.scoring.quality.stage import QualityStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.scoring.clip_arguments import add_clip_arguments
    from tools.scoring.quality.prompts import PROMPTS
    from tools.scoring.quality.scorer import REDUCE
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.quality.inference",
        "Add CLIP-IQA: how much nearer a picture is to 'Good photo.' than to 'Bad photo.', 0 to 1.\n"
        "Reads column path, adds column quality (and one for each further pair of prompts), writes\n"
        "META_quality.csv; under torchrun each rank writes META_quality_part<rank>.csv.",
        """
        python -m tools.scoring.quality.inference meta.csv
        python -m tools.scoring.quality.inference meta.csv --prompts quality sharpness "good still|bad still"
        python -m tools.scoring.quality.inference meta.csv --sampling fps:1 --end 30 --reduce avg p10
        torchrun --nproc_per_node 8 -m tools.scoring.quality.inference meta.csv --bs 512
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=512, num_workers=16, engine=True)
    group = made.add_argument_group("quality")
    group.add_argument(
        "--prompts",
        nargs="+",
        default=["quality"],
        metavar="PAIR",
        help=f"any of {', '.join(PROMPTS)}, own pairs 'good|bad', or with a name 'name=good|bad' (quality)",
    )
    group.add_argument(
        "--reduce",
        nargs="+",
        default=["avg"],
        choices=tuple(REDUCE),
        help="several frames; more than one reduction makes more columns (avg)",
    )
    add_clip_arguments(group, frames="8", sampling="count_uniform")
    return made


def make_stage(args: argparse.Namespace) -> QualityStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights or vocabulary are missing, or an option is wrong.
    """
    from tools.scoring.clip_arguments import clip_options
    from tools.scoring.quality.stage import FRAMES, QualityStage

    return QualityStage(prompts=tuple(args.prompts), reduce=tuple(args.reduce), **clip_options(args, FRAMES))


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
