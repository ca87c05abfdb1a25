"""Command: another name of `tools.caption.camera_motion.detect`."""

from __future__ import annotations

from tools import cli
from tools.caption.camera_motion import detect


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    return detect.main(argv, "tools.caption.camera_motion_detect")


if __name__ == "__main__":
    cli.run(main)
