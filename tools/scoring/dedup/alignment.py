"""Alignment of two fingerprints: where one lies in the other, in time and in the picture, and how well.

The similarity is the smaller of two correlations: of the pictures, that is of their descriptors; and of the
motion, the descriptors without their mean over time. Two clips of one fixed camera have nearly the same
pictures but other motion, and are no copies of each other. A static slide has no motion to
compare: see `tools.scoring.dedup.difference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from tools.scoring.dedup.fingerprint import FLAT, WHOLE, Box, Fingerprint
from tools.scoring.dedup.hashing import View, describe

_FULL_CONTRAST = 8.0  # from which on a picture counts in full
_MAX_OUTSIDE = 0.1  # part of the shorter clip that may lie outside the longer one
_FRACTIONS = (0.0, 0.25, 0.5, 0.75)  # of half a second that two clips are shifted by
_MAX_TRIED = 4  # shifts that are examined closely
_NOISE = 0.003  # energy of the motion that a codec adds, as a part of the picture's
_LEADING = 512  # pictures of the shorter clip that shifts are found by: more than four minutes
_HOPELESS = 0.4  # similarity that no other window raises enough
_FAR_OFF = 0.35  # similarity that no shift by a part of a picture raises enough
_GOOD = 0.97  # similarity that needs no better window
_FEW = 4  # a clip of fewer pictures must lie in the other as a whole
_MIN_GAIN = 1e-4  # of similarity, for an edge to be moved
_STEPS = (0.03, 0.015, 0.015, 0.0075)  # by which the edges of a window are moved in search of a better one
_REACH = 0.06  # how far in all; the windows of the hashes lie 0.05 apart


@dataclass(frozen=True)
class Alignment:
    """Where a clip lies in another.

    Attributes:
        similarity: The smaller of the correlations of pictures and of motion, 0 to 1.
        energy: Energy of the motion, as a part of the pictures'.
        shift: Half seconds from the start of the longer clip to that of the shorter one.
        windows: Parts of their pictures that fit best: of the shorter clip, and of the longer one.
    """

    similarity: float = 0.0
    energy: float = 0.0
    shift: float = 0.0
    windows: tuple[Box, Box] = (WHOLE, WHOLE)


class Track:
    """The descriptors of a fingerprint over time.

    Args:
        fingerprint: The fingerprint.
        view: The part of its pictures that is compared.

    Attributes:
        fingerprint: The fingerprint.
        window: The part of the pictures.
        mirrored: Whether they are mirrored.
        partial: Whether the rest of them may show something else.
        descriptors: float32, shape (n, D), of length 1; 0 for pictures that show nothing.
        contrast: float32, shape (n,), see `Fingerprint`.
    """

    def __init__(self, fingerprint: Fingerprint, view: View) -> None:
        self.fingerprint = fingerprint
        self.window, self.mirrored, self.partial = view.window, view.mirrored, view.partial
        self.contrast = fingerprint.contrast_within(view.window) if view.partial else fingerprint.contrast
        found = describe(fingerprint.pictures, view.window, mirrored=view.mirrored)
        self.descriptors = _unit(found) * (self.contrast >= FLAT)[:, None]

    def with_window(self, window: Box) -> Track:
        """The same for another part of the pictures."""
        return Track(self.fingerprint, View(window, self.mirrored, self.partial))

    def shifted(self, fraction: float) -> tuple[np.ndarray, np.ndarray]:
        """Descriptors and contrast between the pictures: one less, unless the fraction is 0."""
        if not fraction:
            return self.descriptors, self.contrast
        between = _unit((1 - fraction) * self.descriptors[:-1] + fraction * self.descriptors[1:])
        return between, (1 - fraction) * self.contrast[:-1] + fraction * self.contrast[1:]

    def widened(self, fraction: float) -> np.ndarray:
        """Descriptors averaged over as much more time as those of `shifted`.

        Between two pictures half a second apart, fraction (1 - fraction) of that, squared, is added to the
        variance of the weights; here by taking in as much of the pictures before and after.
        """
        if not fraction or len(self.descriptors) < 3:
            return self.descriptors
        beside = fraction * (1 - fraction) / 2
        mixed = self.descriptors.copy()
        mixed[1:-1] *= 1 - 2 * beside
        mixed[1:-1] += beside * (self.descriptors[:-2] + self.descriptors[2:])
        return _unit(mixed)


def align(short: Track, long: Track) -> Alignment:
    """Find the shorter clip in the longer one.

    Args:
        short: The clip that may be contained; at most a tenth of it may lie outside.
        long: The other clip.

    Returns:
        The best alignment; of similarity 0 when there is none.
    """
    slack = _slack(len(short.contrast))
    shifts = range(-slack, len(long.contrast) - len(short.contrast) + slack + 1)
    best = Alignment()
    for fraction in _FRACTIONS if len(shifts) else ():
        between, contrast = long.shifted(fraction)
        wide = short.widened(fraction)
        for shift in _promising_shifts(short.descriptors, between, shifts):
            similarity, energy = _correlate(wide, short.contrast, between, contrast, shift, slack)
            if similarity > best.similarity:
                best = Alignment(similarity, energy, shift + fraction, (short.window, long.window))
        if best.similarity < _FAR_OFF:
            break
    return best


def align_closely(short: Track, long: Track) -> Alignment:
    """Find the shorter clip in the longer one, and the parts of their pictures that fit best.

    The windows of the hashes fit a cropped copy only roughly: their edges are moved a little as long as the
    similarity grows.

    Args:
        short: The clip that may be contained.
        long: The other clip.

    Returns:
        The best alignment.
    """
    tracks = [short, long]
    found = align(*tracks)
    for side in (0, 1):
        if not _HOPELESS < found.similarity < _GOOD:
            break
        tracks[side] = tracks[side].with_window(_best_window(tracks, side, found.shift))
        found = max(found, align(*tracks), key=lambda alignment: alignment.similarity)
    return found


def _best_window(tracks: list[Track], side: int, shift: float) -> Box:
    """Move one edge of one clip's window after the other, by smaller and smaller steps."""
    whole = int(np.floor(shift))
    slack = _slack(len(tracks[0].contrast))

    def similarity(window: Box) -> float:
        pair = [track.with_window(window) if number == side else track for number, track in enumerate(tracks)]
        between, contrast = pair[1].shifted(shift - whole)
        wide = pair[0].widened(shift - whole)
        return _correlate(wide, pair[0].contrast, between, contrast, whole, slack)[0]

    window = start = tracks[side].window
    best = similarity(start)
    for step in _STEPS:
        for edge, move in product(range(4), (-step, step)):
            tried = _move_edge(window, edge, move)
            if abs(tried[edge] - start[edge]) > _REACH or best >= _GOOD:
                continue
            if (gained := similarity(tried)) > best + _MIN_GAIN:
                window, best = tried, gained
    return window


def _move_edge(window: Box, edge: int, by: float) -> Box:
    edges = list(window)
    edges[edge] = round(min(max(edges[edge] + by, 0.0), 1.0), 4)
    left, right, top, bottom = edges
    return left, right, top, bottom


def _slack(count: int) -> int:
    """Pictures of the shorter clip that may lie outside the longer one."""
    return 0 if count < _FEW else max(1, int(count * _MAX_OUTSIDE))


def _unit(descriptors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
    return descriptors / np.maximum(lengths, 1e-6)


def _promising_shifts(x: np.ndarray, y: np.ndarray, shifts: range) -> list[int]:
    """Shifts at which the pictures correlate best, and those at which the motion does; none without hope."""
    x = x[:_LEADING]
    moving = x - x.mean(axis=0)
    energy = float((moving * moving).sum())
    found: dict[int, None] = {}
    for part, most in ((moving, energy / 2), (x, float(len(x)))):
        products = part @ y.T
        sums = np.array([products.diagonal(shift).sum() for shift in shifts])
        # What the other clip's motion adds to the denominator is left out, so this is never too small.
        if (sums.max() + _NOISE * len(x)) / (most + _NOISE * len(x)) < _FAR_OFF:
            return []
        best = np.argsort(-sums, kind="stable")[:_MAX_TRIED]
        found.update(dict.fromkeys(shifts[int(i)] for i in best))
    return list(found)


def _correlate(
    x: np.ndarray, x_contrast: np.ndarray, y: np.ndarray, y_contrast: np.ndarray, shift: int, slack: int
) -> tuple[float, float]:
    """Similarity at one shift, 0 when too little of x lies in y, and the energy of the motion."""
    low, high = max(0, -shift), min(len(x), len(y) - shift)
    if high - low < max(1, len(x) - slack):
        return 0.0, 0.0
    x, x_contrast = x[low:high], x_contrast[low:high]
    y, y_contrast = y[low + shift : high + shift], y_contrast[low + shift : high + shift]
    contrast = np.maximum(x_contrast, y_contrast)
    weights = np.where(contrast < FLAT, 0.0, np.minimum(contrast, _FULL_CONTRAST))
    if not weights.sum():
        return 0.0, 0.0
    weights = (weights / weights.sum())[:, None]
    picture = float((weights * x * y).sum())
    x, y = x - (weights * x).sum(axis=0), y - (weights * y).sum(axis=0)
    common = float((weights * x * y).sum())
    energy = float((weights * (x * x + y * y)).sum()) / 2
    motion = (common + _NOISE) / (energy + _NOISE)
    return max(min(picture, motion), 0.0), energy
