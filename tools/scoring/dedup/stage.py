"""The stage that computes fingerprints: averages over time without bars, and the stills of a file."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np

from tools.base.disk import system_message
from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import FrameRequest, Frames
from tools.media.reading.sampling import Sampling
from tools.models.digests import read_sha256
from tools.scoring.dedup.fingerprint import (
    FLAT,
    LEVEL,
    SECONDS,
    SNAPSHOTS,
    WHOLE,
    Box,
    FileInfo,
    Fingerprint,
    Still,
    encode,
)
from tools.stage.stage import Row, Stage

FINGERPRINT = "fingerprint"
"""Column of `FingerprintStage`."""
THUMBNAIL_SIZE = (64, 36)
"""Width and height of the thumbnails of a fingerprint: twice those of its pictures."""

_FIRST = Sampling("first", 1)
_BAR_LEVEL = 48  # grey levels: bars are dark ...
_BAR_RANGE = 8  # ... and uniform, over their whole length and the whole time
_MIN_BOX = 0.5  # of each side; what leaves less is a dark scene, not bars
_CELL = 5  # side in pixels of the cells in which snapshots are compared
_CHANGE = 4.0  # grey levels by which a cell changes that is not static
_MAX_CHANGED = 0.007  # of the area; a picture in which more changes is moving
_MAX_CHANGED_DRAWN = 0.08  # the same for pictures that are drawn: slides, titles, screens
_DRAWN = 0.85  # of the area is uniform in pictures that are drawn
_UNIFORM = 2  # grey levels between neighbours
_MAX_STILLS = 48  # of a video


@dataclasses.dataclass
class FingerprintStage(Stage):
    """Fingerprints by pictures: column ``path`` in, column ``fingerprint`` out."""

    name = "fingerprint"
    suffix = "_fingerprint"
    version = 3
    output_columns = {FINGERPRINT: "String"}
    thumbnails = THUMBNAIL_SIZE

    @property
    def sampling(self) -> Sampling:
        """One full frame, for the size of the picture."""
        return _FIRST

    @property
    def request(self) -> FrameRequest:
        """That frame, thumbnails of all frames, and snapshots."""
        return FrameRequest(self.sampling, self.thumbnails, SNAPSHOTS)

    def prepare(self, row: Row, frames: Frames) -> dict[str, str]:
        """Compute the fingerprint. Runs in a worker process."""
        assert frames.thumbnails is not None  # they are in the request
        height, width = frames[0].image.shape[:2]
        fingerprint = make_fingerprint(
            frames.thumbnails,
            frames.times,
            height=height,
            width=width,
            is_video=not is_image(row["path"]),
            num_bytes=file_size(row["path"]),
        )
        if frames.snapshots is not None:
            stills = find_stills(frames.snapshots, frames.snapshot_times - frames.times[0])
            fingerprint = dataclasses.replace(fingerprint, stills=tuple(stills))
        if (fingerprint.contrast < FLAT).all():
            fingerprint = dataclasses.replace(fingerprint, digest=_digest(row["path"]))
        return {FINGERPRINT: encode(fingerprint)}


def file_size(path: str) -> int:
    """Size of a file in bytes; 0 if it no longer exists."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _digest(path: str) -> bytes:
    try:
        return bytes.fromhex(read_sha256(path))
    except OSError as error:
        raise MediaError("unreadable", path, f"cannot be read: {system_message(error)}") from None


def make_fingerprint(
    thumbnails: np.ndarray, times: np.ndarray, *, height: int, width: int, is_video: bool, num_bytes: int = 0
) -> Fingerprint:
    """Compute a fingerprint.

    Args:
        thumbnails: uint8, shape (frames, 36, 64): grey, `THUMBNAIL_SIZE`.
        times: float64, shape (frames,): when each frame starts, in seconds.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        is_video: Whether it is a video rather than an image.
        num_bytes: Size of the file.

    Returns:
        Its fingerprint, without digest and stills.
    """
    averages = average_over_time(thumbnails, times) if is_video else thumbnails.astype(np.float32)
    box = find_box(averages)
    averages = _extend_over_bars(averages, box)
    count, tall, wide = averages.shape
    halved = averages.reshape(count, tall // 2, 2, wide // 2, 2).mean(axis=(2, 4))
    darkest = halved.min()
    step = np.float32(max(float(halved.max() - darkest), 1.0) / 255)
    pictures = np.rint((halved - darkest) / step).astype(np.uint8)
    info = FileInfo(height, width, len(thumbnails), is_video, box, num_bytes)
    return Fingerprint(info, pictures, float(step))


def average_over_time(pictures: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Averages over time, one for every half second, each frame weighted by how long it is shown.

    Args:
        pictures: Shape (frames, height, width).
        times: float64, shape (frames,): when each frame starts, in seconds, ascending.

    Returns:
        float32, shape (n, height, width), n the duration in half seconds, at least 1. The weights of the k-th
        form a triangle: largest at k / 2 + 1/4 seconds, 0 half a second before and after.
    """
    last = float(np.median(np.diff(times))) if len(times) > 1 else SECONDS
    ends = np.append(times[1:], times[-1] + last)
    count = max(1, round((ends[-1] - times[0]) / SECONDS))
    averages = np.empty((count, *pictures.shape[1:]), np.float32)
    for k in range(count):
        centre = times[0] + (k + 0.5) * SECONDS
        first = np.searchsorted(ends, centre - SECONDS, side="right")
        stop = max(np.searchsorted(times, centre + SECONDS), first + 1)
        some = slice(min(first, len(times) - 1), stop)
        weights = _triangle_sum((ends[some] - centre) / SECONDS)
        weights -= _triangle_sum((times[some] - centre) / SECONDS)
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
        averages[k] = np.tensordot(weights.astype(np.float32), pictures[some].astype(np.float32), 1)
    return averages


def _triangle_sum(x: np.ndarray) -> np.ndarray:
    """Integral from -1 to x of the triangle 1 - abs(t)."""
    x = np.clip(x, -1, 1)
    return np.where(x < 0, 0.5 * (x + 1) ** 2, 1 - 0.5 * (1 - x) ** 2)


def find_box(averages: np.ndarray) -> Box:
    """The picture without its bars: rows and columns at the edges that are always dark and uniform.

    Args:
        averages: Averages over time, shape (n, height, width), 0 to 255.

    Returns:
        The box; `WHOLE` when there are no bars, or hardly anything else.
    """
    low, high = averages.min(axis=0), averages.max(axis=0)
    level = averages.mean(axis=0)
    top, bottom = _inside_bars(low, high, level)
    left, right = _inside_bars(low.T, high.T, level.T)
    if right - left < _MIN_BOX or bottom - top < _MIN_BOX:
        return WHOLE
    return left, right, top, bottom


def _inside_bars(low: np.ndarray, high: np.ndarray, level: np.ndarray) -> tuple[float, float]:
    """First and last row inside the bars, as fractions; a row that a bar covers in part counts in part."""
    bar = (high.max(axis=1) - low.min(axis=1) <= _BAR_RANGE) & (high.max(axis=1) <= _BAR_LEVEL)
    rows = np.flatnonzero(~bar)
    if not len(rows):
        return 0.0, 1.0
    first, last, count = int(rows[0]), int(rows[-1]), len(bar)
    profile = level.mean(axis=1)
    start = first + _covered(profile, first, 1) if first > 0 else 0.0
    end = last + 1 - _covered(profile, last, -1) if last < count - 1 else float(count)
    return start / count, end / count


def _covered(profile: np.ndarray, edge: int, inwards: int) -> float:
    """How much of the outermost row of the picture the bar covers, from its neighbours' brightness."""
    if not 0 <= edge + inwards < len(profile):
        return 0.0
    bar, mixed, inside = profile[edge - inwards], profile[edge], profile[edge + inwards]
    return float(np.clip((inside - mixed) / (inside - bar), 0, 1)) if inside > bar else 0.0


def _extend_over_bars(averages: np.ndarray, box: Box) -> np.ndarray:
    """Extend the picture to the end of the cells of the fingerprint that it shares with its bars."""
    averages = averages.copy()
    for axis, (low, high) in ((1, box[2:]), (2, box[:2])):
        size = averages.shape[axis]
        rows = np.moveaxis(averages, axis, 0)
        if low > 0:
            first = int(np.ceil(low * size))
            rows[int(low * size) // 2 * 2 : first] = rows[first]
        if high < 1:
            last = int(high * size) - 1
            rows[last + 1 : -(-int(np.ceil(high * size)) // 2) * 2] = rows[last]
    return averages


def find_stills(snapshots: np.ndarray, times: np.ndarray) -> list[Still]:
    """Find static pictures, in enough detail to distinguish one word from another.

    The pictures of a fingerprint are too small for that. Where things move they suffice, since nothing else
    moves in the same way.

    Args:
        snapshots: uint8, shape (n, 180, 320); a single one is an image.
        times: float64, shape (n,): their times in seconds, ascending.

    Returns:
        The stills, in the order of their times; if there are too many, those that last longest.
    """
    changes = [_changed_cells(one, other) for one, other in pairwise(snapshots)]
    static = [c.mean() <= _max_changed(p) for c, p in zip(changes, snapshots[1:], strict=True)]
    found: list[Still] = []
    shown = -1  # number of the snapshot in the last still
    for number, (snapshot, time) in enumerate(zip(snapshots, times, strict=True)):
        nearby = [changes[step] for step in (number - 1, number) if 0 <= step < len(static) and static[step]]
        if not nearby and static:
            continue
        if found and static[number - 1] and not _changed_cells(snapshots[shown], snapshot).any():
            if found[-1].end == found[-1].start:  # what was changing before has come to rest
                found[-1] = found[-1]._replace(picture=_quantised(snapshot))
            found[-1] = found[-1]._replace(end=float(time))
            continue
        picture = _quantised(snapshot)
        if nearby:
            picture[_moving(nearby)] = 0
        found.append(Still(float(time), float(time), picture))
        shown = number
    longest = sorted(found, key=lambda still: still.start - still.end)[:_MAX_STILLS]
    return sorted(longest)


def _quantised(snapshot: np.ndarray) -> np.ndarray:
    return 1 + snapshot // LEVEL


def _changed_cells(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which cells differ: bool, (36, 64)."""
    difference = one.astype(np.float32) - other
    tall, wide = difference.shape
    cells = difference.reshape(tall // _CELL, _CELL, wide // _CELL, _CELL).mean(axis=(1, 3))
    return np.abs(cells) > _CHANGE


def _moving(changes: list[np.ndarray]) -> np.ndarray:
    """Pixels of cells that change, and of those beside them: bool, (180, 320)."""
    import cv2

    around = cv2.dilate(np.any(changes, axis=0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.kron(around, np.ones((_CELL, _CELL), np.uint8)).astype(bool)


def _max_changed(picture: np.ndarray) -> float:
    """Fraction of the area that may change in a static picture."""
    levels = picture.astype(np.int16)
    across, down = np.abs(np.diff(levels, axis=1))[:-1], np.abs(np.diff(levels, axis=0))[:, :-1]
    uniform = np.mean((across <= _UNIFORM) & (down <= _UNIFORM))
    return _MAX_CHANGED_DRAWN if uniform >= _DRAWN else _MAX_CHANGED
