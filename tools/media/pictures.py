"""From a decoded picture to a numpy array: colours, size, and the right way up."""

from __future__ import annotations

from typing import Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from tools.media.filters import FilterChain
from tools.media.orientation import UPRIGHT
from tools.media.packets import PacketIndex

PixelFormat = Literal["rgb24", "bgr24", "gray"]
Interpolation = Literal["bicubic", "bilinear", "area", "lanczos", "point", "fast_bilinear"]


class PictureConverter:
    """Turns the pictures of one video into arrays with libswscale, in one step from the stored format.

    Colours follow the matrix and range that the stream states, as in the ffmpeg program; for 8-bit 4:2:0
    the result is that program's, bit for bit.

    Args:
        index: The packets of the video.
        size: Width and height of the arrays. By default the displayed size: upright, and with square pixels.
        format: "rgb24", "bgr24" or "gray".
        interpolation: Filter of the scaler, which also smooths when it scales down.
        apply_rotation: Turn and mirror pictures upright. Without, `size` is that of the picture as stored.
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
        self._orientation = index.orientation if apply_rotation else UPRIGHT
        width, height = size or index.displayed_size
        turned = (self._orientation if size else index.orientation).swaps_sides
        self._width, self._height = (height, width) if turned else (width, height)
        self._format = format
        self._interpolation = interpolation.upper()
        self._reformatter = VideoReformatter()
        self._rotate = FilterChain(self._orientation.filters()) if self._orientation.oblique else None

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """Convert one picture.

        Returns:
            uint8, shape (height, width, 3), or (height, width) for "gray"; contiguous.
        """
        if self._rotate is not None:
            picture = self._rotate(picture)
        scaled = self._reformatter.reformat(
            picture,
            self._width,
            self._height,
            self._format,
            interpolation=self._interpolation,
            threads=1,
        )
        return np.ascontiguousarray(self._orientation.apply(scaled.to_ndarray()))
