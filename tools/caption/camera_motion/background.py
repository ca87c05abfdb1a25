"""The motion of the background between two pictures: the one motion that most of the picture agrees on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.caption.camera_motion.tracks import COLUMNS, ROWS, Tracks

_BORDER_WEIGHT = 2.0  # what a cell at the border counts; subjects are mostly framed in the middle
_TRIALS = 128  # pairs of tracks tried as a motion
_APART = 0.2  # frame heights between the two tracks of a pair at least
_FAR, _NEAR = 0.8, 0.15  # pixels between a track and the motion it agrees with, at most and at least
_SPREAD = 3.0  # the same in standard deviations of the tracks that agree
_REFINEMENTS = 6


@dataclass(frozen=True)
class Motion:
    """A similarity: where a point z of the first picture, as x + iy, lies in the second: a z + b.

    The origin is the picture's centre, y points down, and the unit is the picture's height.

    Attributes:
        a: Complex: scale and rotation.
        b: Complex: shift of the picture's centre.
        agreement: Weight of the cells whose tracks agree, as a share of those that have tracks.
        coverage: Weight of the cells that agree, as a share of all.
        border: Number of cells at the border that agree, as a share of all at the border.
    """

    a: complex
    b: complex
    agreement: float
    coverage: float
    border: float


def _cell_weights() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
    border = (rows == 0) | (rows == ROWS - 1) | (columns == 0) | (columns == COLUMNS - 1)
    return np.where(border, _BORDER_WEIGHT, 1.0), border


def fit_background(tracks: Tracks, size: tuple[int, int], aspect: float) -> Motion | None:
    """Find the motion that the largest part of the picture shares.

    Each grid cell has one vote, shared by its tracks, and cells at the border have two: a subject has many
    corners and the wall behind it few, but the wall is in more places. Pairs of tracks far apart are tried
    as a motion (RANSAC, scored as in MSAC), and the best is refined by reweighted least squares.

    Args:
        tracks: Points in pixels.
        size: Width and height of the pictures in pixels.
        aspect: Width by height of the picture as shown.

    Returns:
        None when there are too few tracks to tell.
    """
    if len(tracks.cell) < 4:
        return None
    width, height = size
    unit = np.array([aspect / width, 1 / height])
    middle = (np.array([width, height]) - 1) / 2
    start = ((tracks.start - middle) * unit) @ [1, 1j]
    end = ((tracks.end - middle) * unit) @ [1, 1j]
    votes, border = _cell_weights()
    in_cell = np.bincount(tracks.cell, minlength=len(votes))
    weight = votes[tracks.cell] / in_cell[tracks.cell]
    a, b = _candidates(start, end, weight)
    if not len(a):
        return None

    def miss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Pixels between where tracks end and where motions put them: shape (motions, tracks)."""
        off = a[:, None] * start + b[:, None] - end
        return np.hypot(off.real / unit[0], off.imag / unit[1])

    cost = np.minimum(miss(a, b) / (_FAR / 2), 1.0) ** 2 @ weight
    best = int(np.argmin(cost))
    a, b = a[best : best + 1], b[best : best + 1]
    tolerance = _FAR
    for _ in range(_REFINEMENTS):
        off = miss(a, b)[0]
        tolerance = _tolerance(off, weight, tolerance)
        a, b = _least_squares(start, end, weight * np.maximum(0.0, 1 - (off / (1.5 * tolerance)) ** 2) ** 2)
    agrees = miss(a, b)[0] < tolerance
    share = np.bincount(tracks.cell, agrees, minlength=len(votes)) / np.maximum(in_cell, 1)
    return Motion(
        complex(a[0]),
        complex(b[0]),
        agreement=float(weight[agrees].sum() / weight.sum()),
        coverage=float(share @ votes / votes.sum()),
        border=float(share[border].mean()),
    )


def _candidates(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The motions of pairs of tracks, drawn by weight; always the same for the same tracks."""
    random = np.random.default_rng(0)
    one, other = random.choice(len(start), size=(2, _TRIALS), p=weight / weight.sum())
    apart = np.abs(start[one] - start[other]) > _APART
    one, other = one[apart], other[apart]
    a = (end[one] - end[other]) / (start[one] - start[other])
    return a, end[one] - a * start[one]


def _tolerance(off: np.ndarray, weight: np.ndarray, before: float) -> float:
    """How far off a track may be: three standard deviations of those that agree, from their median."""
    near = off < before
    order = np.argsort(off[near])
    total = np.cumsum(weight[near][order])
    median = off[near][order][np.searchsorted(total, total[-1] / 2)]
    # The length of a two-dimensional normal error has its median at 1.18 standard deviations.
    return float(np.clip(_SPREAD * median / 1.18, _NEAR, _FAR))


def _least_squares(start: np.ndarray, end: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = trust.sum()
    from_, to = trust @ start / total, trust @ end / total
    a = (trust * np.conj(start - from_)) @ (end - to) / (trust @ np.abs(start - from_) ** 2)
    return np.array([a]), np.array([to - a * from_])
