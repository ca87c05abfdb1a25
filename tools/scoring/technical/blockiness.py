"""Blockiness: edges along the grid of the blocks that codecs work in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

GRID = 8
"""Distance of the lines of the grid in pixels: that of JPEG, MPEG-1, 2 and 4, and of every larger one."""

_STRONGEST = 16.0  # luma steps above this are edges of the picture, and count no more than this
_NOTHING = 0.05  # luma; keeps the ratio of two almost empty profiles at 1
_SMALLEST = 4 * GRID
_STRIP = 32  # rows worked on at a time, so that what lies between stays in the processor's cache


def grid_profile(luma: np.ndarray) -> np.ndarray | None:
    """How much steps between neighbouring pixels stand out, by their position in the grid.

    A step stands out by as much as it is larger than both steps beside it.

    Args:
        luma: float32, shape (height, width), 0 to 255. Its corner lies anywhere in the grid.

    Returns:
        float64, shape (2, `GRID`): of steps from column x to x + 1, and from row to row, at each x modulo
        `GRID`, in luma; the median over the columns at that position of the mean of each. A median, so that
        long edges of the picture on a few columns do not count. None for a picture without enough blocks.
    """
    if min(luma.shape) < _SMALLEST:
        return None
    height, width = luma.shape
    columns, rows = np.zeros(width - 3), np.empty(height - 3)
    for start in range(0, height, _STRIP):
        strip = luma[start : start + _STRIP]
        columns += cv2.reduce(_excess(strip[:, :-1], strip[:, 1:], 1), 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F)[0]
        strip = luma[start : start + _STRIP + 3]
        if len(strip) > 3:
            excess = _excess(strip[:-1], strip[1:], 0)
            sums = cv2.reduce(excess, 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F)
            rows[start : start + len(excess)] = sums[:, 0]
    return np.stack([_by_position(columns / height), _by_position(rows / width)])


def blockiness(profiles: Sequence[np.ndarray]) -> float:
    """Steps on the strongest line of the grid by steps beside it.

    The idea of relating steps at block edges to their neighbourhood is that of Muijs and Kirenko, A
    no-reference blocking artifact measure for adaptive video processing, EUSIPCO 2005. As a ratio of steps of
    the same picture it does not depend on resolution, contrast or noise. The larger of the two directions
    counts, since a picture that was scaled in one direction has its grid in the other only. Where the grid
    begins is found, so cropped pictures are measured too; pictures that were scaled after they were
    compressed have no such grid, and are not found out.

    Args:
        profiles: What `grid_profile` gives for each of several frames.

    Returns:
        1 where no grid shows, and more the more it does; see docs/technical.md.
    """
    ratios = []
    for profile in np.mean(profiles, axis=0) + _NOTHING:
        position = int(profile.argmax())
        ratios.append(profile[position] / np.delete(profile, position).mean())
    return float(max(ratios))


def _excess(pixels: np.ndarray, following: np.ndarray, axis: int) -> np.ndarray:
    """How much each step stands out of those beside it along an axis, of which it has two fewer."""
    steps = cv2.absdiff(pixels, following)
    if axis:
        before, at, after = steps[:, :-2], steps[:, 1:-1], steps[:, 2:]
    else:
        before, at, after = steps[:-2], steps[1:-1], steps[2:]
    excess = cv2.subtract(at, cv2.max(before, after))
    return np.clip(excess, 0.0, _STRONGEST, out=excess)


def _by_position(means: np.ndarray) -> np.ndarray:
    return np.array([np.median(means[(position - 1) % GRID :: GRID]) for position in range(GRID)])
