"""Find pictures that are mixtures of two others, as in dissolves and fades.

A dissolve shows ``(1 - s) A + s B``, where s grows steadily from 0 to 1; a fade to black is one with a black
B. So each frame between the two is such a sum, with the s that its position implies, and almost no residue.
When the camera or an object moves, the residue is large: the pictures between are not sums of the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_DIFFERENT = 12.0  # root mean square, in luma, by which two shots differ
_UNLIKE = 0.6  # correlation above which two pictures are of the same shot
RESIDUE = 0.35
"""Largest residue of a mixture, relative to the difference of the two pictures."""
_BLOCK = 128  # frames worked on at a time
_SLACK = (
    0.03  # of shares and squared residues that products of float32 numbers give, more than they are off by
)


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
        lengths: Numbers of frames from the first to the last frame of a mixture.
        uneven: Largest deviation of the share of the second picture from linear growth.
        parts: Positions between the first and the last frame, 0 to 1, that are tested, in this order: the
            middle rules out most cuts at once.

    Returns:
        Numbers of the first and the last frames, the shortest first: the two differ, and those at `parts`
        between them are mixtures of the two with the expected shares.
    """
    found: list[tuple[int, int]] = []
    for start in range(0, len(pictures), _BLOCK):
        block = np.asarray(pictures[start : start + _BLOCK + max(lengths, default=0)], np.float32)
        products, means = block @ block.T, block.mean(axis=1)
        for length in lengths:
            stop = min(_BLOCK, len(block) - length)
            if stop > 0:
                firsts = _unlike(products, means, block.shape[1], length, stop)
                firsts = _with_middle(products, firsts, length, uneven, parts[0])
                firsts = _mixtures(block, firsts, length, uneven, parts)
                found += [(start + first, start + first + length) for first in firsts]
    return sorted(found, key=lambda ends: (ends[1] - ends[0], ends[0]))


def _unlike(products: np.ndarray, means: np.ndarray, pixels: int, length: int, stop: int) -> np.ndarray:
    """First frames, before `stop`, that may differ from those `length` later; fast, without false negatives.

    The limits are slightly wider than the exact ones, because of rounding of sums in float32.

    Args:
        products: Inner product of each frame and each other.
        means: Mean of each frame.
        pixels: Numbers in a frame.
        length: Frames from the first to the last.
        stop: How many frames may be the first.
    """
    one, other = slice(0, stop), slice(length, length + stop)
    square = np.diagonal(products) / pixels
    product = np.diagonal(products, length)[:stop] / pixels
    deviation = np.sqrt(np.maximum(square - means**2, 0))
    alike = product - means[one] * means[other] > (_UNLIKE + 0.01) * deviation[one] * deviation[other] + 1
    near = square[one] + square[other] - 2 * product < 0.99 * _DIFFERENT**2
    return np.flatnonzero(~alike & ~near)


def _with_middle(
    products: np.ndarray, firsts: np.ndarray, length: int, uneven: float, part: float
) -> np.ndarray:
    """First frames for which the frame at `part` may be a mixture; as `_unlike`."""
    lasts, middles = firsts + length, firsts + round(part * length)
    first, last, middle = (products[i, i] for i in (firsts, lasts, middles))
    across = products[firsts, lasts]
    energy = np.maximum(first + last - 2 * across, 1)
    to_last = products[middles, lasts] - products[middles, firsts] - across + first  # (m - a) (b - a)
    share = to_last / energy
    rest = (middle + first - 2 * products[middles, firsts]) / energy - share**2
    even = np.abs(share - round(part * length) / length) < uneven + _SLACK
    return firsts[even & (rest < RESIDUE**2 + _SLACK)]


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
    """Least-squares share of the second picture in pictures between two, and the residue.

    Args:
        middle: Shape (..., pixels): the pictures between.
        first: The first picture.
        difference: The second picture less the first.
        energy: Sum of the squares of `difference`.

    Returns:
        The shares, and the norm of the residue relative to that of `difference`.
    """
    beyond = middle - first
    share = (beyond * difference).sum(axis=-1) / energy
    rest = beyond - share[:, None] * difference
    return share, np.sqrt((rest**2).sum(axis=-1) / energy)


def centred(pictures: np.ndarray) -> np.ndarray:
    """Pictures less their mean; shape (n, pixels)."""
    return pictures - pictures.mean(axis=1, keepdims=True)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of centred pictures, shape (n, pixels); 0 if one of them is uniform."""
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(length, 1e-6)
