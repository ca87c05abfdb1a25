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
    pictures: np.ndarray,
    lengths: Sequence[int],
    *,
    uneven: float,
    parts: Sequence[float] = (0.5, 0.25, 0.75),
) -> list[tuple[int, int]]:
    """Find frames between which all others are mixtures of the two.

    Args:
        pictures: Numbers, shape (n, pixels).
        lengths: Distances from the first to the last frame of a mixture that are looked for.
        uneven: How far the share of the second picture may be from steady growth.
        parts: Places between the first and the last frame, 0 to 1, that are looked at, in this order: the
            middle tells a cut from a mixture at once.

    Returns:
        Numbers of the first and the last frames: the two are unlike, and those at `parts` between them are
        mixtures of the two, as they must be there.
    """
    found: list[tuple[int, int]] = []
    for start in range(0, len(pictures), _BLOCK):
        block = np.asarray(pictures[start : start + _BLOCK + max(lengths, default=0)], np.float32)
        moments = block.mean(axis=1), np.einsum("ij,ij->i", block, block) / block.shape[1]
        for length in lengths:
            stop = min(_BLOCK, len(block) - length)
            if stop > 0:
                firsts = _unlike(block, length, moments, stop)
                firsts = _mixtures(block, firsts, length, uneven, parts)
                found += [(start + first, start + first + length) for first in firsts]
    return found


def _unlike(block: np.ndarray, length: int, moments: tuple[np.ndarray, np.ndarray], stop: int) -> np.ndarray:
    """First frames, before `stop`, that may be unlike those `length` later; cheap, and misses none.

    The limits are a little wider than the true ones, by what sums of squares in float32 are off.
    """
    mean, square = moments
    one, other = slice(0, stop), slice(length, length + stop)
    product = np.einsum("ij,ij->i", block[one], block[other]) / block.shape[1]
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    alike = product - mean[one] * mean[other] > (_UNLIKE + 0.01) * deviation[one] * deviation[other] + 1
    near = square[one] + square[other] - 2 * product < 0.99 * _DIFFERENT**2
    return np.flatnonzero(~alike & ~near)


def _mixtures(
    block: np.ndarray, firsts: np.ndarray, length: int, uneven: float, parts: Sequence[float]
) -> list[int]:
    first, second = block[firsts], block[firsts + length]
    difference = second - first
    energy = (difference**2).sum(axis=1)
    candidates = np.flatnonzero(energy >= _DIFFERENT**2 * block.shape[1])
    for part in parts:
        offset = round(part * length)
        share, residue = decompose(
            block[firsts[candidates] + offset], first[candidates], difference[candidates], energy[candidates]
        )
        fits = (residue < RESIDUE) & (np.abs(share - offset / length) < uneven)
        candidates = candidates[fits]
    unlike = correlation(centred(first[candidates]), centred(second[candidates])) < _UNLIKE
    return firsts[candidates[unlike]].tolist()


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
