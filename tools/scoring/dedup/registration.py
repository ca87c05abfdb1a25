"""Lay one still picture over another to a fraction of a pixel.

By least squares on the grey levels, from coarse to fine (Lucas and Kanade 1981): the edges of the part of one
picture are moved until it fits the other, in brightness and contrast too. What fits badly weighs little
(iteratively reweighted, with the weights of Geman and McClure), so words that differ do not pull the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from tools.scoring.dedup.fingerprint import Box
from tools.scoring.dedup.stills import LEVEL, SNAPSHOTS

_LEVELS = ((8, 4, 0.8), (4, 5, 0.6), (2, 4, 0.4), (1, 2, 0.25))
"""Pixels per pixel, steps, and the misfit, in parts of the contrast, from which on a pixel weighs little."""
_SMALLEST_MISFIT = 4.0  # the same in grey levels, at least
_RIDGE = 1e-3  # grey levels squared: what has no contrast moves nothing
_REACH = 0.12  # of the picture that an edge may move
_LEAST_SEEN = 0.3  # of the picture
_FITS = 3  # of brightness and contrast
_CONTRASTS = (0.4, 2.5)  # bounds of the ratio of contrasts


class Placed(NamedTuple):
    """Parts of two pictures that show the same.

    Attributes:
        one: Part of the first picture.
        other: Part of the second one.
    """

    one: Box
    other: Box

    def sample(
        self, one: np.ndarray, other: np.ndarray, one_mirrored: bool, other_mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both parts in the size of a still, the second with the first one's grey levels.

        Args:
            one: Picture of a `tools.scoring.dedup.stills.Still`.
            other: The same.
            one_mirrored: Turn it round.
            other_mirrored: Turn it round.

        Returns:
            Grey levels, float32, and which pixels are of both pictures and stand still in both.
        """
        x, y = _sample(_grey(one), self.one, one_mirrored), _sample(_grey(other), self.other, other_mirrored)
        seen = _seen(one, self.one, one_mirrored) & _seen(other, self.other, other_mirrored)
        gain, offset = _fit_levels(x[seen], y[seen]) if seen.any() else (1.0, 0.0)
        return x, gain * y + offset, seen


def lay_over(
    one: np.ndarray, other: np.ndarray, start: Placed, one_mirrored: bool, other_mirrored: bool
) -> Placed:
    """Move the edges of the second picture's part until it fits the first.

    Args:
        one: Picture of a `tools.scoring.dedup.stills.Still`.
        other: The same.
        start: The parts to begin with; an edge moves by 12 % of the picture at most.
        one_mirrored: Turn it round.
        other_mirrored: Turn it round.

    Returns:
        The parts that fit best.
    """
    window, gain, offset = start.other, 1.0, 0.0
    grey_one, grey_other = _grey(one), _grey(other)
    for scale, steps, part in _LEVELS:
        size = (SNAPSHOTS.size[0] // scale, SNAPSHOTS.size[1] // scale)
        x = _sample(cv2.GaussianBlur(grey_one, (0, 0), 0.7 * scale), start.one, one_mirrored, size)
        smooth = cv2.GaussianBlur(grey_other, (0, 0), 0.7 * scale)
        x_seen = _seen(one, start.one, one_mirrored, size)
        across = np.broadcast_to(np.linspace(-1, 1, size[0], dtype=np.float32), x.shape)
        down = np.broadcast_to(np.linspace(-1, 1, size[1], dtype=np.float32)[:, None], x.shape)
        for _ in range(steps):
            y = _sample(smooth, window, other_mirrored, size)
            seen = x_seen & _seen(other, window, other_mirrored, size)
            if seen.mean() < _LEAST_SEEN:
                return start
            misfit = x - gain * y - offset
            limit = max(part * float(x[seen].std()), _SMALLEST_MISFIT)
            weights = (seen / (1 + (misfit / limit) ** 2) ** 2).reshape(-1, 1)
            slope_down, slope_across = np.gradient(y)
            terms = (slope_across * across, slope_across, slope_down * down, slope_down, y, np.ones_like(y))
            terms = np.stack(terms, axis=-1).reshape(-1, 6)
            squares = (terms * weights).T @ terms
            squares[np.diag_indices(6)] += _RIDGE * len(terms)
            change = np.linalg.solve(squares, (terms * weights).T @ misfit.ravel())
            gain = float(np.clip(gain + change[4], *_CONTRASTS))
            offset = float(offset + change[5])
            window = _moved(window, change[:4] / gain / np.repeat(size, 2), start.other, other_mirrored)
    return Placed(start.one, window)


def _moved(window: Box, change: np.ndarray, start: Box, mirrored: bool) -> Box:
    """Stretch and shift a part of the picture, in parts of its own size, within reach of where it started."""
    stretch_x, shift_x, stretch_y, shift_y = change
    if mirrored:
        shift_x = -shift_x
    wide, tall = window[1] - window[0], window[3] - window[2]
    moves = (
        (shift_x - stretch_x) * wide,
        (shift_x + stretch_x) * wide,
        (shift_y - stretch_y) * tall,
        (shift_y + stretch_y) * tall,
    )
    return tuple(
        float(np.clip(edge + move, begin - _REACH, begin + _REACH))
        for edge, move, begin in zip(window, moves, start, strict=True)
    )


def _fit_levels(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Gain and offset that make y most like x, by the same weights."""
    gain, offset = 1.0, float(x.mean() - y.mean())
    limit = max(_LEVELS[-1][2] * float(x.std()), _SMALLEST_MISFIT)
    weights = np.ones_like(x)
    for _ in range(_FITS):
        weights /= weights.sum()
        mean_x, mean_y = float(weights @ x), float(weights @ y)
        spread = float(weights @ (y - mean_y) ** 2)
        gain = float(weights @ ((x - mean_x) * (y - mean_y))) / spread if spread > 1 else 1.0
        gain = float(np.clip(gain, *_CONTRASTS))
        offset = mean_x - gain * mean_y
        weights = 1 / (1 + ((x - gain * y - offset) / limit) ** 2) ** 2
    return gain, offset


def _grey(picture: np.ndarray) -> np.ndarray:
    """Grey levels, float32; what moves is filled with what is around it."""
    grey = (picture.astype(np.float32) - 0.5) * LEVEL - 0.5
    moving = picture == 0
    if moving.any():
        still = (~moving).astype(np.float32)
        weight = np.maximum(cv2.GaussianBlur(still, (0, 0), 8), 1e-3)
        grey[moving] = (cv2.GaussianBlur(grey * still, (0, 0), 8) / weight)[moving]
    return grey


def _sample(
    picture: np.ndarray, window: Box, mirrored: bool, size: tuple[int, int] = SNAPSHOTS.size
) -> np.ndarray:
    return cv2.warpAffine(
        picture,
        _matrix(window, mirrored, picture.shape, size),
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _seen(
    picture: np.ndarray, window: Box, mirrored: bool, size: tuple[int, int] = SNAPSHOTS.size
) -> np.ndarray:
    """Which pixels of a part are of the picture, and stand still."""
    still = (picture > 0).astype(np.float32)
    matrix = _matrix(window, mirrored, picture.shape, size)
    return cv2.warpAffine(still, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) > 0.99


def _matrix(window: Box, mirrored: bool, shape: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """From pixels of the new picture to those of the old."""
    left, right, top, bottom = window
    if mirrored:
        left, right = right, left
    tall, wide = shape
    x, y = (right - left) * wide / size[0], (bottom - top) * tall / size[1]
    return np.array([[x, 0, left * wide + x / 2 - 0.5], [0, y, top * tall + y / 2 - 0.5]])
