"""Convert decoded pictures to NumPy arrays: colours, HDR to SDR, size, orientation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation as ScalerFlags
from av.video.reformatter import VideoReformatter

from tools.errors import MediaError
from tools.media.reading.colour.hdr import Hdr, hdr_of, is_hdr, matrix_of
from tools.media.reading.filters import FilterChain
from tools.media.reading.orientation import UPRIGHT
from tools.media.reading.timeline.packets import PacketIndex

PixelFormat = Literal["rgb24", "bgr24", "gray"]
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # BT.709, item 3.2
Interpolation = Literal["bicubic", "bilinear", "area", "lanczos", "point", "fast_bilinear"]


class PictureConverter:
    """Converts the pictures of one video to arrays with libswscale, in one step from the stored format.

    Colours follow the matrix and range that the stream states, as in the ffmpeg program; for 8-bit 4:2:0
    the result is that program's, bit for bit. Where it is scaled, that needs its `in_chroma_loc`: its filter
    `scale` takes chroma to be in the middle of its pixels unless told, while here it is where the stream
    says. HDR pictures are tone-mapped to SDR, see `tonemap`.
    If the size changes within the stream, pictures keep their aspect ratio, with black bars.

    Args:
        index: The packets of the video.
        size: Width and height of the arrays. By default the displayed size: upright, and with square pixels.
        format: "rgb24", "bgr24" or "gray".
        interpolation: Filter of the scaler, which also smooths when it scales down.
        apply_rotation: Rotate and mirror pictures upright. Without, `size` is that of the picture as stored.

    Raises:
        MediaError: hdr: the pictures cannot be converted.
    """

    def __init__(
        self,
        index: PacketIndex,
        *,
        size: tuple[int, int] | None = None,
        format: PixelFormat = "rgb24",
        interpolation: Interpolation = "bicubic",
        apply_rotation: bool = True,
    ) -> None:
        self._index, self._apply_rotation = index, apply_rotation
        self._orientation = index.orientation if apply_rotation else UPRIGHT
        self._size = width, height = size or index.displayed_size
        turned = (self._orientation if size else index.orientation).swaps_sides
        self._width, self._height = (height, width) if turned else (width, height)
        self._others: dict[tuple[int, int], PictureConverter] = {}
        self._format: PixelFormat = format
        self._interpolation: Interpolation = interpolation
        self._reformatter = VideoReformatter()
        self._rotate = FilterChain(self._orientation.filters()) if self._orientation.oblique else None
        self._sdr = SdrPictures(index, bits=8)

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """Convert one picture.

        Returns:
            uint8, shape (height, width, 3), or (height, width) for "gray"; contiguous.
        """
        if (other := self._index.stored_as(picture.width, picture.height)) is not self._index:
            return self._letterboxed(picture, other)
        if self._rotate is not None:
            picture = self._rotate(picture)
        if is_hdr(picture):
            rgb = self._sdr(picture, self._width, self._height, self._interpolation)
            array = _in_format(rgb, self._format)
        else:
            scaled = self._reformatter.reformat(
                picture,
                self._width,
                self._height,
                self._format,
                interpolation=self._interpolation.upper(),
                threads=1,
            )
            array = scaled.to_ndarray() if scaled is picture else pixels(scaled)
        return np.ascontiguousarray(self._orientation.apply(array))

    def _letterboxed(self, picture: av.VideoFrame, other: PacketIndex) -> np.ndarray:
        """Convert a picture whose size differs from the first, and centre it on black."""
        kind = (other.coded_width, other.coded_height)
        if kind not in self._others:
            size = fitted(self._displayed(other), self._displayed(self._index), self._size)
            self._others[kind] = PictureConverter(
                other,
                size=size,
                format=self._format,
                interpolation=self._interpolation,
                apply_rotation=self._apply_rotation,
            )
        array = self._others[kind](picture)
        width, height = self._size
        whole = np.zeros((height, width, *array.shape[2:]), array.dtype)
        top, left = (height - array.shape[0]) // 2, (width - array.shape[1]) // 2
        whole[top : top + array.shape[0], left : left + array.shape[1]] = array
        return whole

    def _displayed(self, index: PacketIndex) -> tuple[int, int]:
        return index.displayed_size if self._apply_rotation else (index.coded_width, index.coded_height)


def fitted(picture: tuple[int, int], first: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Scaled size of a picture whose size differs from the first of its stream, with its aspect ratio.

    Args:
        picture: Its displayed width and height.
        first: Those of the first picture.
        size: Those to which the first picture is scaled.

    Returns:
        The largest width and height of its aspect ratio within `size`; `size` if they are within 1 %.
    """
    across, down = size[0] / first[0] * picture[0], size[1] / first[1] * picture[1]
    factor = min(size[0] / across, size[1] / down)
    width, height = across * factor, down * factor
    if width > 0.99 * size[0] and height > 0.99 * size[1]:
        return size
    return max(1, round(width)), max(1, round(height))


class SdrPictures:
    """Converts the HDR pictures of one video to SDR arrays.

    Args:
        index: The packets of the video.
        bits: Of the arrays, 8 or 16.

    Raises:
        MediaError: hdr: the pictures cannot be converted.
    """

    def __init__(self, index: PacketIndex, *, bits: int) -> None:
        if index.hdr is not None and index.hdr.unusable:
            raise MediaError("hdr", index.path, index.hdr.unusable)
        self._hdr, self._bits = index.hdr, bits
        self._map: Callable[[np.ndarray], np.ndarray] | None = None
        self._reformatter = VideoReformatter()

    def __call__(
        self, picture: av.VideoFrame, width: int, height: int, interpolation: Interpolation = "bicubic"
    ) -> np.ndarray:
        """Scale one picture and convert it to SDR.

        Returns:
            uint8 or uint16, shape (height, width, 3): R', G' and B' of BT.709, full range.
        """
        if self._map is None:
            # The first picture of the stream decides for all, wherever reading begins.
            hdr = self._hdr or hdr_of(picture)
            assert hdr is not None, "only HDR pictures are given"
            self._map = _tone_map(hdr, self._bits)
        flags = ScalerFlags[interpolation.upper()] | ScalerFlags.ACCURATE_RND | ScalerFlags.FULL_CHR_H_INT
        rgb = self._reformatter.reformat(
            picture,
            width,
            height,
            "rgb48le",
            src_colorspace=matrix_of(picture),
            interpolation=flags,
            threads=1,
        )
        return self._map(rgb.to_ndarray())


def _tone_map(hdr: Hdr, bits: int) -> Callable[[np.ndarray], np.ndarray]:
    from tools.media.reading.colour.tonemap import ToneMap

    return ToneMap(hdr, bits=bits)


def pixels(picture: av.VideoFrame) -> np.ndarray:
    """The pixels of a picture in one plane: its own memory, which lives on with the array.

    Args:
        picture: In format "rgb24", "bgr24" or "gray".

    Returns:
        uint8, shape (height, width, 3), or (height, width) for "gray".
    """
    rows = plane_rows(picture.planes[0])
    if picture.format.name == "gray":
        return rows[: picture.height, : picture.width]
    return rows[: picture.height, : 3 * picture.width].reshape(picture.height, picture.width, 3)


def plane_rows(plane: VideoPlane) -> np.ndarray:
    """The memory of a plane of 8-bit numbers, padding included: uint8, shape (rows, bytes in a row)."""
    buffer: Any = plane  # has the buffer protocol, unlike PyAV's stub
    return np.frombuffer(buffer, np.uint8).reshape(-1, plane.line_size)


def _in_format(rgb: np.ndarray, form: PixelFormat) -> np.ndarray:
    if form == "rgb24":
        return rgb
    if form == "bgr24":
        return np.ascontiguousarray(rgb[..., ::-1])
    return np.rint(rgb @ _LUMA).astype(np.uint8)
