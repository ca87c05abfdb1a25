"""Command: add technical measures of every image and video of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    import argparse

    from tools.scoring.technical.stage import TechnicalStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.media.frames import DECODERS
    from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scoring.technical.inference",
        "Add technical measures of every image and video, without a model.\n"
        "Reads column path, adds a column for each measure, writes META_technical.csv.\n"
        "An image has no values for what needs time. Measures:\n"
        + "\n".join(f"  {name:12}  {measure.meaning}" for name, measure in MEASURES.items()),
        """
        python -m tools.scoring.technical.inference meta.csv
        python -m tools.scoring.technical.inference meta.csv --measures black_bars,static_ratio,true_fps
        python -m tools.scoring.technical.inference meta.csv --measures niqe --niqe-parameters model.mat
        """,
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, engine=True)
    group = parser.add_argument_group("technical measures")
    group.add_argument(
        "--measures",
        default=",".join(DEFAULT_MEASURES),
        metavar="A,B,...",
        help="measures, joined by commas (all that need no parameters: all but niqe)",
    )
    group.add_argument(
        "--num-frames",
        type=cli.whole_number(1),
        default=6,
        metavar="N",
        help="places in a video at which frames are looked at in full (6)",
    )
    group.add_argument(
        "--niqe-parameters",
        metavar="FILE",
        help="parameters of NIQE (pretrained_models/niqe_image_params.mat; "
        "'python -m tools.models.weights download niqe')",
    )
    group.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    return parser


def make_stage(args: argparse.Namespace) -> TechnicalStage:
    """The stage that a command line asks for."""
    from tools.scoring.technical.stage import TechnicalStage

    return TechnicalStage(
        measures=tuple(name.strip() for name in args.measures.split(",") if name.strip()),
        num_frames=args.num_frames,
        niqe_parameters=args.niqe_parameters,
        decoder=args.decoder,
    )


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
