"""What `datautil --info` does to one file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tools.columns import COLUMNS, INFO
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.media.reading.frames import Frame


@dataclasses.dataclass
class ProbeStage(Stage):
    """What an image or video is: size, length, rate, colours, sound; see `tools.media.reading.probe`.

    Adds the columns that `tools.columns` says are made by --info.

    Attributes:
        as_video: Take every file for a video, whatever its name.
    """

    name = "info"
    suffix = "_info"
    output_columns = {name: column.kind for name, column in COLUMNS.items() if column.made_by == INFO}

    as_video: bool = False

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Probe the file of the row."""
        from tools.media.reading.probe import index_packets, media_info, probe

        path = row["path"]
        info = media_info(index_packets(path)) if self.as_video else probe(path)
        return {name: getattr(info, name) for name in self.output_columns}
