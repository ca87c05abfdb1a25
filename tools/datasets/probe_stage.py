"""What `datautil --info` does to one file."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import polars as pl

from tools.media.frames import Frame
from tools.stage.stage import Row, Stage


@dataclasses.dataclass
class ProbeStage(Stage):
    """Size, length and rate of an image or video, from its packets, see `tools.media.probe`.

    Adds num_frames, height and width (as displayed, pixels), aspect_ratio (height / width), fps (empty for an
    image), resolution (height x width), duration (seconds) and timing (ok, repaired, restarted).

    Attributes:
        as_video: Take every file for a video, whatever its name.
    """

    name: ClassVar[str] = "info"
    suffix: ClassVar[str] = "_info"
    adds: ClassVar[dict[str, type[pl.DataType]]] = {
        "num_frames": pl.Int64,
        "height": pl.Int64,
        "width": pl.Int64,
        "aspect_ratio": pl.Float64,
        "fps": pl.Float64,
        "resolution": pl.Int64,
        "duration": pl.Float64,
        "timing": pl.String,
    }

    as_video: bool = False

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Probe the file of the row."""
        from tools.media.probe import index_packets, media_info, probe

        path = row["path"]
        info = media_info(index_packets(path)) if self.as_video else probe(path)
        return {name: getattr(info, name) for name in self.adds}
