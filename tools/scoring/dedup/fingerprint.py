"""What is kept of a video to find its copies: one small grey picture for every half second.

Each picture is an average over time, weighted by a triangle of one second. So it hardly depends on the frame
rate, on which instants were looked at, or on the noise of a codec: the fingerprint of a clip that was cut out
of a longer one is a piece of the longer one's. (Averages over time before a DCT hash are due to Esmaeili,
Fatourechi and Ward, "A robust and fast video copy detection system using content-based fingerprinting",
IEEE TIFS 2011.)
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tools.scoring.dedup.stills import SNAPSHOTS, Still

THUMBNAIL_SIZE = (64, 36)
"""Width and height of the thumbnails that a fingerprint is made from."""
PICTURE_SIZE = (32, 18)
"""Width and height of a picture of the fingerprint: thumbnails, halved."""
SECONDS = 0.5
"""Seconds from one picture to the next; the first stands for the time from 0 to 0.5."""

Box = tuple[float, float, float, float]
"""Left, right, top and bottom of a part of the picture, as fractions of its width and height."""
WHOLE: Box = (0.0, 1.0, 0.0, 1.0)

_VERSION = 3
_HEADER = struct.Struct("<BBIIIQIHHHHfB")
# version, video, height, width, frames, bytes, pictures, box in 1/65535, step, stills
_SPAN = struct.Struct("<ff")  # when a still starts and ends
_HEADER_TEXT = _HEADER.size // 3 * 4  # characters of the header, whose length is a multiple of 3
_BAR_LEVEL = 48  # grey levels: bars are dark ...
_BAR_RANGE = 8  # ... and even, over their whole length and the whole time
_SMALLEST_BOX = 0.5  # of each side; what leaves less is a dark scene, not bars


@dataclass(frozen=True)
class About:
    """What is known of a file.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        num_frames: Frames of the video; 1 for an image.
        video: Whether it is one.
        box: Where the picture is without dark bars at its edges; `WHOLE` without bars.
        num_bytes: Size of the file; 0 where it is not known.
    """

    height: int
    width: int
    num_frames: int
    video: bool
    box: Box = WHOLE
    num_bytes: int = 0


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of a video or an image.

    Attributes:
        about: What is known of the file.
        pictures: uint8, shape (n, 18, 32): grey, squeezed to that size, one for every half second. They are
            stretched from the darkest to the brightest level that there is.
        step: Grey levels of the video that one level of the pictures stands for.
        digest: SHA-256 of the file, of a video or image in which there is nothing to see; else empty.
        stills: What stands still, in more detail.
    """

    about: About
    pictures: np.ndarray
    step: float = 1.0
    digest: bytes = b""
    stills: tuple[Still, ...] = ()

    @cached_property
    def contrast(self) -> np.ndarray:
        """Standard deviation of the video's grey levels in each picture, inside the bars: float32, (n,)."""
        return self.contrast_within(self.about.box)

    def contrast_within(self, window: Box) -> np.ndarray:
        """The same in a part of the picture."""
        left, right, top, bottom = window
        columns, rows = _cells(PICTURE_SIZE[0], left, right), _cells(PICTURE_SIZE[1], top, bottom)
        return self.pictures[:, rows, columns].astype(np.float32).std(axis=(1, 2)) * self.step


def _cells(count: int, low: float, high: float) -> slice:
    """The cells that lie within a part wholly; at least one."""
    first = min(int(np.ceil(low * count)), count - 1)
    return slice(first, max(int(high * count), first + 1))


def make_fingerprint(
    thumbnails: np.ndarray, times: np.ndarray, *, height: int, width: int, video: bool, num_bytes: int = 0
) -> Fingerprint:
    """Make a fingerprint.

    Args:
        thumbnails: uint8, shape (frames, 36, 64): grey, `THUMBNAIL_SIZE`.
        times: float64, shape (frames,): when each frame starts, in seconds.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        video: Whether it is one, or an image.
        num_bytes: Size of the file.

    Returns:
        Its fingerprint, without a digest.
    """
    means = average_over_time(thumbnails, times) if video else thumbnails.astype(np.float32)
    box = find_box(means)
    means = _without_edges_of_bars(means, box)
    count, tall, wide = means.shape
    halved = means.reshape(count, tall // 2, 2, wide // 2, 2).mean(axis=(2, 4))
    darkest = halved.min()
    step = np.float32(max(float(halved.max() - darkest), 1.0) / 255)
    pictures = np.rint((halved - darkest) / step).astype(np.uint8)
    about = About(height, width, len(thumbnails), video, box, num_bytes)
    return Fingerprint(about, pictures, float(step))


def _without_edges_of_bars(means: np.ndarray, box: Box) -> np.ndarray:
    """Continue the picture to the end of the cells that it would share with its bars."""
    means = means.copy()
    for axis, (low, high) in ((1, box[2:]), (2, box[:2])):
        size = means.shape[axis]
        rows = np.moveaxis(means, axis, 0)
        if low > 0:
            first = int(np.ceil(low * size))
            rows[int(low * size) // 2 * 2 : first] = rows[first]
        if high < 1:
            last = int(high * size) - 1
            rows[last + 1 : -(-int(np.ceil(high * size)) // 2) * 2] = rows[last]
    return means


def average_over_time(pictures: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Averages over time, one for every half second, each frame weighted by how long it is shown.

    Args:
        pictures: Shape (frames, height, width).
        times: float64, shape (frames,): when each frame starts, in seconds, ascending.

    Returns:
        float32, shape (n, height, width), n the duration in half seconds, at least 1. The k-th is centred at
        k / 2 + 1/4 seconds, and a frame half a second away from there has no weight.
    """
    last = float(np.median(np.diff(times))) if len(times) > 1 else SECONDS
    ends = np.append(times[1:], times[-1] + last)
    count = max(1, round((ends[-1] - times[0]) / SECONDS))
    means = np.empty((count, *pictures.shape[1:]), np.float32)
    for k in range(count):
        centre = times[0] + (k + 0.5) * SECONDS
        first = np.searchsorted(ends, centre - SECONDS, side="right")
        stop = max(np.searchsorted(times, centre + SECONDS), first + 1)
        some = slice(min(first, len(times) - 1), stop)
        weights = _triangle_sum((ends[some] - centre) / SECONDS)
        weights -= _triangle_sum((times[some] - centre) / SECONDS)
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
        means[k] = np.tensordot(weights.astype(np.float32), pictures[some].astype(np.float32), 1)
    return means


def _triangle_sum(x: np.ndarray) -> np.ndarray:
    """Integral from -1 to x of the triangle 1 - abs(t)."""
    x = np.clip(x, -1, 1)
    return np.where(x < 0, 0.5 * (x + 1) ** 2, 1 - 0.5 * (1 - x) ** 2)


def find_box(means: np.ndarray) -> Box:
    """Where the picture is without its bars: rows and columns at the edges that are dark and even, always.

    Args:
        means: Averages over time, shape (n, height, width), 0 to 255.

    Returns:
        The box; `WHOLE` where there are no bars, or hardly anything else.
    """
    low, high = means.min(axis=0), means.max(axis=0)
    level = means.mean(axis=0)
    top, bottom = _inner(low, high, level)
    left, right = _inner(low.T, high.T, level.T)
    if right - left < _SMALLEST_BOX or bottom - top < _SMALLEST_BOX:
        return WHOLE
    return left, right, top, bottom


def _inner(low: np.ndarray, high: np.ndarray, level: np.ndarray) -> tuple[float, float]:
    """First and last row that is not of a bar, as fractions; a row that is so in part counts in part."""
    bar = (high.max(axis=1) - low.min(axis=1) <= _BAR_RANGE) & (high.max(axis=1) <= _BAR_LEVEL)
    rows = np.flatnonzero(~bar)
    if not len(rows):
        return 0.0, 1.0
    first, last, count = int(rows[0]), int(rows[-1]), len(bar)
    profile = level.mean(axis=1)
    start = first + _dark_part(profile, first, 1) if first > 0 else 0.0
    end = last + 1 - _dark_part(profile, last, -1) if last < count - 1 else float(count)
    return start / count, end / count


def _dark_part(profile: np.ndarray, edge: int, inwards: int) -> float:
    """How much of the outermost row of the picture belongs to the bar, by its neighbours' brightness."""
    if not 0 <= edge + inwards < len(profile):
        return 0.0
    bar, mixed, inside = profile[edge - inwards], profile[edge], profile[edge + inwards]
    return float(np.clip((inside - mixed) / (inside - bar), 0, 1)) if inside > bar else 0.0


def encode(fingerprint: Fingerprint) -> str:
    """A fingerprint as text, for a cell of a table."""
    about = fingerprint.about
    box = [round(edge * 65535) for edge in about.box]
    size = about.height, about.width, about.num_frames, about.num_bytes
    counts, stills = len(fingerprint.pictures), fingerprint.stills
    header = _HEADER.pack(_VERSION, about.video, *size, counts, *box, fingerprint.step, len(stills))
    # Differences over time are small numbers, which compress better.
    steps = np.diff(fingerprint.pictures, axis=0, prepend=np.uint8(0))
    spans = b"".join(_SPAN.pack(still.start, still.end) for still in stills)
    details = np.array([still.picture for still in stills], np.uint8).reshape(-1, *SNAPSHOTS.size[::-1])
    details = np.diff(np.diff(details, axis=0, prepend=np.uint8(0)), axis=2, prepend=np.uint8(0))
    packed = zlib.compress(steps.tobytes() + spans + details.tobytes() + fingerprint.digest)
    return f"{base64.b64encode(header).decode()}{base64.b64encode(packed).decode()}"


def decode(text: str) -> Fingerprint:
    """The reverse of `encode`.

    Raises:
        ValueError: The text is no fingerprint, or that of another version.
    """
    about, count, level, num_stills = _read_header(text)
    try:
        data = zlib.decompress(base64.b64decode(text[_HEADER_TEXT:], validate=True))
        steps, data = _take(data, (count, *PICTURE_SIZE[::-1]))
        spans, data = data[: num_stills * _SPAN.size], data[num_stills * _SPAN.size :]
        details, digest = _take(data, (num_stills, *SNAPSHOTS.size[::-1]))
        times = list(_SPAN.iter_unpack(spans))
    except (ValueError, zlib.error, struct.error) as error:
        raise _no_fingerprint(text, str(error)) from None
    details = np.cumsum(np.cumsum(details, axis=2, dtype=np.uint8), axis=0, dtype=np.uint8)
    stills = tuple(Still(*span, picture) for span, picture in zip(times, details, strict=True))
    return Fingerprint(about, np.cumsum(steps, axis=0, dtype=np.uint8), level, digest, stills)


def _take(data: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, bytes]:
    """Bytes at the start as an array, and the rest."""
    count = math.prod(shape)
    return np.frombuffer(data[:count], np.uint8).reshape(shape), data[count:]


def decode_about(text: str) -> About:
    """What a fingerprint says of its file, without its pictures. Errors as in `decode`."""
    return _read_header(text)[0]


def _read_header(text: str) -> tuple[About, int, float, int]:
    """What is known of the file, the number of pictures, their step, and the number of stills."""
    try:
        data = base64.b64decode(text[:_HEADER_TEXT], validate=True)
        version, video, height, width, frames, size, count, *box, step, num_stills = _HEADER.unpack(data)
    except (ValueError, struct.error) as error:
        raise _no_fingerprint(text, str(error)) from None
    if version != _VERSION or not count:
        raise _no_fingerprint(text, f"version {version}, not {_VERSION}")
    box = tuple(edge / 65535 for edge in box)
    return About(height, width, frames, bool(video), box, size), count, step, num_stills


def _no_fingerprint(text: str, why: str) -> ValueError:
    return ValueError(f"no fingerprint: {text[:20]!r}... ({why})")
