"""Black bars: the part of a frame in which there is never a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_BLACKEST = 48  # luma; what is brighter at the edge of the frame is no black bar
_NOISE = (16, 16)  # luma above the bar's own level that noise and ringing reach, as a maximum over frames
_DARK = 0.95  # share of a line's pixels that are black in a bar
_INTERRUPTED = 0.5  # share in lines that cross a logo or a subtitle in the bar
_LIT = 0.5  # share of the first line of the picture that is ever brighter: the edge of a bar is straight
_INSIDE = 4  # lines inside the edge within which that first line is searched: coding blurs the edge
_THINNEST = 2  # lines
_ALONE = 0.01  # of the frame, that a bar on one side only has to be
_CLEAN = 0.005  # share of its pixels that may be brighter
_BLURRED = 2  # lines of the bar beside its edge that coding blurs
_SUDDEN = (0.5, 0.65)  # of the brightness further inside, that the picture has at its edge (in thumbnails):
# shadows end gradually
_FURTHER = slice(8, 24)  # lines inside the edge
_EVEN = 3.0  # luma by which a bar varies whose edge is not seen
_STEP = (8.0, 3.0)  # from the bar to the picture: luma, and by how much the bar itself varies


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
    most pixels are brighter at some time, by far more than the bar itself varies. A dark scene does not end
    so. Lines that cross a logo belong to the bar when it goes on behind them. Where the picture beside one
    edge is as black as the bar, the bar is as wide as that on the other side.

    Args:
        brightest: uint8, shape (height, width): the maximum of luma over the frames that are known in full.
        small: uint8, shape (h, w): the maximum over the thumbnails of all frames. What is bright there at any
            time is picture, and its edges may be lit there.

    Returns:
        The picture; the whole frame where there are no bars.
    """
    height, width = brightest.shape
    black = _black(brightest)
    whole = Box(0, 0, width, height)
    if black is None or brightest.max() <= black.most:
        return whole
    lit, small_lit = brightest > black.most, None if small is None else small > black.most
    top, bottom = _ends(lit, small_lit)
    left, right = _ends(lit.T, None if small_lit is None else small_lit.T)
    box = Box(left, top, width - left - right, height - top - bottom)
    if box.width < width // 10 or box.height < height // 10:
        return whole
    columns, rows = slice(left, width - right), slice(top, height - bottom)
    top, bottom = _bars(brightest[:, columns], _part(small, columns, width), black, (top, bottom))
    turned = None if small is None else small.T
    left, right = _bars(brightest[rows].T, _part(turned, rows, height), black, (left, right))
    return Box(left, top, width - left - right, height - top - bottom)


def covered(box: Box, height: int, width: int) -> float:
    """Share of the frame outside the picture, 0 to 1."""
    return 1.0 - box.width * box.height / (width * height)


class _Black(NamedTuple):
    """Luma of the bars, and up to which they may reach."""

    level: int
    most: int


def _black(brightest: np.ndarray) -> _Black | None:
    """What is black here: the darkest of the medians along the four edges; None when that is bright."""
    edges = (brightest[0], brightest[-1], brightest[:, 0], brightest[:, -1])
    darkest = min(edges, key=np.median)
    level = int(np.median(darkest))
    if level > _BLACKEST:
        return None
    reaches = np.percentile(darkest, 75) - np.percentile(darkest, 25)
    return _Black(level, level + int(np.clip(_STEP[1] * reaches, *_NOISE)))


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


def _part(small: np.ndarray | None, chosen: slice, length: int) -> np.ndarray | None:
    """Columns of thumbnails that show only these columns of the frame."""
    if small is None:
        return None
    scale = small.shape[1] / length
    first, end = int(np.ceil(chosen.start * scale)), int(chosen.stop * scale)
    return small[:, first : max(end, first + 1)]


def _bars(
    brightest: np.ndarray, small: np.ndarray | None, black: _Black, runs: tuple[int, int]
) -> tuple[int, int]:
    """Bars at the beginning and at the end of axis 0; 0 for one that is a part of the picture.

    Args:
        brightest: All lines of the frame, as far as they show the picture.
        small: The same of the thumbnails' maximum.
        black: What is black.
        runs: Lengths of the runs of black lines at the beginning and at the end.
    """
    ends = (brightest, brightest[::-1])
    smalls = (None, None) if small is None else (small, small[::-1])
    found = [
        run if _is_bar(lines, part, black, run) else 0
        for lines, part, run in zip(ends, smalls, runs, strict=True)
    ]
    for this, other in ((0, 1), (1, 0)):
        if found[other] and not found[this]:
            if runs[this] >= found[other] and _unevenness(ends[this], black, found[other]) <= _EVEN:
                found[this] = found[other]  # the picture is as black there
            elif not _may_be_alone(ends[other], black, found[other]):
                found[other] = 0
    return found[0], found[1]


def _is_bar(brightest: np.ndarray, small: np.ndarray | None, black: _Black, length: int) -> bool:
    """Whether the first lines are a bar: even, and ending in a straight and sudden edge."""
    if not length:
        return False
    least = max(_STEP[0], _STEP[1] * _unevenness(brightest, black, length))
    beside = brightest[max(0, length - _BLURRED - 1) : length].mean(axis=0)
    first, further = brightest[length : length + _INSIDE], brightest[length:][_FURTHER]
    if (first > black.most).mean(axis=1).max() >= _LIT:
        edge = np.median(first.max(axis=0) - beside)
        inside = np.median(further.mean(axis=0) - beside) if len(further) else edge
        if edge >= max(least, _SUDDEN[0] * inside):
            return True
    if small is None:
        return False
    at = int(np.ceil(length * len(small) / len(brightest)))  # the first that shows nothing of the bar
    if at >= len(small) or (small[at] > black.most).mean() < _LIT:
        return False
    outside = np.median(small[at - 2]) if at >= 2 else black.level
    edge, inside = np.median(small[at]) - outside, np.median(small[at:][1:4]) - outside
    return bool(edge >= max(least, _SUDDEN[1] * inside))


def _may_be_alone(brightest: np.ndarray, black: _Black, length: int) -> bool:
    """Whether a bar may be there on one side only: it is not thin, and nothing lies over it."""
    over = brightest[: max(1, length - _BLURRED)] > black.most
    return length >= _ALONE * len(brightest) and over.mean() <= _CLEAN


def _unevenness(brightest: np.ndarray, black: _Black, length: int) -> float:
    """Luma between the 5th and the 95th percentile of a bar, but for what lies over it."""
    inner = brightest[: max(1, length - _BLURRED)]
    low, high = np.percentile(inner[inner <= black.most], (5, 95))
    return float(high - low)
