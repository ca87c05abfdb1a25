"""Shot detection as a stage: column ``path`` in, column ``timestamp`` out."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tools.errors import MediaError, UserError
from tools.media.extensions import is_image
from tools.media.frames import Frame
from tools.scene_cut.shots.detectors import find_cuts
from tools.scene_cut.shots.limits import MIN_SCENE_LEN, check_limits, check_usable, frames_to_search
from tools.scene_cut.shots.options import check_options
from tools.scene_cut.shots.scenes import make_scenes, shots_between_cuts, shots_between_transitions
from tools.scene_cut.shots.stats import stats_names
from tools.scene_cut.timestamps import format_timestamps
from tools.stage.stage import Row, Stage

_STATS_NAME = "_stats_name"


@dataclasses.dataclass
class SceneDetectStage(Stage):
    """Shots of a video; see `tools.scene_cut.shots.scenes.detect_scenes` for the attributes.

    PySceneDetect's detectors run in the workers. For TransNetV2 the workers decode, and the network runs in
    the parent, on the GPU where there is one.

    Attributes:
        stats_dir: Folder for one CSV a video with what the detector measured on each frame; its path goes to
            a further column, stats. None for none.

    Raises:
        UserError: Unknown detector or option, or a value out of range.
    """

    name: ClassVar[str] = "timestamp"
    suffix: ClassVar[str] = "_timestamp"
    uses: ClassVar[tuple[str, ...]] = (_STATS_NAME,)
    adds: ClassVar[dict[str, type[pl.DataType]]] = {"timestamp": pl.String}

    detector: str = "adaptive"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    min_scene_len: int | float | str = MIN_SCENE_LEN
    start_time: float | Fraction | str | None = None
    end_time: float | Fraction | str | None = None
    max_seconds: float | Fraction | str | None = None
    frame_skip: int = 0
    stats_dir: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        self.options = check_options(self.detector, self.options)
        names = ("start_time", "end_time", "max_seconds", "min_scene_len", "frame_skip")
        limits = check_limits(**{name: getattr(self, name) for name in names})
        check_usable(self.detector, limits, with_stats=self.stats_dir is not None)
        for name, value in limits.items():
            setattr(self, name, value)
        if self.stats_dir is not None:
            self.adds = {**self.adds, "stats": pl.String}

    def asked(self) -> dict[str, Any]:
        """All options but the device; times as text."""
        asked = {name: value for name, value in super().asked().items() if name != "device"}
        times = ("start_time", "end_time", "max_seconds")
        return asked | {name: str(asked[name]) for name in times if asked[name] is not None}

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the names of the statistics by the whole table, so that none is taken twice."""
        if self.stats_dir is None:
            return table
        names = stats_names(table["path"].cast(pl.String).to_list())
        return table.with_columns(pl.Series(_STATS_NAME, names, dtype=pl.String))

    def still_there(self, values: dict[str, Any]) -> bool:
        """Whether the statistics of a finished row were not removed since."""
        return self.stats_dir is None or Path(values["stats"]).is_file()

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
        stats_path = None if self.stats_dir is None else Path(self.stats_dir, row[_STATS_NAME])
        cuts = find_cuts(
            path,
            index,
            wanted,
            self.detector,
            self.options,
            min_scene_len=self.min_scene_len,
            frame_skip=self.frame_skip,
            stats_path=stats_path,
        )
        found = {"timestamp": self._cell(shots_between_cuts(cuts, wanted), index)}
        return found if stats_path is None else found | {"stats": str(stats_path)}

    def setup(self) -> None:
        """Make the folder of the statistics; load TransNetV2, if that is the detector."""
        if self.stats_dir is not None:
            try:
                Path(self.stats_dir).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = f"--stats-dir {self.stats_dir}: cannot make the folder: {error.strerror}"
                raise UserError(message) from None
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
