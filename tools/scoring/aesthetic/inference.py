"""Command: add the LAION aesthetic score of every image and video of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.scoring.aesthetic.stage import AestheticStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.scoring.clip_arguments import add_clip_arguments
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.aesthetic.inference",
        "Add the LAION aesthetic score (about 1 to 10; 5.5 is fair, 6.5 good) of every image and video.\n"
        "Reads column path, adds column aes, writes META_aes.csv; under torchrun each rank writes "
        "META_aes_part<rank>.csv.",
        """
        python -m tools.scoring.aesthetic.inference meta.csv
        python -m tools.scoring.aesthetic.inference meta.csv --num_frames 5 --precision fp32
        torchrun --nproc_per_node 8 -m tools.scoring.aesthetic.inference meta.csv --bs 1024 --num_workers 16
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=1024, num_workers=16, engine=True)
    group = made.add_argument_group("aesthetic score")
    add_clip_arguments(group, frames="3", sampling="first_middle_last")
    group.add_argument("--head", metavar="PATH", help="weights of the head (pretrained_models/aesthetic.pth)")
    group.add_argument(
        "--prefetch-factor", type=int, metavar="N", help="accepted for Open-Sora's sake; has no effect"
    )
    group.add_argument(
        "--skip-if-existing",
        action="store_true",
        help="accepted for Open-Sora's sake; a complete output is never made twice anyway",
    )
    return made


def make_stage(args: argparse.Namespace) -> AestheticStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights are missing, or an option is wrong.
    """
    from tools.scoring.aesthetic.stage import FRAMES, AestheticStage
    from tools.scoring.clip_arguments import clip_options

    return AestheticStage(head=args.head, **clip_options(args, FRAMES))


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
