"""Follow points of the picture from one frame to another, spread evenly over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

COLUMNS, ROWS = 10, 8
"""Cells of the grid over which points are spread, and which vote on the motion."""

_PER_CELL = 4  # points; more of them cost time and add little
_FLOOR = 2e-5  # smallest eigenvalue of a corner, for luma from 0 to 1; below it there is only noise
_BLOCK = 5  # pixels of the neighbourhood of a corner
_WINDOW = 11  # pixels of the patch that is followed
_LEVELS = 3  # halvings above the picture itself, so that moves of 50 pixels are found
_RETURN = 0.5  # pixels between a point and its start after following it forth and back
_DARK = 24  # luma of a black bar at most, with what compression adds
_EDGE_MARGIN = 3  # pixels beside a bar whose corners belong to its edge


@dataclass(frozen=True)
class Tracks:
    """Points that were followed from one picture to another.

    Attributes:
        start: float64, shape (n, 2): x and y in pixels of the first picture.
        end: float64, shape (n, 2): the same points in the second.
        cell: int64, shape (n,): the grid cell of each point, row by row.
    """

    start: np.ndarray
    end: np.ndarray
    cell: np.ndarray


_NO_TRACKS = Tracks(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Region:
    """The part of the picture without black bars, in pixels, ends exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def find_region(pictures: np.ndarray) -> Region:
    """Find the picture between black bars.

    A bar is dark in every picture and ends in a straight edge: most of the line next to it is lit at some
    time. A dark background (sky, a stage) is none.

    Args:
        pictures: uint8, shape (n, height, width).
    """
    lit = pictures.max(axis=0) > _DARK
    left, right = _inside_bars(lit.mean(axis=0))
    top, bottom = _inside_bars(lit[:, left:right].mean(axis=1))
    left, right = _inside_bars(lit[top:bottom].mean(axis=0))
    return Region(left, top, right, bottom)


def _inside_bars(share: np.ndarray) -> tuple[int, int]:
    """First and one past the last line between the bars, from the lit share of each line."""
    there = np.flatnonzero(share > 0.02)
    if not len(there):
        return 0, len(share)
    first, last = int(there[0]), int(there[-1]) + 1
    # The scaler mixes the bar's edge over two lines, so the lines behind it are judged too.
    begin = first if first and share[first : first + 3].max() > 0.6 else 0
    end = last if last < len(share) and share[max(0, last - 3) : last].max() > 0.6 else len(share)
    return begin, end


def find_corners(picture: np.ndarray, region: Region) -> np.ndarray:
    """The best corners of each grid cell.

    Args:
        picture: uint8, shape (height, width).
        region: The part of the picture to search.

    Returns:
        float32, shape (n, 2): x and y. At most four of a cell; none where there is no texture.
    """
    import cv2

    strength = cv2.cornerMinEigenVal(picture.astype(np.float32) / 255, _BLOCK)
    peaks = (strength >= cv2.dilate(strength, np.ones((5, 5), np.uint8))) & (strength > _FLOOR)
    height, width = picture.shape
    margin = _BLOCK // 2 + 1
    rows = slice(
        region.top + (_EDGE_MARGIN if region.top else 0) + margin,
        region.bottom - (_EDGE_MARGIN if region.bottom < height else 0) - margin,
    )
    columns = slice(
        region.left + (_EDGE_MARGIN if region.left else 0) + margin,
        region.right - (_EDGE_MARGIN if region.right < width else 0) - margin,
    )
    inside = np.zeros_like(peaks)
    inside[rows, columns] = True
    y, x = np.nonzero(peaks & inside)
    cell = cells_of(np.stack([x, y], axis=1), region)
    order = np.lexsort((-strength[y, x], cell))
    first_of_cell = np.searchsorted(cell[order], cell[order])
    best = order[np.arange(len(order)) - first_of_cell < _PER_CELL]
    return np.stack([x[best], y[best]], axis=1).astype(np.float32)


def cells_of(points: np.ndarray, region: Region) -> np.ndarray:
    """Number of the grid cell in which each point lies: int64, shape (n,)."""
    across = (points[:, 0] - region.left) * COLUMNS / (region.right - region.left)
    down = (points[:, 1] - region.top) * ROWS / (region.bottom - region.top)
    column = np.clip(across.astype(np.int64), 0, COLUMNS - 1)
    return np.clip(down.astype(np.int64), 0, ROWS - 1) * COLUMNS + column


def follow(first: np.ndarray, second: np.ndarray, corners: np.ndarray, region: Region) -> Tracks:
    """Follow corners of one picture into another.

    Pyramidal Lucas-Kanade (Bouguet 2001), there and back; points that do not come back are left out.

    Args:
        first: uint8, shape (height, width).
        second: The same shape.
        corners: Result of `find_corners` in the first.
        region: The picture between black bars.
    """
    import cv2

    if not len(corners):
        return _NO_TRACKS
    options: dict[str, Any] = {
        "nextPts": None,
        "winSize": (_WINDOW, _WINDOW),
        "maxLevel": _LEVELS,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.003),
        "minEigThreshold": 1e-5,
        # the cheaper of two measures of how far to trust a point; neither is used
        "flags": cv2.OPTFLOW_LK_GET_MIN_EIGENVALS,
    }
    height, width = first.shape
    there, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, **options)
    seen = (found[:, 0] == 1) & (there >= 0).all(axis=1)
    seen &= (there[:, 0] <= width - 1) & (there[:, 1] <= height - 1)
    corners, there = corners[seen], there[seen]
    if not len(corners):
        return _NO_TRACKS
    back, returned, _ = cv2.calcOpticalFlowPyrLK(second, first, there, **options)
    good = (returned[:, 0] == 1) & (np.hypot(*(back - corners).T) < _RETURN)
    start = corners[good].astype(np.float64)
    return Tracks(start, there[good].astype(np.float64), cells_of(start, region))
