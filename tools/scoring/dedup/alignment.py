"""How alike two fingerprints are: where one lies in the other in time and in the picture, and how well.

Two things have to agree. `picture`: the mean correlation of the pictures' descriptors. `motion`: the
correlation of what changes, the descriptors without their mean over time. Two clips of one fixed camera have
nearly the same pictures but other motion, and are no copies of each other. The similarity is the smaller of
the two. Of a slide that stands still there is no motion to compare: see `tools.scoring.dedup.difference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from tools.scoring.dedup.descriptor import describe
from tools.scoring.dedup.fingerprint import WHOLE, Box, Fingerprint

FLAT = 1.0
"""Contrast, in grey levels, below which there is nothing to see: black, white, the end of a fade."""

_CLEAR = 8.0  # contrast from which on a picture counts in full
_MISSING = 0.1  # part of the shorter clip that may lie outside the longer one
_PARTS = (0.0, 0.25, 0.5, 0.75)  # parts of half a second that two clips are shifted by
_TRIED = 4  # shifts that are looked at closely
_NOISE = 0.003  # energy of motion, as a part of the picture's, that codecs make out of nothing
_LEADING = 512  # pictures of the shorter clip that shifts are found by: more than four minutes
_HOPELESS = 0.4  # a similarity that no other window mends
_NOT_EVEN_NEAR = 0.35  # one that no shift by a part of a picture mends
_GOOD = 0.97  # one that needs no mending
_FEW = 4  # a clip of fewer pictures must lie in the other as a whole
_GAIN = 1e-4  # of similarity that makes it worth to move a side
_STEPS = (0.03, 0.015, 0.015, 0.0075)  # by which the edges of a window are moved in search of a better one
_REACH = 0.06  # how far in all; the windows that are looked for lie 0.05 apart


@dataclass(frozen=True)
class Alignment:
    """Where a clip was found in another.

    Attributes:
        similarity: The smaller of `picture` and `motion`, 0 to 1.
        picture: Mean correlation of the pictures.
        motion: Correlation of what changes in them; 1 where nothing does.
        moving: Energy of what changes, as a part of the pictures'.
        shift: Half seconds from the start of the longer clip to that of the shorter one.
        windows: Parts of their pictures that fit best: of the shorter clip, and of the longer one.
    """

    similarity: float
    picture: float
    motion: float
    moving: float = 0.0
    shift: float = 0.0
    windows: tuple[Box, Box] = (WHOLE, WHOLE)


NOWHERE = Alignment(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class View:
    """How a fingerprint is looked at.

    Attributes:
        window: Part of its pictures.
        mirrored: Turned round.
        partial: The rest of the pictures may show something else.
    """

    window: Box = WHOLE
    mirrored: bool = False
    partial: bool = False


class Track:
    """A fingerprint, as it is looked at, ready to be compared.

    Args:
        fingerprint: The fingerprint.
        view: How.

    Attributes:
        fingerprint: The fingerprint.
        mirrored: Whether its pictures are turned round.
        partial: Whether the rest of them may show something else.
        window: The part of the pictures that is looked at.
        descriptors: float32, shape (n, D), of length 1; 0 where there is nothing to see.
        contrast: float32, shape (n,), see `Fingerprint`.
    """

    def __init__(self, fingerprint: Fingerprint, view: View) -> None:
        self.fingerprint, self.mirrored = fingerprint, view.mirrored
        self.window = view.window
        self.partial = view.partial
        self.contrast = fingerprint.contrast_within(view.window) if view.partial else fingerprint.contrast
        found = describe(fingerprint.pictures, view.window, mirrored=view.mirrored)
        self.descriptors = _unit(found) * (self.contrast >= FLAT)[:, None]

    def moved(self, window: Box) -> Track:
        """The same with another part of the pictures."""
        return Track(self.fingerprint, View(window, self.mirrored, self.partial))

    def shifted(self, part: float) -> tuple[np.ndarray, np.ndarray]:
        """Descriptors and contrast between the pictures: one less, unless the part is 0."""
        if not part:
            return self.descriptors, self.contrast
        between = _unit((1 - part) * self.descriptors[:-1] + part * self.descriptors[1:])
        return between, (1 - part) * self.contrast[:-1] + part * self.contrast[1:]

    def widened(self, part: float) -> np.ndarray:
        """Descriptors that are averaged over as much more time as those of `shifted`.

        Between two pictures half a second apart, part (1 - part) of that, squared, is added to the variance
        of the weights; here by taking in as much of the pictures before and after.
        """
        if not part or len(self.descriptors) < 3:
            return self.descriptors
        beside = part * (1 - part) / 2
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
    best = NOWHERE
    for part in _PARTS if len(shifts) else ():
        between, clear = long.shifted(part)
        wide = short.widened(part)
        for shift in _promising(short.descriptors, between, shifts):
            found = _compare(wide, short.contrast, between, clear, shift, slack)
            if found and min(found[:2]) > best.similarity:
                best = Alignment(min(found[:2]), *found, shift + part, (short.window, long.window))
        if best.similarity < _NOT_EVEN_NEAR:
            break
    return best


def align_closely(short: Track, long: Track) -> Alignment:
    """Find the shorter clip in the longer one, and the parts of their pictures that fit best.

    A part of one picture that is to be that of the other hardly is so from the start: its edges are moved a
    little as long as the similarity grows.

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
        tracks[side] = tracks[side].moved(_best_window(tracks, side, found.shift))
        found = max(found, align(*tracks), key=lambda alignment: alignment.similarity)
    return found


def _best_window(tracks: list[Track], side: int, shift: float) -> Box:
    """Move one edge of one clip's window after the other, by smaller and smaller steps."""
    whole = int(np.floor(shift))
    slack = _slack(len(tracks[0].contrast))

    def similarity(window: Box) -> float:
        pair = [track.moved(window) if number == side else track for number, track in enumerate(tracks)]
        between, clear = pair[1].shifted(shift - whole)
        wide = pair[0].widened(shift - whole)
        found = _compare(wide, pair[0].contrast, between, clear, whole, slack)
        return min(found[:2]) if found else 0.0

    window = begin = tracks[side].window
    best = similarity(begin)
    for step in _STEPS:
        for edge, move in product(range(4), (-step, step)):
            tried = _moved(window, edge, move)
            if abs(tried[edge] - begin[edge]) > _REACH or best >= _GOOD:
                continue
            if (gained := similarity(tried)) > best + _GAIN:
                window, best = tried, gained
    return window


def _moved(window: Box, edge: int, by: float) -> Box:
    edges = list(window)
    edges[edge] = round(min(max(edges[edge] + by, 0.0), 1.0), 4)
    return tuple(edges)


def _slack(count: int) -> int:
    """Pictures of the shorter clip that may lie outside the longer one."""
    return 0 if count < _FEW else max(1, int(count * _MISSING))


def _unit(descriptors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
    return descriptors / np.maximum(lengths, 1e-6)


def _promising(x: np.ndarray, y: np.ndarray, shifts: range) -> list[int]:
    """Shifts at which the pictures agree best, and those at which the motion does; none without hope."""
    x = x[:_LEADING]
    moving = x - x.mean(axis=0)
    energy = float((moving * moving).sum())
    found: dict[int, None] = {}
    for part, most in ((moving, energy / 2), (x, float(len(x)))):
        products = part @ y.T
        sums = np.array([products.diagonal(shift).sum() for shift in shifts])
        # What the other clip's motion adds to the denominator is left out, so this is never too small.
        if (sums.max() + _NOISE * len(x)) / (most + _NOISE * len(x)) < _NOT_EVEN_NEAR:
            return []
        best = np.argsort(-sums, kind="stable")[:_TRIED]
        found.update(dict.fromkeys(shifts[int(i)] for i in best))
    return list(found)


def _compare(
    x: np.ndarray, x_contrast: np.ndarray, y: np.ndarray, y_contrast: np.ndarray, shift: int, slack: int
) -> tuple[float, float, float] | None:
    """Agreement of pictures and of motion, 0 to 1, at one shift, and the energy of the motion.

    None when too little of x lies in y.
    """
    low, high = max(0, -shift), min(len(x), len(y) - shift)
    if high - low < max(1, len(x) - slack):
        return None
    x, x_contrast = x[low:high], x_contrast[low:high]
    y, y_contrast = y[low + shift : high + shift], y_contrast[low + shift : high + shift]
    weights = np.minimum(np.maximum(x_contrast, y_contrast), _CLEAR)
    weights = np.where(np.maximum(x_contrast, y_contrast) < FLAT, 0.0, weights)
    if not weights.sum():
        return None
    weights = (weights / weights.sum())[:, None]
    picture = float((weights * x * y).sum())
    x, y = x - (weights * x).sum(axis=0), y - (weights * y).sum(axis=0)
    common = float((weights * x * y).sum())
    energy = float((weights * (x * x + y * y)).sum()) / 2
    motion = (common + _NOISE) / (energy + _NOISE)
    return max(picture, 0.0), max(motion, 0.0), energy
