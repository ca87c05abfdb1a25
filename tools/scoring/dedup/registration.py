"""Registration of two still pictures: one is laid over the other to a fraction of a pixel.

By least squares on the grey levels, from coarse to fine (Lucas and Kanade 1981): the edges of the part of one
picture are moved until it fits the other, in brightness and contrast too. Pixels that fit badly have small
weights (iteratively reweighted, with the weights of Geman and McClure), so that words that differ do not pull
the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from tools.scoring.dedup.fingerprint import LEVEL, SNAPSHOTS, Box

_PYRAMID = ((8, 4, 0.8), (4, 5, 0.6), (2, 4, 0.4), (1, 2, 0.25))
"""Scale, iterations, and the residual, in parts of the contrast, beyond which weights are small."""
_MIN_RESIDUAL = 4.0  # the same in grey levels, at least
_RIDGE = 1e-3  # grey levels squared: what has no contrast moves nothing
_REACH = 0.12  # of the picture that an edge may move
_MIN_VALID = 0.3  # of the picture
_FITS = 3  # of brightness and contrast
_GAINS = (0.4, 2.5)  # bounds of the ratio of contrasts


class Registration(NamedTuple):
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
        """Both parts in the size of a still, the second adjusted to the brightness and contrast of the first.

        Args:
            one: Picture of a `tools.scoring.dedup.fingerprint.Still`.
            other: The same.
            one_mirrored: Mirror it.
            other_mirrored: Mirror it.

        Returns:
            Grey levels of both, float32, and which pixels are valid: inside both pictures, and still in both.
        """
        x, y = _sample(_grey(one), self.one, one_mirrored), _sample(_grey(other), self.other, other_mirrored)
        valid = _valid(one, self.one, one_mirrored) & _valid(other, self.other, other_mirrored)
        gain, offset = _fit_levels(x[valid], y[valid]) if valid.any() else (1.0, 0.0)
        return x, gain * y + offset, valid


def register(
    one: np.ndarray, other: np.ndarray, start: Registration, one_mirrored: bool, other_mirrored: bool
) -> Registration:
    """Move the edges of the second picture's part until it fits the first.

    Args:
        one: Picture of a `tools.scoring.dedup.fingerprint.Still`.
        other: The same.
        start: The parts to begin with; an edge moves by 12 % of the picture at most.
        one_mirrored: Mirror it.
        other_mirrored: Mirror it.

    Returns:
        The parts that fit best.
    """
    window, gain, offset = start.other, 1.0, 0.0
    grey_one, grey_other = _grey(one), _grey(other)
    for scale, iterations, fraction in _PYRAMID:
        size = (SNAPSHOTS.size[0] // scale, SNAPSHOTS.size[1] // scale)
        x = _sample(cv2.GaussianBlur(grey_one, (0, 0), 0.7 * scale), start.one, one_mirrored, size)
        smooth = cv2.GaussianBlur(grey_other, (0, 0), 0.7 * scale)
        x_valid = _valid(one, start.one, one_mirrored, size)
        across = np.broadcast_to(np.linspace(-1, 1, size[0], dtype=np.float32), x.shape)
        down = np.broadcast_to(np.linspace(-1, 1, size[1], dtype=np.float32)[:, None], x.shape)
        for _ in range(iterations):
            y = _sample(smooth, window, other_mirrored, size)
            valid = x_valid & _valid(other, window, other_mirrored, size)
            if valid.mean() < _MIN_VALID:
                return start
            residual = x - gain * y - offset
            limit = max(fraction * float(x[valid].std()), _MIN_RESIDUAL)
            weights = (valid / (1 + (residual / limit) ** 2) ** 2).reshape(-1, 1)
            slope_down, slope_across = np.gradient(y)
            terms = (slope_across * across, slope_across, slope_down * down, slope_down, y, np.ones_like(y))
            terms = np.stack(terms, axis=-1).reshape(-1, 6)
            squares = (terms * weights).T @ terms
            squares[np.diag_indices(6)] += _RIDGE * len(terms)
            change = np.linalg.solve(squares, (terms * weights).T @ residual.ravel())
            gain = float(np.clip(gain + change[4], *_GAINS))
            offset = float(offset + change[5])
            window = _move(window, change[:4] / gain / np.repeat(size, 2), start.other, other_mirrored)
    return Registration(start.one, window)


def _move(window: Box, change: np.ndarray, start: Box, mirrored: bool) -> Box:
    """Stretch and shift a part of the picture, in fractions of its size, within reach of where it started."""
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
    left, right, top, bottom = (
        float(np.clip(edge + move, first - _REACH, first + _REACH))
        for edge, move, first in zip(window, moves, start, strict=True)
    )
    return left, right, top, bottom


def _fit_levels(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Gain and offset that make y most like x, by the same weights."""
    gain, offset = 1.0, float(x.mean() - y.mean())
    limit = max(_PYRAMID[-1][2] * float(x.std()), _MIN_RESIDUAL)
    weights = np.ones_like(x)
    for _ in range(_FITS):
        weights /= weights.sum()
        mean_x, mean_y = float(weights @ x), float(weights @ y)
        spread = float(weights @ (y - mean_y) ** 2)
        gain = float(weights @ ((x - mean_x) * (y - mean_y))) / spread if spread > 1 else 1.0
        gain = float(np.clip(gain, *_GAINS))
        offset = mean_x - gain * mean_y
        weights = 1 / (1 + ((x - gain * y - offset) / limit) ** 2) ** 2
    return gain, offset


def _grey(picture: np.ndarray) -> np.ndarray:
    """Grey levels, float32; what moves is filled in from its surroundings."""
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


def _valid(
    picture: np.ndarray, window: Box, mirrored: bool, size: tuple[int, int] = SNAPSHOTS.size
) -> np.ndarray:
    """Which pixels of a part lie inside the picture, and are still."""
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
