"""What a worker process does with a row; of the machinery around a stage it imports this module alone."""

from __future__ import annotations

from typing import Any

from tools.base.addresses import local_path
from tools.errors import MediaError
from tools.media.reading.requests import NOTHING, Frames, read_requests
from tools.stage.stage import Row, Stage


def prepare_row(stage: Stage, row: Row) -> Any:
    """Read the frames that a stage takes, and let it prepare a row.

    Raises:
        MediaError: The row has no file, or its frames cannot be read.
    """
    path = row.get("path")
    reads = stage.request != NOTHING
    if not path and (reads or "path" in stage.required_columns):
        raise MediaError("bad_value", "", "the cell of column path is empty")
    if isinstance(path, str):
        path = local_path(path)
        row = {**row, "path": path}
    frames: Frames | MediaError = Frames()
    if reads:
        (frames,) = read_requests(str(path), [stage.request], decoder=stage.decoder)
        if isinstance(frames, MediaError):
            raise frames
    return stage.prepare(row, frames)
