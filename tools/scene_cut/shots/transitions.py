"""Gradual transitions: which frames are mixtures of two shots, or of a shot and a plain colour."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from tools.media.reading.mixtures import find_mixtures

SIZE = (48, 27)
"""Width and height of the pictures that are searched for transitions, that of TransNetV2's input."""

_LENGTHS = (6, 9, 12, 17, 24, 34, 48, 68)  # frames; each finds transitions of about 5/6 to 7/6 of it
_PARTS = tuple(eighth / 8 for eighth in (4, 2, 6, 1, 3, 5, 7))  # positions in a transition that are examined
_UNEVEN = 0.15  # how far the share of the second shot may be from steady growth
_SHARED = 0.25  # part of a transition that may be another one's too, as the black between two fades may
_SHORTEST = 3  # frames from the last of one shot to the first of the next
_MARGIN = 0.06  # of a steady transition, on either side: what the fit is off by
_PLAIN = 3.0  # contrast, in luma, of a picture that shows nothing


def grey(picture: np.ndarray) -> np.ndarray:
    """A picture as `find_transitions` takes it.

    Args:
        picture: uint8, shape (height, width, 3). RGB, or BGR: a mixture is one with any weights of the three.

    Returns:
        uint8, shape (27, 48).
    """
    import cv2

    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    if width > 4 * SIZE[0]:  # halved first: the mean over areas is slow
        luma = cv2.resize(luma, (width // 2, max(1, height // 2)), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(luma, SIZE, interpolation=cv2.INTER_AREA)


def find_transitions(pictures: np.ndarray) -> list[range]:
    """Find dissolves and fades by the mixture test.

    Two frames 6 to 68 apart that are unlike, with seven between them that are mixtures of the two in steadily
    growing shares (see `mixtures`), indicate a transition. Where it begins and ends is the ramp
    that fits the shares of the frames around best. Plain frames beside it, the black between a fade-out and
    the fade-in that follows, belong to it.

    Args:
        pictures: uint8, shape (n, 27, 48), grey, of consecutive frames.

    Returns:
        Numbers of the frames of each transition, ascending; one apart from the next.
    """
    flat = pictures.reshape(len(pictures), -1)
    return _merge(_with_plain_frames(flat, _fit_ramp(flat, first, last)) for first, last in _separate(flat))


def _merge(gaps: Iterable[range]) -> list[range]:
    """Ranges in order, those that overlap or touch as one."""
    merged: list[range] = []
    for gap in sorted(gaps, key=lambda gap: (gap.start, gap.stop)):
        if merged and gap.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, max(merged[-1].stop, gap.stop))
        else:
            merged.append(gap)
    return merged


def _separate(flat: np.ndarray) -> list[tuple[int, int]]:
    """First and last frame of each; of several mixtures in one transition, those that are most unlike."""
    found = find_mixtures(flat, _LENGTHS, uneven=_UNEVEN, parts=_PARTS)
    found.sort(key=lambda ends: -_distance(flat[ends[0]], flat[ends[1]]))
    chosen: list[tuple[int, int]] = []
    for first, last in found:
        if all(min(last, b) - max(first, a) < _SHARED * min(last - first, b - a) for a, b in chosen):
            chosen.append((first, last))
    return chosen


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.square(a.astype(np.float32) - b).sum())


def _fit_ramp(flat: np.ndarray, first: int, last: int) -> range:
    """The frames in which the shares grow from 0 to 1, by least squares: steadily, or as half a cosine."""
    reach = (last - first) // 3
    lowest, highest = max(0, first - reach - _SHORTEST), min(len(flat) - 1, last + reach + _SHORTEST)
    difference = flat[last].astype(np.float32) - flat[first]
    around = flat[lowest : highest + 1].astype(np.float32) - flat[first]
    share = around @ difference / (difference @ difference)
    frames = np.arange(lowest, highest + 1)
    starts = range(max(lowest, first - reach), first + reach + 1)
    ends = range(last - reach, min(highest, last + reach) + 1)
    best, fitted = np.inf, range(first + 1, last)
    for start, end in itertools.product(starts, ends):  # the last frame of a shot, the first of the other
        if end - start < _SHORTEST:
            continue
        near = slice(max(0, start - _SHORTEST - lowest), end + _SHORTEST + 1 - lowest)
        steady = np.minimum(np.maximum((frames[near] - start) / (end - start), 0), 1)
        # A steady ramp that fits well may still be a frame or two short of where the mixing begins; half a
        # cosine starts so gently that it is not.
        for curve, margin in ((steady, _MARGIN), (0.5 - 0.5 * np.cos(np.pi * steady), 0)):
            off = share[near] - curve
            error = off @ off / len(off)
            if error < best:
                wider = round(margin * (end - start))
                best = error
                fitted = range(max(0, start + 1 - wider), min(len(flat), end + wider))
    return fitted


def _with_plain_frames(flat: np.ndarray, gap: range) -> range:
    """A fade and the plain frames at its end; where both ends are plain, that is all that is to be seen."""
    start, stop = gap.start, gap.stop
    from_plain, to_plain = _is_plain(flat, start - 1), _is_plain(flat, stop)
    if from_plain and to_plain:
        return gap
    while _is_plain(flat, start - 1):
        start -= 1
    while _is_plain(flat, stop):
        stop += 1
    return range(start, stop)


def _is_plain(flat: np.ndarray, frame: int) -> bool:
    return 0 <= frame < len(flat) and flat[frame].std() < _PLAIN
