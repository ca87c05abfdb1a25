"""The motion of the background between two pictures: the motion that most of the picture shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tools.caption.camera_motion.tracks import COLUMNS, ROWS, Tracks

_ROW, _COLUMN = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
_BORDER = (_ROW == 0) | (_ROW == ROWS - 1) | (_COLUMN == 0) | (_COLUMN == COLUMNS - 1)
_VOTES = np.where(_BORDER, 2.0, 1.0)  # of the cells; subjects are mostly in the middle
_LITTLE_BORDER = 0.1  # of the cells at the border
_AGREEMENT = (
    0.2,
    0.35,
    0.8,
)  # of the tracks that must agree when a motion is seen at much, little, no border
_COVERAGE = 0.06  # of the cells, in the last case
_FEWEST = 4  # tracks
_TRIALS = 128  # pairs of tracks tried as a motion
_APART = 0.2  # frame heights between the two tracks of a pair at least
_FAR, _NEAR = 0.8, 0.15  # pixels between a track and the motion it agrees with, at most and at least
_SPREAD = 3.0  # the same in standard deviations of the tracks that agree
_REFINEMENTS = 6
_ROUNDING = 1e-9  # of the greatest cost: two ways to compute one differ by less

MUCH_BORDER = 0.25
"""Share of the cells at the border that a subject does not reach."""


@dataclass(frozen=True)
class Motion:
    """A similarity, from a point z = x + iy of the first picture to its position a z + b in the second.

    The origin is the picture's centre, y points down, and the unit is the picture's height.

    Attributes:
        a: Complex: scale and rotation.
        b: Complex: shift of the picture's centre.
        agreement: Weight of the cells whose tracks agree, as a share of those that have tracks.
        coverage: Weight of the cells that agree, as a share of all.
        border: Share of the cells at the border that agree.
    """

    a: complex
    b: complex
    agreement: float
    coverage: float
    border: float


@dataclass(frozen=True)
class Votes:
    """Tracks in the units of `Motion`, and their votes.

    Attributes:
        start: Complex, shape (n,): where each track starts.
        end: Where it ends.
        unit: Picture heights per pixel, across and down.
        weight: Vote of each track: that of its cell, shared by the tracks of the cell.
        cell: The cell of each track.
    """

    start: np.ndarray
    end: np.ndarray
    unit: np.ndarray
    weight: np.ndarray
    cell: np.ndarray

    def residuals(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Pixels between the ends of tracks and those that motions predict: shape (motions, tracks)."""
        off = a[:, None] * self.start + b[:, None] - self.end
        return np.hypot(np.real(off) / self.unit[0], np.imag(off) / self.unit[1])


def find_motions(tracks: Tracks, size: tuple[int, int], aspect: float) -> list[Motion]:
    """Find the motions that may be the background's, the most likely first.

    Each grid cell has one vote, shared by its tracks, and cells at the border have two: a subject has many
    corners and the wall behind it few, but the wall covers more cells. Where the motion with the most votes
    is hardly seen at the border, the one with the most votes among the other tracks is the second: a
    background with faint texture may have fewer votes than a sharp subject.

    Args:
        tracks: Points in pixels.
        size: Width and height of the pictures in pixels.
        aspect: Width by height of the picture as shown.

    Returns:
        None, one or two.
    """
    width, height = size
    unit = np.array([aspect / width, 1 / height])
    middle = (np.array([width, height]) - 1) / 2
    start, end = (((points - middle) * unit) @ [1, 1j] for points in (tracks.start, tracks.end))
    in_cell = np.bincount(tracks.cell, minlength=ROWS * COLUMNS)
    weight = _VOTES[tracks.cell] / in_cell[tracks.cell]
    votes = Votes(start, end, unit, weight, tracks.cell)
    found = _find_motion(votes, np.ones(len(start), bool))
    if found is None:
        return []
    first, agrees = found
    if first.border >= MUCH_BORDER:
        return [first]
    other = _find_motion(votes, ~agrees)
    if other is None:
        return [first]
    return [other[0], first] if other[0].border >= MUCH_BORDER else [first, other[0]]


def is_background(motion: Motion) -> bool:
    """Whether enough of the picture shares a motion for it to be the background's.

    Tracks in faint texture are inaccurate, so a motion seen all around the border needs no majority; one seen
    only in the middle needs nearly all tracks.
    """
    if motion.border >= MUCH_BORDER:
        return motion.agreement >= _AGREEMENT[0]
    if motion.border >= _LITTLE_BORDER:
        return motion.agreement >= _AGREEMENT[1]
    return motion.agreement >= _AGREEMENT[2] and motion.coverage >= _COVERAGE


def _find_motion(votes: Votes, among: np.ndarray) -> tuple[Motion, np.ndarray] | None:
    """Find the motion with the most votes, and the tracks that agree with it.

    Pairs of tracks far apart are tried as a motion (RANSAC, scored as in MSAC), and the best is refined by
    reweighted least squares.

    Args:
        votes: All tracks; what the motion shares is measured on them.
        among: bool, shape (n,): tracks that may vote.
    """
    if np.count_nonzero(among) < _FEWEST:
        return None
    weight = np.where(among, votes.weight, 0.0)
    a, b = _candidates(votes.start, votes.end, weight)
    if not len(a):
        return None
    best = cheapest(votes, a, b, weight)
    a, b = a[best : best + 1], b[best : best + 1]
    tolerance = _FAR
    for _ in range(_REFINEMENTS):
        off = votes.residuals(a, b)[0]
        tolerance = _tolerance(off, weight, tolerance)
        weights = weight * np.maximum(0.0, 1 - (off / (1.5 * tolerance)) ** 2) ** 2
        a, b = _least_squares(votes.start, votes.end, weights)
    agrees = among & (votes.residuals(a, b)[0] < tolerance)
    share = np.bincount(votes.cell, np.where(agrees, votes.weight, 0.0), minlength=len(_VOTES)) / _VOTES
    motion = Motion(
        complex(a[0]),
        complex(b[0]),
        agreement=float(votes.weight[agrees].sum() / votes.weight.sum()),
        coverage=float(share @ _VOTES / _VOTES.sum()),
        border=float(share[_BORDER].mean()),
    )
    return motion, agrees


def _candidates(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The motions of pairs of tracks, drawn by weight; always the same for the same tracks."""
    share = np.cumsum(weight / weight.sum())
    one, other = np.searchsorted(share / share[-1], _draws(), side="right")
    apart = np.abs(start[one] - start[other]) > _APART
    one, other = one[apart], other[apart]
    a = (end[one] - end[other]) / (start[one] - start[other])
    return a, end[one] - a * start[one]


@cache
def _draws() -> np.ndarray:
    """Numbers from 0 to 1 that the pairs are drawn by: float64, shape (2, trials)."""
    return np.random.default_rng(0).random((2, _TRIALS))


def cheapest(votes: Votes, a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> int:
    """Find the motion with the least cost: squared distances of the tracks, each up to a limit (MSAC).

    Distances need a square root each. So the costs are computed without, which takes a quarter of the time;
    they round differently, and decide where that makes no difference.

    Args:
        votes: The tracks.
        a: Complex, shape (n,): scales and rotations.
        b: Complex, shape (n,): shifts.
        weight: Vote of each track.

    Returns:
        Its number; of equal ones, the first.
    """
    (scale, turn), (right, down) = (np.real(a), np.imag(a)), (np.real(b), np.imag(b))
    places = np.stack([np.real(votes.start), np.imag(votes.start), np.ones(len(votes.start))])
    off = np.stack([scale, -turn, right], axis=1) @ places - np.real(votes.end)
    squares = np.square(off / votes.unit[0])
    off = np.stack([turn, scale, down], axis=1) @ places - np.imag(votes.end)
    squares += np.square(off / votes.unit[1])
    squares *= (2 / _FAR) ** 2
    costs = np.minimum(squares, 1.0, out=squares) @ weight
    best = int(np.argmin(costs))
    if np.count_nonzero(costs <= costs[best] + _ROUNDING * weight.sum()) == 1:
        return best
    return int(np.argmin(np.minimum(votes.residuals(a, b) / (_FAR / 2), 1.0) ** 2 @ weight))


def _tolerance(off: np.ndarray, weight: np.ndarray, before: float) -> float:
    """Largest residual of an inlier: three standard deviations of those that agree, from their median."""
    near = np.flatnonzero((off < before) & (weight > 0))
    if not len(near):
        return before
    off = off[near]
    order = off.argsort()
    total = weight[near][order].cumsum()
    median = float(off[order[total.searchsorted(total[-1] / 2)]])
    # The length of a two-dimensional normal error has its median at 1.18 standard deviations.
    return min(max(_SPREAD * median / 1.18, _NEAR), _FAR)


def _least_squares(start: np.ndarray, end: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = weights.sum()
    from_, to = weights @ start / total, weights @ end / total
    a = (weights * np.conj(start - from_)) @ (end - to) / (weights @ np.abs(start - from_) ** 2)
    return np.array([a]), np.array([to - a * from_])
