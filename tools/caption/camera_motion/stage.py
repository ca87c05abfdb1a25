"""Camera motion as a stage: labels in the column ``cmotion``, and the numbers behind them."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl

from tools.caption.camera_motion.labels import classify
from tools.caption.camera_motion.path import follow_camera
from tools.errors import MediaError, UserError
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling
from tools.stage.stage import Row, Stage

THRESHOLD = 0.25
"""Default of `CameraMotionStage.threshold`."""

_SHORTEST = 0.2  # seconds; in less there are too few steps to tell a move from a jolt
_DECIMALS = 5


@dataclasses.dataclass
class CameraMotionStage(Stage):
    """Camera motion: column ``path`` in, ``cmotion``, ``pan``, ``tilt``, ``zoom``, ``roll``, ``shake`` out.

    See `tools.caption.camera_motion.labels.CameraMotion` for what they mean. The numbers of a clip whose
    motion is undetermined are empty; an image, and a video of less than 0.2 seconds, fails as too_short.

    Attributes:
        threshold: How far a move carries the picture in 16 seconds at least, as a fraction of its shorter
            side.

    Raises:
        UserError: The threshold is not greater than 0.
    """

    threshold: float = THRESHOLD

    name = "cmotion"
    suffix = "_cmotion"
    output_columns = {
        "cmotion": pl.String,
        "pan": pl.Float64,
        "tilt": pl.Float64,
        "zoom": pl.Float64,
        "roll": pl.Float64,
        "shake": pl.Float64,
    }
    thumbnails = (320, 180)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if not self.threshold > 0:
            raise UserError(f"threshold must be greater than 0, not {self.threshold}; try {THRESHOLD}")

    @property
    def sampling(self) -> Sampling:
        """One frame in full, for its shape; the motion is measured on the thumbnails of all."""
        return Sampling("first")

    def prepare(self, row: Row, frames: Frames) -> dict[str, Any]:
        """The finished values of one clip."""
        duration = float(frames.times[-1]) if len(frames.times) > 2 else 0.0
        if duration < _SHORTEST:
            raise MediaError(
                "too_short",
                row["path"],
                f"{len(frames.times)} frames in {duration:.2f} s; camera motion needs {_SHORTEST} s of video",
            )
        assert frames.thumbnails is not None, "the stage asks for them"
        height, width = frames[0].image.shape[:2]
        aspect = width / height
        shots = follow_camera(frames.thumbnails, frames.times, aspect)
        motion = classify(shots, duration, aspect, self.threshold)
        numbers = {name: getattr(motion, name) for name in self.output_columns if name != "cmotion"}
        return {"cmotion": str(motion)} | {
            name: None if value is None else round(value, _DECIMALS) + 0.0 for name, value in numbers.items()
        }
