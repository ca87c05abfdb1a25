"""What is kept of a video to find its copies: one small grey picture for every half second.

Each picture is an average over time, weighted by a triangle of one second. So it hardly depends on the frame
rate, on which instants were looked at, or on the noise of a codec: the fingerprint of a clip that was cut out
of a longer one is a piece of the longer one's. (Averages over time before a DCT hash are due to Esmaeili,
Fatourechi and Ward, "A robust and fast video copy detection system using content-based fingerprinting",
IEEE TIFS 2011.)
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np

THUMBNAIL_SIZE = (64, 36)
"""Width and height of the thumbnails that a fingerprint is made from."""
PICTURE_SIZE = (32, 18)
"""Width and height of a picture of the fingerprint: thumbnails, halved."""
SECONDS = 0.5
"""Seconds from one picture to the next; the first stands for the time from 0 to 0.5."""

Box = tuple[float, float, float, float]
"""Left, right, top and bottom of a part of the picture, as fractions of its width and height."""
WHOLE: Box = (0.0, 1.0, 0.0, 1.0)

_VERSION = 1
_HEADER = struct.Struct("<BBIIIIHHHH")  # version, video, height, width, frames, pictures, box in 1/65535
_BAR_LEVEL = 48  # grey levels: bars are dark ...
_BAR_RANGE = 8  # ... and even, over their whole length and the whole time
_SMALLEST_BOX = 0.5  # of each side; what leaves less is a dark scene, not bars


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of a video or an image.

    Attributes:
        pictures: uint8, shape (n, 18, 32): grey, squeezed to that size, one for every half second.
        box: Where the picture is without dark bars at its edges; `WHOLE` without bars.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        num_frames: Frames of the video.
        video: Whether it is one, or an image.
        digest: SHA-256 of the file, of a video or image in which there is nothing to see; else empty.
    """

    pictures: np.ndarray
    box: Box
    height: int
    width: int
    num_frames: int
    video: bool
    digest: bytes = b""


def make_fingerprint(
    thumbnails: np.ndarray, times: np.ndarray, *, height: int, width: int, video: bool
) -> Fingerprint:
    """Make a fingerprint.

    Args:
        thumbnails: uint8, shape (frames, 36, 64): grey, `THUMBNAIL_SIZE`.
        times: float64, shape (frames,): when each frame starts, in seconds.
        height: Height of the video in pixels.
        width: Width of the video in pixels.
        video: Whether it is one, or an image.

    Returns:
        Its fingerprint, without a digest.
    """
    means = average_over_time(thumbnails, times) if video else thumbnails.astype(np.float32)
    count, tall, wide = means.shape
    halved = means.reshape(count, tall // 2, 2, wide // 2, 2).mean(axis=(2, 4))
    pictures = np.rint(halved).astype(np.uint8)
    return Fingerprint(pictures, find_box(means), height, width, len(thumbnails), video)


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
    box = [round(side * 65535) for side in fingerprint.box]
    size = (fingerprint.height, fingerprint.width, fingerprint.num_frames, len(fingerprint.pictures))
    header = _HEADER.pack(_VERSION, fingerprint.video, *size, *box)
    # Differences over time are small numbers, which compress better.
    steps = np.diff(fingerprint.pictures, axis=0, prepend=np.zeros_like(fingerprint.pictures[:1]))
    return base64.b64encode(zlib.compress(header + steps.tobytes() + fingerprint.digest, 6)).decode()


def decode(text: str) -> Fingerprint:
    """The reverse of `encode`.

    Raises:
        ValueError: The text is no fingerprint, or that of another version.
    """
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
        version, video, height, width, frames, count, *box = _HEADER.unpack_from(data)
        end = _HEADER.size + count * PICTURE_SIZE[0] * PICTURE_SIZE[1]
        steps = np.frombuffer(data[_HEADER.size : end], np.uint8)
        pictures = np.cumsum(steps.reshape(count, *PICTURE_SIZE[::-1]), axis=0, dtype=np.uint8)
    except (ValueError, zlib.error, struct.error) as error:
        raise ValueError(f"no fingerprint: {text[:20]!r}... ({error})") from None
    if version != _VERSION or not count:
        raise ValueError(f"a fingerprint of version {version}, not {_VERSION}")
    sides = tuple(side / 65535 for side in box)
    return Fingerprint(pictures, sides, height, width, frames, bool(video), data[end:])
