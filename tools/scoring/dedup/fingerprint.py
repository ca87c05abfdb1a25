"""The fingerprint of a video or an image, and its form as text in a cell of a table.

A fingerprint has one small grey picture for every half second: an average over time, which hardly depends on
the frame rate, on the frames that were decoded, or on the noise of a codec. So the fingerprint of a clip that
was cut out of a longer one is a piece of the longer one's. (Averages over time before a DCT hash are due to
Esmaeili, Fatourechi and Ward, "A robust and fast video copy detection system using content-based
fingerprinting", IEEE TIFS 2011.) What is static is stored in more detail as well.
`tools.scoring.dedup.stage` makes fingerprints.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tools.media.reading.requests import Snapshots

PICTURE_SIZE = (32, 18)
"""Width and height of a picture of the fingerprint."""
SECONDS = 0.5
"""Seconds from one picture to the next; the first covers the time from 0 to 0.5."""
FLAT = 1.0
"""Contrast, in grey levels, below which a picture shows nothing: black, white, the end of a fade."""

SNAPSHOTS = Snapshots((320, 180), 0.5)
"""Size of stills and the seconds between the snapshots that they are chosen from."""
LEVEL = 4
"""Grey levels in one step of a still's values."""

Box = tuple[float, float, float, float]
"""Left, right, top and bottom of a part of the picture, as fractions of its width and height."""
WHOLE: Box = (0.0, 1.0, 0.0, 1.0)

_VERSION = 3
_INFO = struct.Struct("<BBIIIQ")  # version, is_video, height, width, frames, bytes
_CONTENT = struct.Struct("<IHHHHfB")  # pictures, box in 1/65535, step, stills
_SPAN = struct.Struct("<ff")  # start and end of a still
_HEADER_TEXT = (_INFO.size + _CONTENT.size) // 3 * 4  # characters of the header: 39 bytes, a multiple of 3


@dataclass(frozen=True)
class FileInfo:
    """Size and kind of a file.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        num_frames: Frames of the video; 1 for an image.
        is_video: Whether it is a video rather than an image.
        box: The picture without dark bars at its edges; `WHOLE` when there are none.
        num_bytes: Size of the file; 0 if unknown.
    """

    height: int
    width: int
    num_frames: int
    is_video: bool
    box: Box = WHOLE
    num_bytes: int = 0

    def pack(self, version: int) -> bytes:
        """The header that the text of a fingerprint or CLIP feature starts with; `box` is not in it."""
        return _INFO.pack(version, self.is_video, self.height, self.width, self.num_frames, self.num_bytes)

    @staticmethod
    def unpack(data: bytes) -> tuple[int, FileInfo, bytes]:
        """The reverse of `pack`: version, info, and the remaining bytes.

        Raises:
            struct.error: There are too few bytes.
        """
        version, is_video, height, width, frames, size = _INFO.unpack_from(data)
        return version, FileInfo(height, width, frames, bool(is_video), num_bytes=size), data[_INFO.size :]


class Still(NamedTuple):
    """A static picture.

    Attributes:
        start: Seconds from the start of the video to the snapshot.
        end: Seconds to the last snapshot that shows the same.
        picture: uint8, shape (180, 320): 1 + grey level / `LEVEL`; 0 where something moves.
    """

    start: float
    end: float
    picture: np.ndarray


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of a video or an image.

    Attributes:
        info: Size and kind of the file.
        pictures: uint8, shape (n, 18, 32): grey, one for every half second. Their values are stretched from
            the darkest to the brightest level of the video.
        step: Grey levels of the video in one level of the pictures.
        digest: SHA-256 of the file if its pictures show nothing; else empty.
        stills: The static pictures, in more detail.
    """

    info: FileInfo
    pictures: np.ndarray
    step: float = 1.0
    digest: bytes = b""
    stills: tuple[Still, ...] = ()

    @cached_property
    def contrast(self) -> np.ndarray:
        """Standard deviation of the video's grey levels in each picture, inside the bars: float32, (n,)."""
        return self.contrast_within(self.info.box)

    def contrast_within(self, window: Box) -> np.ndarray:
        """The same inside a part of the picture."""
        left, right, top, bottom = window
        columns, rows = _cells(PICTURE_SIZE[0], left, right), _cells(PICTURE_SIZE[1], top, bottom)
        return self.pictures[:, rows, columns].astype(np.float32).std(axis=(1, 2)) * self.step


def _cells(count: int, low: float, high: float) -> slice:
    """The cells that lie entirely within a part; at least one."""
    first = min(int(np.ceil(low * count)), count - 1)
    return slice(first, max(int(high * count), first + 1))


def encode(fingerprint: Fingerprint) -> str:
    """A fingerprint as text, some hundred characters for each second."""
    info, stills = fingerprint.info, fingerprint.stills
    box = [round(edge * 65535) for edge in info.box]
    content = _CONTENT.pack(len(fingerprint.pictures), *box, fingerprint.step, len(stills))
    # Differences over time are small numbers, which compress better.
    steps = np.diff(fingerprint.pictures, axis=0, prepend=np.uint8(0))
    spans = b"".join(_SPAN.pack(still.start, still.end) for still in stills)
    details = np.array([still.picture for still in stills], np.uint8).reshape(-1, *SNAPSHOTS.size[::-1])
    details = np.diff(np.diff(details, axis=0, prepend=np.uint8(0)), axis=2, prepend=np.uint8(0))
    packed = zlib.compress(steps.tobytes() + spans + details.tobytes() + fingerprint.digest)
    return base64.b64encode(info.pack(_VERSION) + content).decode() + base64.b64encode(packed).decode()


def decode(text: str) -> Fingerprint:
    """The reverse of `encode`.

    Raises:
        ValueError: The text is not a fingerprint, or one of another version.
    """
    info, count, step, num_stills = _read_header(text)
    try:
        data = zlib.decompress(base64.b64decode(text[_HEADER_TEXT:], validate=True))
        steps, data = _take(data, (count, *PICTURE_SIZE[::-1]))
        spans, data = data[: num_stills * _SPAN.size], data[num_stills * _SPAN.size :]
        details, digest = _take(data, (num_stills, *SNAPSHOTS.size[::-1]))
        times = list(_SPAN.iter_unpack(spans))
    except (ValueError, zlib.error, struct.error) as error:
        raise _invalid(text, str(error)) from None
    details = np.cumsum(np.cumsum(details, axis=2, dtype=np.uint8), axis=0, dtype=np.uint8)
    stills = tuple(Still(start, end, picture) for (start, end), picture in zip(times, details, strict=True))
    return Fingerprint(info, np.cumsum(steps, axis=0, dtype=np.uint8), step, digest, stills)


def _take(data: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, bytes]:
    """Bytes at the start as an array, and the rest."""
    count = math.prod(shape)
    return np.frombuffer(data[:count], np.uint8).reshape(shape), data[count:]


def decode_info(text: str) -> FileInfo:
    """The file info of a fingerprint, without unpacking its pictures. Errors as in `decode`."""
    return _read_header(text)[0]


def _read_header(text: str) -> tuple[FileInfo, int, float, int]:
    """File info, number of pictures, their step, and number of stills."""
    try:
        data = base64.b64decode(text[:_HEADER_TEXT], validate=True)
        version, info, content = FileInfo.unpack(data)
        count, left, right, top, bottom, step, num_stills = _CONTENT.unpack(content)
    except (ValueError, struct.error) as error:
        raise _invalid(text, str(error)) from None
    if version != _VERSION or not count:
        raise _invalid(text, f"version {version}, not {_VERSION}")
    box = left / 65535, right / 65535, top / 65535, bottom / 65535
    return replace(info, box=box), count, step, num_stills


def _invalid(text: str, why: str) -> ValueError:
    return ValueError(f"not a fingerprint: {text[:20]!r}... ({why})")
