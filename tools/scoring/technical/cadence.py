"""Cadence: pictures that are repeated in a fixed rhythm, as a change of the frame rate leaves them."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

_RATIOS = ((1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (1, 5), (2, 5), (3, 5), (4, 5), (1, 6), (5, 6), (5, 12))
_WINDOW = 48  # frames that are judged together
_FEWEST = 36  # frames of a shorter video
_STEP = 12  # frames from window to window
_EACH = 0.8  # what most repeats stay below, by the changes of the new pictures beside them
_REFINES = (18.0, 0.2)  # changes of repeats where they are largest: luma, or by those of new pictures
_MOTION = 4.0  # luma: changes of new pictures, where they are largest, below which there is no verdict
_SMALL = (80, 45)  # at which directions of changes are compared


class _Limits(NamedTuple):
    """What the repeats of a window have to keep.

    Attributes:
        less: Geometric mean of their changes, by those of the new pictures beside them.
        most: Share of them that is low.
        along: Median of the part of their change that goes on with the motion beside them.
    """

    less: float
    most: float
    along: float


_CERTAIN = _Limits(0.6, 0.75, 0.25)
_GOES_ON = _Limits(0.8, 0.5, 0.5)  # beside a window with the same rhythm


class _Rhythm:
    """Repeats at fixed places, and all changes by those of the new pictures beside them.

    Args:
        is_new: bool, shape (n - 1,): which changes are those of new pictures.
        size: Logarithms of the changes, shape (n - 1, 2).
        products: Gives what `_products` does; it is called where directions matter.

    Attributes:
        repeats: bool, shape (n - 1,).
        quotient: Logarithm of each change by the geometric mean of those beside it: float64, shape (n - 1,).
    """

    def __init__(self, is_new: np.ndarray, size: np.ndarray, products: Callable[[], np.ndarray]) -> None:
        at = np.flatnonzero(is_new)
        position = np.searchsorted(at, np.arange(len(is_new)))
        self._after = at[np.minimum(position, len(at) - 1)]
        self._before = at[np.maximum(position - 1, 0)]
        self._products = products
        self.repeats = ~is_new
        self.quotient = (size - (size[self._before] + size[self._after]) / 2).max(axis=1)

    @functools.cached_property
    def along(self) -> np.ndarray:
        """The larger of the projections of each change on those beside it, by their length: float64."""
        products = self._products()
        numbers, most = np.arange(len(self.repeats)), products.shape[1]
        along = np.zeros(len(numbers))
        for other in (self._before, self._after):
            lag = np.abs(numbers - other)
            product = products[np.maximum(numbers, other), np.minimum(lag, most - 1)]
            share = product / np.maximum(products[other, 0], 1.0)
            along = np.maximum(along, np.where(lag < most, share, 0.0))
        return along


def find_cadence(thumbnails: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Which frames repeat the one before them in a fixed rhythm.

    An encoder at a low rate spreads the motion of new pictures over the repeats between them, so that a
    single repeat cannot be distinguished from a slow moment. A rhythm can: in 48 frames, those at which a
    frame rate converted by doubling has its repeats (24 in 30: every fifth; 24 in 60: 3:2 pulldown) change by
    less than 0.6 of the new pictures beside them, three quarters of them by less than 0.8 and, where they
    change most, by no more than an encoder does; and what they change does not go on with the motion. Beside
    such a window the same rhythm is taken to go on with less than that.

    Args:
        thumbnails: uint8, shape (n, height, width), of all frames.
        changes: What `tools.scoring.technical.repeats.frame_changes` gives.

    Returns:
        bool, shape (n - 1,): for each frame but the first.
    """
    count = len(changes)
    repeated = np.zeros(count, bool)
    if count < _FEWEST:
        return repeated
    products = functools.cache(lambda: _products(thumbnails, max(places for _, places in _RATIOS)))
    size = np.log(np.maximum(changes, 1e-3))
    rhythms = [
        _Rhythm(_new_places(count, new, places, shift), size, products)
        for new, places in _RATIOS
        for shift in range(places)
    ]
    last = max(0, count - _WINDOW)
    windows = [slice(start, start + _WINDOW) for start in (*range(0, last, _STEP), last)]
    found: list[int | None] = []
    for window in windows:
        fitting = [n for n, rhythm in enumerate(rhythms) if _fits(rhythm, changes, window, _CERTAIN)]
        clearness = [_explained(size[window], rhythms[n].repeats[window]) for n in fitting]
        found.append(fitting[int(np.argmax(clearness))] if fitting else None)
    for order in (range(1, len(windows)), range(len(windows) - 2, -1, -1)):
        for number in order:
            beside = found[number - order.step]
            if found[number] is not None or beside is None:
                continue
            if _fits(rhythms[beside], changes, windows[number], _GOES_ON):
                found[number] = beside
    for window, number in zip(windows, found, strict=True):
        if number is not None:
            repeated[window] |= rhythms[number].repeats[window]
    return repeated


def _new_places(count: int, new: int, places: int, shift: int) -> np.ndarray:
    """Which changes are those of new pictures when `new` of them are spread over `places` frames."""
    frames = (np.arange(count) + shift) % places
    return (frames * new) // places != ((frames - 1) * new) // places


def _products(thumbnails: np.ndarray, most: int) -> np.ndarray:
    """Scalar products of each change with itself and with those up to `most - 1` frames before it.

    Returns:
        float64, shape (n - 1, most).
    """
    products = np.zeros((len(thumbnails) - 1, most))
    latest: deque[np.ndarray] = deque(maxlen=most)
    before = None
    for number, thumbnail in enumerate(thumbnails):
        small = cv2.resize(thumbnail, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        if before is not None:
            latest.appendleft(small - before)
            for lag, earlier in enumerate(latest):
                products[number - 1, lag] = latest[0] @ earlier
        before = small
    return products


def _fits(rhythm: _Rhythm, changes: np.ndarray, window: slice, limits: _Limits) -> bool:
    """Whether the repeats of a rhythm are there; most rhythms fail the first test."""
    repeats, local = rhythm.repeats[window], changes[window, 0]
    lower = rhythm.quotient[window][repeats]
    if lower.mean() >= np.log(limits.less):
        return False
    motion = np.median(local[~repeats])
    if motion < _MOTION:
        return False
    low = (lower < np.log(_EACH)) & (local[repeats] < max(_REFINES[0], _REFINES[1] * motion))
    return bool(low.mean() >= limits.most and np.median(rhythm.along[window][repeats]) < limits.along)


def _explained(size: np.ndarray, repeats: np.ndarray) -> float:
    """How much of the variance of the sizes is that between repeats and new pictures."""
    between = size[repeats].mean(axis=0) - size[~repeats].mean(axis=0)
    share = repeats.mean()
    return float((share * (1 - share) * between**2).sum())
