"""Command: label how the camera moves in every video of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.caption.camera_motion.detect",
    "tools.caption.camera_motion.stage.CameraMotionStage",
    "camera motion",
    "Label the camera motion of every video: static, pan_left, pan_right, tilt_up, tilt_down, zoom_in,\n"
    "zoom_out, roll_cw, roll_ccw, shake (several joined by +) or undetermined. Directions are those of\n"
    "the camera. Reads column path, adds cmotion, pan, tilt, zoom, roll and shake, and writes\n"
    "META_cmotion.csv; under torchrun each rank writes META_cmotion_part<rank>.csv.",
    """
    python -m tools.caption.camera_motion.detect meta.csv
    python -m tools.caption.camera_motion.detect meta.csv --threshold 0.5
    python -m tools.datasets.datautil meta_cmotion.csv --merge-cmotion
    """,
    engines=False,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
