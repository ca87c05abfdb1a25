"""Command: label how the camera moves in every video of a table."""

from __future__ import annotations

from tools import cli

MODULE = "tools.caption.camera_motion.detect"


def parser(module: str = MODULE) -> cli.ArgumentParser:
    """The command line.

    Args:
        module: The name it is called by.
    """
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        module,
        "Label the camera motion of every video: static, pan_left, pan_right, tilt_up, tilt_down, zoom_in,\n"
        "zoom_out, roll_cw, roll_ccw, shake (several joined by +) or undetermined. Directions are those of\n"
        "the camera. Reads column path, adds cmotion, pan, tilt, zoom, roll and shake, and writes\n"
        "META_cmotion.csv; under torchrun each rank writes META_cmotion_part<rank>.csv.",
        f"""
        python -m {module} meta.csv
        python -m {module} meta.csv --threshold 0.5
        python -m tools.datasets.datautil meta_cmotion.csv --merge-cmotion
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made)
    group = made.add_argument_group("camera motion")
    group.add_argument(
        "--threshold",
        type=cli.positive_number,
        default=0.25,
        metavar="F",
        help="a move counts that carries the picture by this fraction of its shorter side in 16 seconds, and "
        "in proportion in less (0.25)",
    )
    return made


def main(argv: list[str] | None = None, module: str = MODULE) -> int | None:
    """Parse the command line and run the stage."""
    args = parser(module).parse_args(argv)

    from tools.caption.camera_motion.stage import CameraMotionStage
    from tools.stage.options import run_command

    return run_command(CameraMotionStage(threshold=args.threshold), args)


if __name__ == "__main__":
    cli.run(main)
