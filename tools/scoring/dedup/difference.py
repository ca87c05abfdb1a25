"""Where two pictures that stand still differ: laid over each other exactly, and compared in small parts.

Of pictures that move it is the motion that proves a copy. Of a title, a slide or a screen there is none, and
another word changes a small part of the picture only: too little for any measure of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tools.scoring.dedup.alignment import Alignment, Track
from tools.scoring.dedup.fingerprint import SECONDS, WHOLE, About, Box
from tools.scoring.dedup.registration import Placed, lay_over
from tools.scoring.dedup.stills import SNAPSHOTS, Still

_SMOOTH = 0.8  # pixels: what resampling and codecs leave at edges
_BLURS = (0.0, 0.7, 1.0, 1.4, 2.0, 2.8)  # pixels by which one copy may be less sharp than the other
_LARGE = 30.0  # grey levels; a larger difference weighs no more when the blur is chosen
_PART = 7  # side in pixels of the parts that are compared ...
_AROUND = 15  # ... and of those whose contrast they are measured by
_FAINT = 8.0  # grey levels of contrast that codecs make or take away ...
_MOST_FAINT = 12.0  # ... and so many more, at most, in pictures that are full of texture
_CLEAR = 20.0  # grey levels of contrast from which on a part tells how well the copy fits
_USUAL = 0.35  # the misfit of a bad encoding; what fits worse is other content
_SMALLEST = 12  # pixels; what differs in fewer is no difference
_SHAPE = 1.02  # ratio of two aspect ratios from which on they differ
_LEAST_KNOWN = 0.2  # of the picture that must stand still in both
_EVEN = 3.0  # contrast in grey levels below which there is nothing to compare
_FRAME = 0.26  # seconds that snapshots of the same moment may lie apart
_BESIDE = 3  # stills of the other clip that a still is compared with
_COMPARED = 6  # stills of a clip that are compared
_MOSTLY = 0.5  # of the time, from which on clips stand still
_SAME = 0.25  # a difference that needs no closer look

DIFFERENT = 0.4
"""A difference from which on two stills show different things."""


class Look(NamedTuple):
    """The stills of a clip, and how they are looked at.

    Attributes:
        stills: The stills.
        window: Part of the picture.
        mirrored: Turned round.
        about: What is known of the file.
    """

    stills: Sequence[Still]
    window: Box
    mirrored: bool
    about: About


def alike_in_detail(short: Track, long: Track, found: Alignment) -> float:
    """Whether two clips show the same when they stand still.

    Args:
        short: The clip that lies in the other.
        long: The other.
        found: Where it lies there.

    Returns:
        1 for the same pictures, 0.9 for a difference that makes them other content, down to 0. 1 as well for
        clips that move most of the time, whose motion decides.
    """
    if not stand_still(short, long, found):
        return 1.0
    looks = []
    for track, window in zip((short, long), found.windows, strict=True):
        about = track.fingerprint.about
        looks.append(
            Look(track.fingerprint.stills, about.box if track.partial else window, track.mirrored, about)
        )
    difference = most_different(*looks, found.shift * SECONDS)
    return max(0.0, 1 - 0.1 * difference / DIFFERENT)


def stand_still(short: Track, long: Track, found: Alignment) -> bool:
    """Whether both clips stand still most of the time that they have in common. Arguments as above."""
    # Each stands until the next snapshot.
    seconds = sum(
        max(0.0, _overlap(still, other, found.shift * SECONDS) + SNAPSHOTS.seconds)
        for still in short.fingerprint.stills
        for other in long.fingerprint.stills
    )
    return seconds >= _MOSTLY * len(short.contrast) * SECONDS


def most_different(short: Look, long: Look, shift: float) -> float:
    """How much stills of the same moments differ in the part where they differ most.

    Args:
        short: The clip that lies in the other.
        long: The other.
        shift: Seconds from the start of the longer clip to that of the shorter one.

    Returns:
        The difference: about 0 for the same pictures, from `DIFFERENT` on for other content.
    """
    pairs = [(still, _beside(still, long.stills, shift)) for still in short.stills]
    pairs = [(still, others) for still, others in pairs if others]
    if len(pairs) > _COMPARED:
        chosen = np.linspace(0, len(pairs) - 1, _COMPARED).round().astype(int)
        pairs = [pairs[i] for i in chosen]
    worst = 0.0
    found: Placed | None = None
    for still, others in pairs:
        least = np.inf
        for other in others:
            value, found = _difference(still, other, short, long, found)
            least = min(least, value)
            if least < DIFFERENT:
                break
        worst = max(worst, least)
        if worst >= 2 * DIFFERENT:
            break
    return worst


def _beside(still: Still, others: Sequence[Still], shift: float) -> list[Still]:
    """Stills of the longer clip at the time of one of the shorter, those with most in common first."""
    common = [(_overlap(still, other, shift), other) for other in others]
    common = sorted((pair for pair in common if pair[0] >= -_FRAME), key=lambda pair: -pair[0])
    # Two that share no more than a moment may be of either side of a cut.
    several = bool(common) and common[0][0] < _FRAME
    return [other for _, other in common[: _BESIDE if several else 1]]


def _overlap(still: Still, other: Still, shift: float) -> float:
    return min(still.end + shift, other.end) - max(still.start + shift, other.start)


def _difference(
    still: Still, other: Still, short: Look, long: Look, known: Placed | None
) -> tuple[float, Placed | None]:
    """The difference of two stills, and how they were laid over each other when that fitted."""
    if known is not None and (value := _compare(still, other, short, long, known)) < DIFFERENT:
        return value, known
    best, best_placed = np.inf, known
    for parts in _starts(short, long):
        for closely in (False, True):
            placed = Placed(*parts)
            if closely:
                placed = lay_over(still.picture, other.picture, placed, short.mirrored, long.mirrored)
            value = _compare(still, other, short, long, placed)
            if value < best:
                best, best_placed = value, placed
            if best < _SAME:
                return best, best_placed
    return best, best_placed if best < DIFFERENT else known


def _starts(short: Look, long: Look) -> list[tuple[Box, Box]]:
    """Parts of both pictures that may show the same, the likeliest first."""
    starts = [(short.window, long.window), (short.about.box, long.about.box)]
    sizes = [(about.width, about.height) for about in (short.about, long.about)]
    wider = sizes[0][0] * sizes[1][1] / (sizes[0][1] * sizes[1][0])
    if not 1 / _SHAPE < wider < _SHAPE:  # of other shape: with bars around it, or cut
        part = min(wider, 1 / wider)
        inset = (1 - part) / 2
        tall, wide = (0.0, 1.0, inset, 1 - inset), (inset, 1 - inset, 0.0, 1.0)
        starts += [(WHOLE, tall), (wide, WHOLE)] if wider > 1 else [(tall, WHOLE), (WHOLE, wide)]
    return list(dict.fromkeys(starts))


def _compare(still: Still, other: Still, short: Look, long: Look, placed: Placed) -> float:
    """The difference of two stills that are laid over each other: that of the part where it is largest."""
    x, y, seen = placed.sample(still.picture, other.picture, short.mirrored, long.mirrored)
    seen = cv2.erode(seen.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0).astype(bool)
    if seen.mean() < _LEAST_KNOWN or max(x[seen].std(), y[seen].std()) < _EVEN:
        return 0.0
    x, y = _as_sharp(_blurred(x, _SMOOTH), _blurred(y, _SMOOTH), seen)
    misfit = np.where(seen, x - y, 0)
    misfit = np.sqrt(np.maximum(cv2.blur(misfit * misfit, (_PART, _PART)), 0))
    contrast = np.maximum(_contrast(x), _contrast(y))
    faint = _FAINT + min(float(np.median(contrast[seen])), _MOST_FAINT)
    parts = np.where(seen, misfit / (contrast + faint), 0)
    clear = seen & (contrast > _CLEAR)
    usual = float(np.median(parts[clear])) if clear.any() else 0.0
    return float(np.partition(parts.ravel(), -_SMALLEST)[-_SMALLEST]) - min(usual, _USUAL)


def _as_sharp(x: np.ndarray, y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blur the sharper of two pictures until they differ least."""
    sharpness = [sum(float(np.abs(np.diff(p, axis=axis)).sum()) for axis in (0, 1)) for p in (x, y)]
    turned = sharpness[1] > sharpness[0]
    if turned:
        x, y = y, x
    tried = [_blurred(x, sigma) for sigma in _BLURS]
    x = min(tried, key=lambda p: float(np.minimum(np.abs(p - y), _LARGE)[seen].sum()))
    return (y, x) if turned else (x, y)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def _contrast(picture: np.ndarray) -> np.ndarray:
    """Standard deviation around each pixel."""
    mean = cv2.blur(picture, (_AROUND, _AROUND))
    return np.sqrt(np.maximum(cv2.blur(picture * picture, (_AROUND, _AROUND)) - mean * mean, 0))
