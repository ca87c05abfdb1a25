"""Where two static clips differ: their stills are registered exactly, and compared in small parts.

For moving pictures the motion proves a copy. A title, a slide or a screen has none, and another word changes
only a small part of the picture: too little for any measure of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tools.scoring.dedup.alignment import Alignment, Track
from tools.scoring.dedup.fingerprint import SECONDS, SNAPSHOTS, WHOLE, Box, FileInfo, Still
from tools.scoring.dedup.registration import Registration, register

_SMOOTH = 0.8  # pixels: what resampling and codecs leave at edges
_BLURS = (0.0, 0.7, 1.0, 1.4, 2.0, 2.8)  # pixels by which one copy may be less sharp than the other
_MAX_WEIGHED = 30.0  # grey levels; a larger difference counts no more when the blur is chosen
_PART = 7  # side in pixels of the parts that are compared ...
_AROUND = 15  # ... and of those whose contrast the difference is divided by
_FAINT = 8.0  # grey levels of contrast that codecs add or remove ...
_MAX_TEXTURE = 12.0  # ... and as many more, at most, in pictures that are full of texture
_CLEAR = 20.0  # grey levels of contrast from which on a part shows how well the copy fits
_MAX_USUAL = 0.35  # the difference that a bad encoding makes; what fits worse is other content
_MIN_PIXELS = 12  # what differs in fewer is no difference
_SHAPE = 1.02  # ratio of two aspect ratios from which on they differ
_MIN_VALID = 0.2  # of the picture that must be still in both
_MIN_CONTRAST = 3.0  # grey levels below which there is nothing to compare
_SAME_TIME = 0.26  # seconds that snapshots of the same moment may lie apart
_MAX_CONCURRENT = 3  # stills of the other clip that a still is compared with
_MAX_COMPARED = 6  # stills of a clip that are compared
_MOSTLY = 0.5  # of the time, from which on clips count as static
_SAME = 0.25  # a difference that needs no better registration
_DIFFERENT = 0.4  # a difference from which on two stills show different things


class _StillView(NamedTuple):
    """The stills of a clip, and the part of them that is compared."""

    stills: Sequence[Still]
    window: Box
    mirrored: bool
    info: FileInfo


def still_similarity(short: Track, long: Track, found: Alignment) -> float:
    """How alike two clips are where they are static.

    Args:
        short: The clip that lies in the other.
        long: The other.
        found: Where it lies there.

    Returns:
        1 for the same pictures, 0.9 for a difference that makes them other content, down to 0. Also 1 for
        clips that move most of the time, whose motion decides.
    """
    if not mostly_static(short, long, found):
        return 1.0
    views = []
    for track, window in zip((short, long), found.windows, strict=True):
        info, stills = track.fingerprint.info, track.fingerprint.stills
        views.append(_StillView(stills, info.box if track.partial else window, track.mirrored, info))
    difference = _largest_difference(views[0], views[1], found.shift * SECONDS)
    return max(0.0, 1 - 0.1 * difference / _DIFFERENT)


def mostly_static(short: Track, long: Track, found: Alignment) -> bool:
    """Whether both clips are static most of the time that they have in common. Arguments as above."""
    # Each still lasts until the next snapshot.
    seconds = sum(
        max(0.0, _overlap(still, other, found.shift * SECONDS) + SNAPSHOTS.seconds)
        for still in short.fingerprint.stills
        for other in long.fingerprint.stills
    )
    return seconds >= _MOSTLY * len(short.contrast) * SECONDS


def _largest_difference(short: _StillView, long: _StillView, shift: float) -> float:
    """How much stills of the same moments differ in the part where they differ most.

    Args:
        short: The clip that lies in the other.
        long: The other.
        shift: Seconds from the start of the longer clip to that of the shorter one.

    Returns:
        The difference: about 0 for the same pictures, from `_DIFFERENT` on for other content.
    """
    pairs = [(still, _concurrent(still, long.stills, shift)) for still in short.stills]
    pairs = [(still, others) for still, others in pairs if others]
    if len(pairs) > _MAX_COMPARED:
        chosen = np.linspace(0, len(pairs) - 1, _MAX_COMPARED).round().astype(int)
        pairs = [pairs[i] for i in chosen]
    worst = 0.0
    known: Registration | None = None
    for still, others in pairs:
        least = np.inf
        for other in others:
            value, known = _difference(still, other, short, long, known)
            least = min(least, value)
            if least < _DIFFERENT:
                break
        worst = max(worst, least)
        if worst >= 2 * _DIFFERENT:
            break
    return worst


def _concurrent(still: Still, others: Sequence[Still], shift: float) -> list[Still]:
    """Stills of the longer clip at the time of one of the shorter, those with most in common first."""
    common = [(_overlap(still, other, shift), other) for other in others]
    common = sorted((pair for pair in common if pair[0] >= -_SAME_TIME), key=lambda pair: -pair[0])
    # Two that share no more than a moment may be on different sides of a cut.
    several = bool(common) and common[0][0] < _SAME_TIME
    return [other for _, other in common[: _MAX_CONCURRENT if several else 1]]


def _overlap(still: Still, other: Still, shift: float) -> float:
    return min(still.end + shift, other.end) - max(still.start + shift, other.start)


def _difference(
    still: Still, other: Still, short: _StillView, long: _StillView, known: Registration | None
) -> tuple[float, Registration | None]:
    """The difference of two stills, and their registration when it fitted, else the one known before."""
    if known is not None and (value := _compare(still, other, short, long, known)) < _DIFFERENT:
        return value, known
    best, best_registration = np.inf, known
    for start in _starts(short, long):
        for closely in (False, True):
            tried = start
            if closely:
                tried = register(still.picture, other.picture, start, short.mirrored, long.mirrored)
            value = _compare(still, other, short, long, tried)
            if value < best:
                best, best_registration = value, tried
            if best < _SAME:
                return best, best_registration
    return best, best_registration if best < _DIFFERENT else known


def _starts(short: _StillView, long: _StillView) -> list[Registration]:
    """Parts of both pictures that may show the same, the likeliest first."""
    starts = [(short.window, long.window), (short.info.box, long.info.box)]
    sizes = [(info.width, info.height) for info in (short.info, long.info)]
    wider = sizes[0][0] * sizes[1][1] / (sizes[0][1] * sizes[1][0])
    if not 1 / _SHAPE < wider < _SHAPE:  # another shape: bars were added, or the sides cut off
        part = min(wider, 1 / wider)
        inset = (1 - part) / 2
        tall, wide = (0.0, 1.0, inset, 1 - inset), (inset, 1 - inset, 0.0, 1.0)
        starts += [(WHOLE, tall), (wide, WHOLE)] if wider > 1 else [(tall, WHOLE), (WHOLE, wide)]
    return [Registration(one, other) for one, other in dict.fromkeys(starts)]


def _compare(
    still: Still, other: Still, short: _StillView, long: _StillView, registration: Registration
) -> float:
    """The difference of two registered stills: that of the part where it is largest."""
    x, y, valid = registration.sample(still.picture, other.picture, short.mirrored, long.mirrored)
    valid = cv2.erode(valid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0).astype(bool)
    if valid.mean() < _MIN_VALID or max(x[valid].std(), y[valid].std()) < _MIN_CONTRAST:
        return 0.0
    x, y = _equally_sharp(_blurred(x, _SMOOTH), _blurred(y, _SMOOTH), valid)
    residual = np.where(valid, x - y, 0)
    residual = np.sqrt(np.maximum(cv2.blur(residual * residual, (_PART, _PART)), 0))
    contrast = np.maximum(_contrast(x), _contrast(y))
    faint = _FAINT + min(float(np.median(contrast[valid])), _MAX_TEXTURE)
    parts = np.where(valid, residual / (contrast + faint), 0)
    clear = valid & (contrast > _CLEAR)
    usual = float(np.median(parts[clear])) if clear.any() else 0.0
    return float(np.partition(parts.ravel(), -_MIN_PIXELS)[-_MIN_PIXELS]) - min(usual, _MAX_USUAL)


def _equally_sharp(x: np.ndarray, y: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blur the sharper of two pictures until they differ least."""
    sharpness = [sum(float(np.abs(np.diff(p, axis=axis)).sum()) for axis in (0, 1)) for p in (x, y)]
    swapped = sharpness[1] > sharpness[0]
    if swapped:
        x, y = y, x
    tried = [_blurred(x, sigma) for sigma in _BLURS]
    x = min(tried, key=lambda p: float(np.minimum(np.abs(p - y), _MAX_WEIGHED)[valid].sum()))
    return (y, x) if swapped else (x, y)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def _contrast(picture: np.ndarray) -> np.ndarray:
    """Standard deviation around each pixel."""
    mean = cv2.blur(picture, (_AROUND, _AROUND))
    return np.sqrt(np.maximum(cv2.blur(picture * picture, (_AROUND, _AROUND)) - mean * mean, 0))
