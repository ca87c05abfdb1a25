"""What a worker process does with a row; of the machinery around a stage it imports this module alone."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from tools.base.addresses import local_path
from tools.errors import MediaError
from tools.media.reading.limits import limited_pixels
from tools.media.reading.requests import NOTHING, Frames, read_requests
from tools.stage.stage import Row, Stage


def prepare_row(stage: Stage, max_pixels: int | None, row: Row) -> Any:
    """Read the frames that a stage takes, and let it prepare a row.

    Args:
        stage: The stage.
        max_pixels: See `tools.media.reading.limits.limited_pixels`.
        row: The row.

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
    with limited_pixels(max_pixels):
        if reads:
            (frames,) = read_requests(str(path), [stage.request], decoder=stage.decoder)
            if isinstance(frames, MediaError):
                raise frames
        return stage.prepare(row, frames)


class Timed(NamedTuple):
    """What became of a row in a worker, and the time that it took.

    Attributes:
        result: What `prepare_row` returned, or the error that it raised.
        seconds: Time.
        cpu: CPU time.
    """

    result: Any
    seconds: float
    cpu: float


def prepare_timed(stage: Stage, max_pixels: int | None, row: Row) -> Timed:
    """As `prepare_row`, and measure it; a failure is the result."""
    begun, cpu = time.monotonic(), time.process_time()
    try:
        result = prepare_row(stage, max_pixels, row)
    except MediaError as error:
        result = error
    return Timed(result, time.monotonic() - begun, time.process_time() - cpu)
