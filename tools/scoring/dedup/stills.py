"""What is kept of pictures that stand still: snapshots in which a word can be told from another.

The pictures of a fingerprint are too small for that, and averages over time; of what moves that is enough,
since nothing else moves in the same way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from tools.media.requests import Snapshots

SNAPSHOTS = Snapshots((320, 180), 0.5)
"""What a fingerprint wants of a video."""
LEVEL = 4
"""Grey levels that are told apart: pictures are kept in steps of so many."""
CELL = 5
"""Side of a cell in pixels: what changes is looked for in cells."""

_CHANGE = 4.0  # grey levels by which a cell changes that does not stand still
_MOST_CHANGE = 0.007  # of the area; a picture in which more changes moves
_MOST_CHANGE_DRAWN = 0.08  # the same of pictures that are drawn: slides, titles, screens
_DRAWN = 0.85  # of the area is even in pictures that are drawn
_EVEN = 2  # grey levels between neighbours
_MOST = 48  # stills of a video


class Still(NamedTuple):
    """A picture that stands still.

    Attributes:
        start: Seconds from the start of the video to the snapshot.
        end: Seconds to the last snapshot that shows the same.
        picture: uint8, shape (180, 320): 1 + grey level / `LEVEL`; 0 where something moves.
    """

    start: float
    end: float
    picture: np.ndarray


def find_stills(snapshots: np.ndarray, times: np.ndarray) -> list[Still]:
    """Find pictures that stand still.

    Args:
        snapshots: uint8, shape (n, 180, 320); a single one is an image.
        times: float64, shape (n,): their times in seconds, ascending.

    Returns:
        The stills; of many those that stand longest, in the order of their times.
    """
    changes = [_changed(one, other) for one, other in pairwise(snapshots)]
    quiet = [c.mean() <= _limit(picture) for c, picture in zip(changes, snapshots[1:], strict=True)]
    found: list[Still] = []
    shown = -1  # number of the snapshot that is the last still
    for number, (snapshot, time) in enumerate(zip(snapshots, times, strict=True)):
        beside = [changes[step] for step in (number - 1, number) if 0 <= step < len(quiet) and quiet[step]]
        if not beside and quiet:
            continue
        if found and quiet[number - 1] and not _changed(snapshots[shown], snapshot).any():
            if found[-1].end == found[-1].start:  # what changed before it stands now
                found[-1] = found[-1]._replace(picture=_coded(snapshot))
            found[-1] = found[-1]._replace(end=float(time))
            continue
        picture = _coded(snapshot)
        if beside:
            picture[_moving(beside)] = 0
        found.append(Still(float(time), float(time), picture))
        shown = number
    longest = sorted(found, key=lambda still: still.start - still.end)[:_MOST]
    return sorted(longest)


def _coded(snapshot: np.ndarray) -> np.ndarray:
    return 1 + snapshot // LEVEL


def _changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which cells differ: bool, (36, 64)."""
    difference = one.astype(np.float32) - other
    tall, wide = difference.shape
    cells = difference.reshape(tall // CELL, CELL, wide // CELL, CELL).mean(axis=(1, 3))
    return np.abs(cells) > _CHANGE


def _moving(changes: list[np.ndarray]) -> np.ndarray:
    """Pixels of cells that change, and of those beside them: bool, (180, 320)."""
    around = cv2.dilate(np.any(changes, axis=0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.kron(around, np.ones((CELL, CELL), np.uint8)).astype(bool)


def _limit(picture: np.ndarray) -> float:
    """Part of the area that may change in a picture that stands still."""
    whole = picture.astype(np.int16)
    across, down = np.abs(np.diff(whole, axis=1))[:-1], np.abs(np.diff(whole, axis=0))[:, :-1]
    even = np.mean((across <= _EVEN) & (down <= _EVEN))
    return _MOST_CHANGE_DRAWN if even >= _DRAWN else _MOST_CHANGE
