"""Command: add optical flow, how much moves in every video of a table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.scoring.optical_flow.stage import OpticalFlowStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.media.frames import DECODERS
    from tools.models.device import PRECISIONS
    from tools.scoring.optical_flow.stage import COMPAT, METHODS
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.optical_flow.inference",
        "Add optical flow: how much moves in every video.\n"
        "Reads column path, adds flow (Open-Sora's score), motion (diagonals of the frame per second, at\n"
        "any size, length and frame rate) and motion_p95 (of its fast parts), writes META_flow.csv;\n"
        "under torchrun each rank writes META_flow_part<rank>.csv.",
        """
        python -m tools.scoring.optical_flow.inference meta.csv
        python -m tools.scoring.optical_flow.inference meta.csv --method dis --split-camera
        torchrun --nproc_per_node 8 -m tools.scoring.optical_flow.inference meta.csv --bs 16 --num_workers 16
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=8, num_workers=16, engine=True)
    group = made.add_argument_group("optical flow")
    group.add_argument(
        "--method",
        default="gmflow",
        choices=tuple(METHODS),
        help="; ".join(f"{name}: {what}" for name, what in METHODS.items()) + " (gmflow)",
    )
    group.add_argument(
        "--motion-pairs",
        type=cli.whole_number(0),
        default=6,
        metavar="N",
        help="pairs of frames for motion, spread over the video; 0: only flow (6)",
    )
    group.add_argument(
        "--split-camera",
        action="store_true",
        help="add motion_camera and motion_subject: what the camera does, and what moves by itself",
    )
    group.add_argument(
        "--compat",
        choices=COMPAT,
        help="only flow; a short clip is filled up with its last frame, as Open-Sora does",
    )
    group.add_argument("--weights", metavar="PATH", help="weights of GMFlow (pretrained_models/unimatch)")
    group.add_argument("--device", default="auto", help="of GMFlow: auto, cpu, cuda or cuda:N (auto)")
    group.add_argument(
        "--precision", default="auto", choices=PRECISIONS, help="of GMFlow; auto is fp32 (auto)"
    )
    group.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    return made


def make_stage(args: argparse.Namespace) -> OpticalFlowStage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights are missing, or options contradict each other.
    """
    from tools.scoring.optical_flow.stage import OpticalFlowStage

    return OpticalFlowStage(
        method=args.method,
        motion_pairs=args.motion_pairs,
        split_camera=args.split_camera,
        compat=args.compat,
        weights=args.weights,
        device=args.device,
        precision=args.precision,
        decoder=args.decoder,
    )


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
