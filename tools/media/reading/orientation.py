"""How a stored picture is rotated and mirrored for display: the display matrix of a stream."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import av
import numpy as np


@dataclasses.dataclass(frozen=True)
class Orientation:
    """The transform from a stored picture to the displayed one: first mirror left to right, then rotate.

    Attributes:
        degrees: Clockwise: 0, 90, 180 or 270; any other angle is oblique, and corners are cut off.
        mirrored: Whether the picture is mirrored first.
    """

    degrees: int = 0
    mirrored: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise in right angles: 0 for an oblique angle, which keeps width and height."""
        return 0 if self.oblique else self.degrees

    @property
    def oblique(self) -> bool:
        """Whether the angle is not a multiple of 90 degrees."""
        return self.degrees % 90 != 0

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height are swapped."""
        return self.degrees in (90, 270)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Apply the transform to an array, by right angles only.

        Args:
            array: Shape (height, width, …).
        """
        upright = array[:, ::-1] if self.mirrored else array
        return np.rot90(upright, -self.rotation // 90) if self.rotation else upright

    def filters(self) -> list[tuple[str, str]]:
        """The same transform as filters of libavfilter: names and arguments."""
        if self.oblique:
            return [("rotate", f"a={math.radians(self.degrees)!r}")]
        return _FILTERS[self.rotation, self.mirrored]


UPRIGHT = Orientation()
"""Pictures that are displayed as they are stored."""

_FLIP, _OVER = ("hflip", ""), ("vflip", "")
_FILTERS: dict[tuple[int, bool], list[tuple[str, str]]] = {
    (0, False): [],
    (90, False): [("transpose", "dir=clock")],
    (180, False): [_FLIP, _OVER],
    (270, False): [("transpose", "dir=cclock")],
    (0, True): [_FLIP],
    (90, True): [("transpose", "dir=clock_flip")],
    (180, True): [_OVER],
    (270, True): [("transpose", "dir=cclock_flip")],
}


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """Read the display matrix of a decoded picture; `UPRIGHT` if there is none or it is zero."""
    data: Any = picture.side_data.get("DISPLAYMATRIX")
    return parse_matrix(np.frombuffer(data, np.int32)) if data is not None else UPRIGHT


def parse_matrix(matrix: np.ndarray) -> Orientation:
    """Read a display matrix as the ffmpeg program does.

    That uses the angle of the first row in whole degrees, and the signs for mirroring. Scale and shift are
    ignored; libavformat turns a scale into a pixel ratio. A mirrored oblique picture is only rotated.

    Args:
        matrix: int32, nine numbers (libavutil/display.h): a picture's point (x, y) is shown at
            (m0 x + m3 y, m1 x + m4 y).
    """
    a, b, _, c, d = (float(value) for value in matrix[:5])
    scale_x, scale_y = math.hypot(a, c), math.hypot(b, d)
    if not scale_x or not scale_y:
        return UPRIGHT
    degrees = round(math.degrees(math.atan2(b / scale_y, a / scale_x))) % 360
    if degrees == 1:  # ignored by the program
        return UPRIGHT
    if degrees % 90:
        return Orientation(degrees)
    # The sign of the other row distinguishes a mirrored picture from a rotated one.
    mirrored = {0: d < 0, 90: c > 0, 180: d > 0, 270: c < 0}[degrees]
    return Orientation((degrees + 180 * mirrored) % 360, mirrored)
