"""Near neighbours among many 64-bit hashes, without comparing each with each.

The hashes are sorted eight times, each time rotated by another eighth. Hashes that differ in few bits agree
in the leading bits of at least one rotation and so lie side by side in it, and each query looks at a fixed
number of neighbours in every order (sorted permutations: Charikar 2002). So the work grows as n log n
whatever the hashes are: a thousand copies of one clip, or a million pictures of nearly nothing, fill no
bucket that has to be searched through. In exchange a neighbour can be missed; a clip has many hashes, and one
of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_ROTATIONS = 8
_BITS = 64
_QUERIES = 1 << 17  # at a time: what is compared then fits into 100 MB


class Hits(NamedTuple):
    """Pairs of near hashes.

    Attributes:
        query: Number of the query, int64.
        found: Number of the hash in the index, int64.
        distance: Bits that differ, uint8.
    """

    query: np.ndarray
    found: np.ndarray
    distance: np.ndarray


class HashIndex:
    """An index of hashes.

    Args:
        hashes: uint64, shape (n,). Of equal ones the earlier are found first.
        reach: Neighbours that are looked at on either side, in each order.
    """

    def __init__(self, hashes: np.ndarray, reach: int = 6) -> None:
        self._reach = reach
        self._orders = []
        for turn in range(_ROTATIONS):
            rotated = rotate(hashes, turn * _BITS // _ROTATIONS)
            order = np.argsort(rotated, kind="stable").astype(np.uint32)
            self._orders.append((rotated[order], order))

    def near(self, queries: np.ndarray, most: int) -> Iterator[Hits]:
        """Hashes near each query.

        Args:
            queries: uint64, shape (m,).
            most: Bits that may differ.

        Yields:
            Hits, in pieces; the same pair may come several times.
        """
        if not len(self._orders[0][0]):
            return
        for turn, (ordered, numbers) in enumerate(self._orders):
            rotated = rotate(queries, turn * _BITS // _ROTATIONS)
            sequence = np.argsort(rotated)  # neighbours in the query are neighbours in memory
            for start in range(0, len(queries), _QUERIES):
                some = sequence[start : start + _QUERIES]
                yield self._scan(ordered, numbers, rotated[some], some, most)

    def _scan(
        self, ordered: np.ndarray, numbers: np.ndarray, queries: np.ndarray, names: np.ndarray, most: int
    ) -> Hits:
        places = np.searchsorted(ordered, queries)
        found = []
        for step in range(-self._reach, self._reach):
            at = places + step
            inside = (at >= 0) & (at < len(ordered))
            at = np.where(inside, at, 0)
            distance = count_bits(ordered[at] ^ queries)
            good = np.flatnonzero(inside & (distance <= most))
            found.append(Hits(names[good], numbers[at[good]].astype(np.int64), distance[good]))
        return Hits(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def rotate(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Hashes rotated to the left."""
    if not bits:
        return hashes
    return (hashes << np.uint64(bits)) | (hashes >> np.uint64(_BITS - bits))


def count_bits(values: np.ndarray) -> np.ndarray:
    """How many bits of each uint64 are set: uint8."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(values)
    return _count_bits_by_halves(values)


def _count_bits_by_halves(values: np.ndarray) -> np.ndarray:
    """The same by adding bits in pairs, fours and eights (Warren, "Hacker's Delight", 5-1)."""
    pairs, fours, eights = (
        np.uint64(m) for m in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    )
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & eights
    with np.errstate(over="ignore"):
        return ((values * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)
