"""How a stored picture has to be turned and mirrored to be upright: the display matrix of a stream."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import av
import numpy as np


@dataclasses.dataclass(frozen=True)
class Orientation:
    """What brings a stored picture upright: first mirror it left to right, then turn it.

    Attributes:
        degrees: Clockwise: 0, 90, 180 or 270; anything else is an oblique turn, whose corners are cut off.
        mirrored: Whether it is mirrored first.
    """

    degrees: int = 0
    mirrored: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise in right angles: 0 for an oblique turn, which keeps the picture's sides."""
        return 0 if self.oblique else self.degrees

    @property
    def oblique(self) -> bool:
        """Whether the turn is none of right angles."""
        return self.degrees % 90 != 0

    @property
    def swaps_sides(self) -> bool:
        """Whether width and height change places."""
        return self.degrees in (90, 270)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Bring an array upright, by right angles only.

        Args:
            array: Shape (height, width, …).
        """
        upright = array[:, ::-1] if self.mirrored else array
        return np.rot90(upright, -self.rotation // 90) if self.rotation else upright

    def filters(self) -> list[tuple[str, str]]:
        """Libavfilter's filters that do the same to a picture: names and arguments."""
        if self.oblique:
            return [("rotate", f"a={math.radians(self.degrees)!r}")]
        return _FILTERS[self.rotation, self.mirrored]


UPRIGHT = Orientation()
"""Pictures that are shown as they are stored."""

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
    """Read the display matrix of a decoded picture; `UPRIGHT` when there is none, or an empty one."""
    data: Any = picture.side_data.get("DISPLAYMATRIX")
    return parse_matrix(np.frombuffer(data, np.int32)) if data is not None else UPRIGHT


def parse_matrix(matrix: np.ndarray) -> Orientation:
    """Read a display matrix as the ffmpeg program does.

    It takes the angle of the first row in whole degrees, and the signs for mirrored pictures. Scale and shift
    are ignored here; libavformat makes a pixel ratio of a scale. A mirrored oblique picture is only turned.

    Args:
        matrix: int32, nine numbers (libavutil/display.h): a picture's point (x, y) is shown at
            (m0 x + m3 y, m1 x + m4 y).
    """
    a, b, _, c, d = (float(value) for value in matrix[:5])
    scale_x, scale_y = math.hypot(a, c), math.hypot(b, d)
    if not scale_x or not scale_y:
        return UPRIGHT
    degrees = round(math.degrees(math.atan2(b / scale_y, a / scale_x))) % 360
    if degrees == 1:  # the program lets it pass
        return UPRIGHT
    if degrees % 90:
        return Orientation(degrees)
    # The sign of the other row tells a mirrored picture from one that is only turned.
    mirrored = {0: d < 0, 90: c > 0, 180: d > 0, 270: c < 0}[degrees]
    return Orientation((degrees + 180 * mirrored) % 360, mirrored)
