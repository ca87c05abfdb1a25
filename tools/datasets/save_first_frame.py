"""Command: write the first frame of every video as an image (the method first_frame of transform)."""

from __future__ import annotations

from tools import cli

_MODULE = "tools.datasets.save_first_frame"


def _parser() -> cli.ArgumentParser:
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        _MODULE,
        "Write the first frame of every video as IMG_DIR/<stem>_first_frame.jpg. Reads column path, and\n"
        "relpath (its folders are mirrored); adds first_frame_path, writes META_first-frame.csv.",
        f"python -m {_MODULE} meta.csv --img-dir frames",
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    parser.add_argument("--img-dir", required=True, metavar="DIR", help="folder of the images")
    add_stage_arguments(parser)
    return parser


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = _parser().parse_args(argv)

    from tools.datasets.transforms.frames import FirstFrameStage
    from tools.stage.options import run_command

    return run_command(FirstFrameStage(args.img_dir, overwrite=args.overwrite), args)


if __name__ == "__main__":
    cli.run(main)
