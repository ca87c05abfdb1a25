"""Command: write the first frame of every video as an image (the method first_frame of transform)."""

from __future__ import annotations

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.datasets.save_first_frame",
    "tools.datasets.transforms.frames.FirstFrameStage",
    title="images",
    description="Write the first frame of every video as IMG_DIR/<stem>_first_frame.jpg. Reads column path,\n"
    "and relpath (its folders are mirrored); adds first_frame_path, writes META_first-frame.csv.",
    examples="python -m tools.datasets.save_first_frame meta.csv --img-dir frames",
    engines=False,
)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage."""
    from tools.datasets.transform import run_folder_stage

    args = COMMAND.parser().parse_args(argv)
    return run_folder_stage(COMMAND.make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
