"""Black bars: the part of a frame in which there is never a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_BLACKEST = 48  # luma; what is brighter at the edge of the frame is no black bar
_NOISE = 16  # luma above the bar's own level that noise and ringing reach, as a maximum over frames
_DARK = 0.95  # share of a line's pixels that are black in a bar
_INTERRUPTED = 0.5  # share in lines that cross a logo or a subtitle in the bar
_LIT = 0.5  # share of the first line of the picture that is ever brighter: the edge of a bar is straight
_INSIDE = 4  # lines inside the edge within which that first line is looked for: coding blurs the edge
_THINNEST = 2  # lines


class Box(NamedTuple):
    """A part of the frame in pixels."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """That part of an array of shape (height, width, ...); a view."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    def __str__(self) -> str:
        """``w:h:x:y``, as ffmpeg's crop filter takes it."""
        return f"{self.width}:{self.height}:{self.x}:{self.y}"


def find_picture(brightest: np.ndarray, small: np.ndarray | None = None) -> Box:
    """The picture inside black bars on any side.

    A bar is a run of lines from the edge of the frame that are black in all frames: not above luma 48 at the
    edge of the frame, and even but for noise. It ends in a straight edge: in the first line of the picture
    most pixels are brighter at some time. A dark scene does not end so. Lines that cross a logo belong to the
    bar when it goes on behind them.

    Args:
        brightest: uint8, shape (height, width): the maximum of luma over the frames that are known in full.
        small: uint8, shape (h, w): the maximum over the thumbnails of all frames. What is bright there at any
            time is picture, and its edges may be lit there.

    Returns:
        The picture; the whole frame where there are no bars.
    """
    height, width = brightest.shape
    level = _level(brightest)
    if level is None:
        return Box(0, 0, width, height)
    lit = brightest > level + _NOISE
    if not lit.any():
        return Box(0, 0, width, height)
    small_lit = None if small is None else small > level + _NOISE
    top, bottom = _ends(lit, small_lit)
    left, right = _ends(lit.T, None if small_lit is None else small_lit.T)
    box = Box(left, top, width - left - right, height - top - bottom)
    if box.width < width // 10 or box.height < height // 10:
        return Box(0, 0, width, height)
    straight_small = None if small_lit is None else _shrunk(small_lit, box, brightest.shape)
    inside = box.cut(lit)
    top, bottom = _straight(inside, straight_small, top, bottom)
    left, right = _straight(inside.T, None if straight_small is None else straight_small.T, left, right)
    return Box(left, top, width - left - right, height - top - bottom)


def covered(box: Box, height: int, width: int) -> float:
    """Share of the frame outside the picture, 0 to 1."""
    return 1.0 - box.width * box.height / (width * height)


def _level(brightest: np.ndarray) -> int | None:
    """Luma of the bars: the darkest of the medians along the frame's four edges; None when that is bright."""
    edges = (brightest[0], brightest[-1], brightest[:, 0], brightest[:, -1])
    level = int(min(np.median(edge) for edge in edges))
    return level if level <= _BLACKEST else None


def _ends(lit: np.ndarray, small: np.ndarray | None) -> tuple[int, int]:
    """Lines of a bar at the beginning and at the end of axis 0."""
    share = lit.mean(axis=1)
    shares = None if small is None else small.mean(axis=1)
    forward = _run(share, shares)
    return forward, _run(share[::-1], None if shares is None else shares[::-1])


def _run(share: np.ndarray, small: np.ndarray | None) -> int:
    """Length of the bar at the beginning, from the share of bright pixels of each line."""
    dark = share <= 1 - _DARK
    broken = np.flatnonzero(share > _INTERRUPTED)
    limit = int(broken[0]) if len(broken) else len(share)
    run = np.flatnonzero(dark[:limit])
    length = int(run[-1]) + 1 if len(run) and dark[0] else 0
    if small is not None and length:
        lines = len(share) / len(small)  # of the frame, for each of the thumbnail
        whole = int(length / lines)  # those that lie in the bar with all they show
        bright = np.flatnonzero(small[:whole] > _INTERRUPTED)
        if len(bright):
            length = min(length, int(bright[0] * lines))
    return length if length >= _THINNEST else 0


def _shrunk(small: np.ndarray, box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """Thumbnail pixels that show the picture only."""
    down, across = small.shape[0] / shape[0], small.shape[1] / shape[1]
    top, bottom = int(np.ceil(box.y * down)), int((box.y + box.height) * down)
    left, right = int(np.ceil(box.x * across)), int((box.x + box.width) * across)
    return small[top : max(bottom, top + 1), left : max(right, left + 1)]


def _straight(inside: np.ndarray, small: np.ndarray | None, first: int, last: int) -> tuple[int, int]:
    """Both bars along axis 0, 0 for one whose edge is not that of a picture."""
    return (
        first if _is_lit(inside, small) else 0,
        last if _is_lit(inside[::-1], None if small is None else small[::-1]) else 0,
    )


def _is_lit(inside: np.ndarray, small: np.ndarray | None) -> bool:
    share = inside[:_INSIDE].mean(axis=1).max()
    if small is not None and small.size:
        share = max(share, small[0].mean())
    return bool(share >= _LIT)
