"""Command: another name of `tools.caption.camera_motion.detect`."""

from tools import cli
from tools.caption.camera_motion import detect

COMMAND = detect.COMMAND.renamed("tools.caption.camera_motion_detect")
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
