"""Fades: frames that are black, on their way from or to a plain colour, or a mixture of two shots."""

from __future__ import annotations

import cv2
import numpy as np

from tools.media.reading.mixtures import RESIDUE, correlation, decompose, find_mixtures
from tools.scoring.technical.repeats import runs

_BLACK = 25  # luma: a tenth of the range, as ffmpeg's blackdetect has it
_ALL = 0.98  # share of the pixels of a black frame
_SIZE = (32, 18)  # at which fades and mixtures are detected
_FINER = (80, 45)  # at which mixtures are confirmed: a slow pan over fine texture is one at the size above
_SUDDEN = 0.5  # share of a fade that one step may have
_GROWTH = 0.004  # of contrast, per frame
_SHORTEST = 4  # frames
_ALIKE = 0.9  # correlation of neighbouring frames
_PLAIN = 3.0  # contrast below which correlation means nothing
_GAIN = 0.5  # contrast at the weak end by that at the strong end
_SECONDS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)  # lengths of mixtures that are detected
_UNEVEN = 0.12  # how far the share of the second shot may be from steady growth


def find_fades(thumbnails: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which frames are black, in a fade, or in a dissolve.

    - Black: 98 % of the pixels are not above a tenth of the range.
    - Fade: contrast grows or falls from frame to frame, to at least twice the other, with the same picture
      in it, and brightness goes to black or to white with it. So a clip that begins within a fade counts.
    - Dissolve: two pictures 0.3 to 2 s apart differ, and those a quarter, half and three quarters of the way
      between them are mixtures of the two in just these parts. A camera that moves does not mix pictures.

    Args:
        thumbnails: uint8, shape (n, height, width), of all frames.
        times: float64, shape (n,): seconds.

    Returns:
        bool, shape (n,).
    """
    black = np.array([np.count_nonzero(t <= _BLACK) >= _ALL * t.size for t in thumbnails])
    if len(thumbnails) <= _SHORTEST:
        return black
    pictures = _shrunk(thumbnails, _SIZE)
    step = float(np.median(np.diff(times)))
    return black | _fades(pictures) | _dissolves(pictures, _shrunk(thumbnails, _FINER), step)


def _shrunk(thumbnails: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Float32, shape (n, pixels)."""
    small = np.stack([cv2.resize(t, size, interpolation=cv2.INTER_AREA) for t in thumbnails])
    return small.reshape(len(small), -1).astype(np.float32)


def _fades(pictures: np.ndarray) -> np.ndarray:
    mean = pictures.mean(axis=1)
    centred = pictures - mean[:, None]
    contrast = centred.std(axis=1)
    same = correlation(centred[1:], centred[:-1]) > _ALIKE
    same |= np.minimum(contrast[1:], contrast[:-1]) < _PLAIN
    growth = np.diff(np.log(contrast + 0.5))
    growth = np.convolve(np.pad(growth, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    fading = np.zeros(len(pictures), bool)
    for sign in (1, -1):
        for start, end in runs((sign * growth > _GROWTH) & same):
            weak, strong = (start, end) if sign > 0 else (end, start)
            if end - start < _SHORTEST or contrast[strong] < _PLAIN:
                continue
            steps = np.abs(np.diff(contrast[start : end + 1]))
            if steps.max() > _SUDDEN * abs(contrast[strong] - contrast[weak]):
                continue
            dimmed = mean[weak] <= 0.6 * mean[strong] or 255 - mean[weak] <= 0.6 * (255 - mean[strong])
            if dimmed and contrast[weak] <= _GAIN * contrast[strong]:
                fading[start : end + 1] = True
    return fading


def _dissolves(pictures: np.ndarray, finer: np.ndarray, step: float) -> np.ndarray:
    mixed = np.zeros(len(pictures), bool)
    lengths = {max(_SHORTEST, round(seconds / step)) for seconds in _SECONDS} if step > 0 else set()
    for first, last in find_mixtures(pictures, sorted(lengths), uneven=_UNEVEN):
        mixed[first : last + 1] |= _mixed(finer[first : last + 1])
    return mixed


def _mixed(pictures: np.ndarray) -> np.ndarray:
    """Which frames contain some of the first and some of the last; none when the middle one is no mixture."""
    difference = pictures[-1] - pictures[0]
    share, residue = decompose(pictures, pictures[0], difference, (difference**2).sum())
    if residue[len(pictures) // 2] >= RESIDUE:
        return np.zeros(len(pictures), bool)
    return (share > 0.03) & (share < 0.97)
