"""Pictures that are mixtures of two others: what dissolves and fades are made of.

A dissolve shows ``(1 - s) A + s B``, and s grows steadily from 0 to 1; a fade to black is one with a black B.
So of two frames around it, each frame between is found again as such a sum, with the s that its place
demands, and next to nothing is left over. A camera or a thing that moves leaves much: a picture on the way is
no sum of the first and the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_DIFFERENT = 12.0  # root mean square, in luma, by which two shots differ
_UNLIKE = 0.6  # correlation above which two pictures are of the same shot
RESIDUE = 0.35
"""What may be left over of a mixture, by the difference of the two pictures."""
_BLOCK = 1024  # frames worked on at a time


def find_mixtures(
    pictures: np.ndarray, length: int, *, uneven: float, parts: Sequence[float] = (0.25, 0.5, 0.75)
) -> list[int]:
    """Frames from which a mixture of a given length goes out.

    Args:
        pictures: Numbers, shape (n, pixels).
        length: From the first to the last frame of the mixture.
        uneven: How far the share of the second picture may be from steady growth.
        parts: Places between the first and the last frame, 0 to 1, that are looked at.

    Returns:
        Numbers of the first frames, ascending: this frame and that `length` later are unlike, and those at
        `parts` between them are mixtures of the two, as they must be there.
    """
    found: list[int] = []
    for block in range(0, len(pictures) - length, _BLOCK):
        part = np.asarray(pictures[block : block + _BLOCK + length], np.float32)
        found += [block + number for number in _mixtures(part, length, uneven, parts)]
    return found


def _mixtures(pictures: np.ndarray, length: int, uneven: float, parts: Sequence[float]) -> list[int]:
    first, second = pictures[:-length], pictures[length:]
    difference = second - first
    energy = (difference**2).sum(axis=1)
    found = energy >= _DIFFERENT**2 * pictures.shape[1]
    found &= correlation(centred(first), centred(second)) < _UNLIKE
    candidates = np.flatnonzero(found)
    for part in parts:
        offset = round(part * length)
        share, residue = decompose(
            pictures[candidates + offset], first[candidates], difference[candidates], energy[candidates]
        )
        fits = (residue < RESIDUE) & (np.abs(share - offset / length) < uneven)
        candidates = candidates[fits]
    return candidates.tolist()


def decompose(
    middle: np.ndarray, first: np.ndarray, difference: np.ndarray, energy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares share of the second picture in ones between two, and what is left over.

    Args:
        middle: Shape (..., pixels): the pictures in question.
        first: The first picture.
        difference: The second picture less the first.
        energy: Sum of the squares of `difference`.

    Returns:
        The shares, and the root of the squares left over by that of `energy`.
    """
    beyond = middle - first
    share = (beyond * difference).sum(axis=-1) / energy
    rest = beyond - share[:, None] * difference
    return share, np.sqrt((rest**2).sum(axis=-1) / energy)


def centred(pictures: np.ndarray) -> np.ndarray:
    """Pictures less their mean; shape (n, pixels)."""
    return pictures - pictures.mean(axis=1, keepdims=True)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of centred pictures, shape (n, pixels); 0 where one of them is plain."""
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(length, 1e-6)
