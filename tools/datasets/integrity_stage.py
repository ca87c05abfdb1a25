"""What `check_integrity` does to one file, as a stage."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tools.stage.common_options import audio_track_option
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.media.reading.frames import Frame


@dataclasses.dataclass
class IntegrityStage(Stage):
    """Decode every file to its end: column ``path`` in.

    Adds intact, broken_at (seconds from first frame to first damage), broken_frames, decoded_frames and
    broken_reason. A file that is broken or missing is a result, not a failure; a failure is a file that could
    not be judged (it took too long, say), and leaves the columns empty.
    """

    name = "integrity"
    suffix = "_integrity"
    output_columns = {
        "intact": "Boolean",
        "broken_at": "Float64",
        "broken_frames": "Int64",
        "decoded_frames": "Int64",
        "broken_reason": "String",
    }

    audio_track: str | None = audio_track_option("the only audio track that is decoded", "all")

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Decode the file of the row."""
        from tools.datasets.integrity import check_file_integrity

        found = dataclasses.asdict(check_file_integrity(row["path"], audio_track=self.audio_track))
        found["broken_reason"] = found.pop("reason")
        return found
