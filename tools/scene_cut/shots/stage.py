"""Shot detection as a stage: column ``path`` in, column ``timestamp`` out."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tools.errors import MediaError
from tools.media.extensions import is_image
from tools.media.frames import Frame
from tools.scene_cut.shots.detectors import check_options, find_cuts, parse_weights
from tools.scene_cut.shots.scenes import (
    frames_to_search,
    make_scenes,
    shots_between_cuts,
    shots_between_transitions,
)
from tools.scene_cut.timestamps import format_timestamps
from tools.stage.stage import Row, Stage


@dataclasses.dataclass
class SceneDetectStage(Stage):
    """Shots of a video; see `tools.scene_cut.shots.scenes.detect_scenes` for the attributes.

    PySceneDetect's detectors run in the workers. For TransNetV2 the workers decode, and the network runs in
    the parent, on the GPU where there is one.

    Raises:
        UserError: Unknown detector or option.
    """

    name: ClassVar[str] = "timestamp"
    suffix: ClassVar[str] = "_timestamp"
    adds: ClassVar[dict[str, type[pl.DataType]]] = {"timestamp": pl.String}

    detector: str = "adaptive"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    min_scene_len: str | int | float = 15
    start_time: Fraction | None = None
    end_time: Fraction | None = None
    max_seconds: float | None = None
    frame_skip: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        self.options = check_options(self.detector, self.options)
        if self.options.get("weights"):
            parse_weights(self.options["weights"])

    def asked(self) -> dict[str, Any]:
        """All options but the device."""
        return {name: value for name, value in super().asked().items() if name != "device"}

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Find the shots; for TransNetV2, decode the small pictures it wants to see."""
        from tools.media.probe import index_packets

        path = row["path"]
        if is_image(path):
            raise MediaError("no_video", path, "is an image")
        index = index_packets(path)
        wanted = frames_to_search(index, self.start_time, self.end_time)
        if self.detector == "transnetv2":
            from tools.scene_cut.shots.transnet import read_small_frames

            return {"pictures": read_small_frames(path, index, wanted), "index": index, "frames": wanted}
        cuts = find_cuts(
            path,
            index,
            wanted,
            self.detector,
            self.options,
            min_scene_len=self.min_scene_len,
            frame_skip=self.frame_skip,
        )
        return {"timestamp": self._cell(shots_between_cuts(cuts, wanted), index)}

    def setup(self) -> None:
        """Load TransNetV2, if that is the detector."""
        if self.detector == "transnetv2":
            from tools.scene_cut.shots.transnet import TransNet

            self._network = TransNet(self.device)

    def score(self, batch: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Run TransNetV2 over each video; of the other detectors, pass on what the workers found."""
        if self.detector != "transnetv2":
            return batch
        return [{"timestamp": self._transitions(**prepared)} for prepared in batch]

    def _transitions(self, pictures: np.ndarray, index: Any, frames: range) -> str:
        probabilities = self._network.probabilities(pictures)
        return self._cell(shots_between_transitions(probabilities, self.options["threshold"], frames), index)

    def _cell(self, shots: list[range], index: Any) -> str:
        scenes = make_scenes(shots, index, max_seconds=self.max_seconds)
        return format_timestamps([scene.interval for scene in scenes])
