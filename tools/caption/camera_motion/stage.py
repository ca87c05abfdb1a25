"""Camera motion as a stage: labels in the column ``cmotion``, and the numbers behind them."""

from __future__ import annotations

import dataclasses
from typing import Any

from tools.caption.camera_motion.labels import classify
from tools.caption.camera_motion.path import follow_camera
from tools.errors import MediaError
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling
from tools.options import option
from tools.options.values import Number
from tools.stage.stage import Row, Stage

_SHORTEST = 0.2  # seconds; shorter videos have too few steps to distinguish a move from a jolt
_DECIMALS = 5


@dataclasses.dataclass
class CameraMotionStage(Stage):
    """Camera motion: column ``path`` in, ``cmotion``, ``pan``, ``tilt``, ``zoom``, ``roll``, ``shake`` out.

    See `tools.caption.camera_motion.labels.CameraMotion` for what they mean. The numbers of a clip whose
    motion is undetermined are empty; an image, and a video of less than 0.2 seconds, fails as too_short.

    Raises:
        UserError: The threshold is out of range.
    """

    name = "cmotion"
    suffix = "_cmotion"
    output_columns = {
        "cmotion": "String",
        "pan": "Float64",
        "tilt": "Float64",
        "zoom": "Float64",
        "roll": "Float64",
        "shake": "Float64",
    }
    thumbnails = (320, 180)

    threshold: float = option(
        0.25,
        "a move counts that carries the picture by this fraction of its shorter side in 16 seconds, and in "
        "proportion in less",
        Number(0, above=True, metavar="F"),
    )

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
