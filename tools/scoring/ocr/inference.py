"""Command: count the regions of text in every image and video of a table, and measure their area."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.scoring.ocr.stage import OcrStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.media.frames import DECODERS
    from tools.media.sampling import SAMPLING_POLICIES
    from tools.scoring.ocr.scorer import CHECKS
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.ocr.inference",
        "Count the regions of text in every image and video, and measure what part of the frame they cover.\n"
        "Reads column path, adds columns ocr and ocr_area (with --text ocr_text), writes META_ocr.csv;\n"
        "under torchrun each rank writes META_ocr_part<rank>.csv.",
        """
        python -m tools.scoring.ocr.inference meta.csv
        python -m tools.scoring.ocr.inference meta.csv --text --num_frames 5
        python -m tools.scoring.ocr.inference meta.csv --check none --threshold 0.5 --limit-side 960
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=16, num_workers=16, engine=True)
    group = made.add_argument_group("text in the picture")
    group.add_argument("--num-frames", type=cli.whole_number(1), metavar="N", help="frames of a video (3)")
    group.add_argument(
        "--sampling",
        default="first_middle_last",
        metavar="POLICY",
        help=f"which frames: {', '.join(SAMPLING_POLICIES)} (first_middle_last)",
    )
    group.add_argument(
        "--threshold",
        type=float,
        default=0.3,
        metavar="C",
        help="confidence of the detector that a region must exceed, 0 to 1 (0.3)",
    )
    group.add_argument(
        "--check",
        choices=tuple(CHECKS),
        default="reading",
        help="; ".join(f"{name}: {meaning}" for name, meaning in CHECKS.items()) + " (reading)",
    )
    group.add_argument(
        "--limit-side",
        type=cli.whole_number(32),
        default=1280,
        metavar="PX",
        help="longer side at which frames are looked at; larger ones are scaled down (1280)",
    )
    group.add_argument("--text", action="store_true", help="add ocr_text, what the fullest frame says")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    group.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    return made


def make_stage(args: argparse.Namespace) -> OcrStage:
    """The stage that a command line asks for.

    Raises:
        UserError: A package is not installed, or an option is wrong.
    """
    from tools.media.sampling import parse_sampling
    from tools.scoring.ocr.stage import OcrStage

    return OcrStage(
        sampling=parse_sampling(args.sampling, args.num_frames),
        threshold=args.threshold,
        limit_side=args.limit_side,
        check=args.check,
        text=args.text,
        device=args.device,
        decoder=args.decoder,
    )


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
