"""Upscaling: pictures whose fine structure ends far below what their resolution could show."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

WINDOW = 64
"""Length in pixels of the lines that are transformed."""

_EVERY = 4  # lines of which one is taken
_SHARPEST = 0.03  # share of the lines that is used: those with the strongest edges
_LEAST = 8  # lines
_REFERENCE = (0.08, 0.2)  # band, by Nyquist, that any picture fills, enlarged up to fivefold
_WEAKEST = 25.0  # squared luma in that band below which there is no edge to judge by
_DROP = 0.16  # of the power in that band: 8 dB
_BEYOND = 0.8  # of Nyquist by cut-off beyond 1; clips enlarged twofold then read 2


def upscale_factor(luma: np.ndarray) -> float | None:
    """How far the picture could be made smaller and keep its structure.

    The power spectrum of an ideal edge, times the squared frequency, is flat. That of the sharpest edges of a
    picture is flat up to the resolution that the picture really has, and falls off there when it was
    enlarged, or is out of focus all over. The cut-off is the first frequency at which the geometric mean over
    the edges is 8 dB below its low frequencies (what an encoder adds to some edges moves that mean little),
    in the better of the two directions, since motion blurs one only.

    Args:
        luma: float32, shape (height, width), 0 to 255.

    Returns:
        Nyquist frequency by cut-off, of which 0.8 is counted beyond 1, since shrinking and enlarging soften
        too: 1 for a picture with full detail, about 2 for one that was enlarged to twice its size; never
        below 1. None where no edge is strong enough.
    """
    spectra = [_edge_spectra(lines) for lines in (luma, luma.T)]
    factors = [1.0 / _cut_off(_geometric_mean(lines)) for lines in spectra if len(lines) >= _LEAST]
    return 1.0 + _BEYOND * (min(factors) - 1.0) if factors else None


def typical_factor(factors: Sequence[float]) -> float:
    """One factor for several frames: the lower quartile, since motion blurs some of them."""
    return float(np.percentile(factors, 25))


def _edge_spectra(luma: np.ndarray) -> np.ndarray:
    """Whitened power spectra of the rows with the strongest edges: shape (lines, WINDOW / 2 + 1)."""
    half = WINDOW // 2
    if luma.shape[1] < WINDOW:
        return np.empty((0, half + 1), np.float32)
    rows = np.ascontiguousarray(luma[::_EVERY])
    # Steps from pixel to pixel show where the edges are, at a tenth of the cost of all the spectra.
    strength = strongest_steps(rows)
    windows = strength.shape[1]
    strength = strength.ravel()
    count = min(len(strength), max(_LEAST, int(len(strength) * 3 * _SHARPEST)))
    row, window = np.divmod(np.argpartition(strength, -count)[-count:], windows)
    lines = np.lib.stride_tricks.sliding_window_view(rows, WINDOW, axis=1)[row, window * half]
    lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(WINDOW).astype(np.float32)
    frequency = np.arange(half + 1, dtype=np.float32) / half
    power = np.abs(np.fft.rfft(lines, axis=1)).astype(np.float32) ** 2 * frequency**2
    reference = power[:, _in_reference(half)].mean(axis=1)
    keep = max(min(_LEAST, count), count // 3)
    order = np.argpartition(reference, -keep)[-keep:]
    order = order[reference[order] >= _WEAKEST]
    return power[order] / reference[order, None]


def strongest_steps(rows: np.ndarray) -> np.ndarray:
    """The largest step between neighbours in each window of a row; a window begins every half window.

    Args:
        rows: float32, shape (n, width), `WINDOW` pixels wide or wider.

    Returns:
        float32, shape (n, windows).
    """
    half = WINDOW // 2
    count, width = rows.shape
    steps = np.zeros((count, width), rows.dtype)
    cv2.absdiff(rows[:, 1:], rows[:, :-1], dst=steps[:, :-1])
    blocks = steps[:, : width // half * half].reshape(-1, half)
    inside = cv2.reduce(blocks[:, :-1], 1, cv2.REDUCE_MAX)[:, 0]  # without the step to the next block
    whole = np.maximum(inside, blocks[:, -1])
    inside, whole = inside.reshape(count, -1), whole.reshape(count, -1)
    return np.maximum(whole[:, :-1], inside[:, 1:])


def _geometric_mean(power: np.ndarray) -> np.ndarray:
    """Over the lines, by its own mean in the reference band."""
    mean = np.exp(np.log(power + 1e-5).mean(axis=0, dtype=np.float64))
    return mean / mean[_in_reference(len(mean) - 1)].mean()


def _in_reference(half: int) -> np.ndarray:
    frequency = np.arange(half + 1) / half
    return (frequency >= _REFERENCE[0]) & (frequency <= _REFERENCE[1])


def _cut_off(power: np.ndarray) -> float:
    smooth = np.convolve(np.pad(power, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    half = len(power) - 1
    first = int(_REFERENCE[1] * half)
    below = np.flatnonzero(smooth[first:] < _DROP)
    if not len(below):
        return 1.0
    at = first + int(below[0])
    before, after = np.log(smooth[at - 1]), np.log(smooth[at])
    part = (before - np.log(_DROP)) / (before - after) if before > after else 0.0
    return float((at - 1 + np.clip(part, 0.0, 1.0)) / half)
