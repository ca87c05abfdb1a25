"""Candidate pairs: rows that have near hashes, found without comparing each hash with each.

The hashes are sorted eight times, each time rotated by another eighth. Hashes that differ in few bits agree
in the leading bits of at least one rotation and so lie side by side in it, and each query is compared with a
fixed number of neighbours in every order (sorted permutations: Charikar 2002). So the work grows as n log n
whatever the hashes are: a thousand copies of one clip, or a million nearly empty pictures, fill no bucket
that has to be searched through. In exchange a neighbour can be missed; a clip has many hashes, and one of
them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from tools.scoring.dedup.hashing import (
    FIRST_PART,
    PARTS,
    WITH_BARS,
    Hashes,
    HashSearch,
    count_bits,
    mirror,
)

DEFAULT_VIEWS = (0, 1)
"""Codes of `decode_views` for a pair whose hashes were not compared: as they are, and one mirrored."""

_ROTATIONS = 8
_BITS = 64
_BATCH = 1 << 17  # queries compared at a time: 100 MB
_QUERIES = 1 << 21  # queries searched for at a time: 100 MB
_MAX_DISTANCE = 12  # bits of 64 in which the hashes of a candidate pair may differ
_MAX_PARTNERS = 32  # of one row
_MAX_VIEWS = 6  # of one pair


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
        reach: Neighbours on either side that a query is compared with, in each order.
    """

    def __init__(self, hashes: np.ndarray, reach: int = 6) -> None:
        self._reach = reach
        self._orders = []
        for turn in range(_ROTATIONS):
            rotated = _rotate(hashes, turn * _BITS // _ROTATIONS)
            order = np.argsort(rotated, kind="stable").astype(np.uint32)
            self._orders.append((rotated[order], order))

    def near(self, queries: np.ndarray, max_distance: int) -> Iterator[Hits]:
        """Find hashes near each query.

        Args:
            queries: uint64, shape (m,).
            max_distance: Bits that may differ.

        Yields:
            Hits, in batches; the same pair may come several times.
        """
        if not len(self._orders[0][0]):
            return
        for turn, (ordered, numbers) in enumerate(self._orders):
            rotated = _rotate(queries, turn * _BITS // _ROTATIONS)
            sequence = np.argsort(rotated)  # neighbours among the queries are neighbours in memory
            for start in range(0, len(queries), _BATCH):
                some = sequence[start : start + _BATCH]
                yield self._scan(ordered, numbers, rotated[some], some, max_distance)

    def _scan(
        self,
        ordered: np.ndarray,
        numbers: np.ndarray,
        queries: np.ndarray,
        query_numbers: np.ndarray,
        max_distance: int,
    ) -> Hits:
        places = np.searchsorted(ordered, queries)
        found = []
        for step in range(-self._reach, self._reach):
            at = places + step
            inside = (at >= 0) & (at < len(ordered))
            at = np.where(inside, at, 0)
            distance = count_bits(ordered[at] ^ queries)
            good = np.flatnonzero(inside & (distance <= max_distance))
            found.append(Hits(query_numbers[good], numbers[at[good]].astype(np.int64), distance[good]))
        return Hits(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _rotate(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Hashes rotated to the left."""
    if not bits:
        return hashes
    return (hashes << np.uint64(bits)) | (hashes >> np.uint64(_BITS - bits))


class Candidates(NamedTuple):
    """Pairs of rows that may be duplicates, sorted by `later`. Rows are numbered from the best to the worst.

    Attributes:
        later: The worse row, int64.
        earlier: The better row, int64; smaller.
        views: In which views their hashes are near, see `decode_views`, int64.
    """

    later: np.ndarray
    earlier: np.ndarray
    views: np.ndarray


def find_candidates(searches: Sequence[HashSearch], count: int, *, mirrored: bool = True) -> Candidates:
    """Find pairs of rows with near hashes.

    Args:
        searches: A pair has to be found by one of them.
        count: Number of rows.
        mirrored: Search for the hashes of mirrored pictures as well.

    Returns:
        For each row at most 32 better ones, those with the most near hashes, each in at most 6 views.
    """
    found = []
    for indexed, queries in searches:
        index = HashIndex(indexed.hashes)
        for some, flip in product(queries.batches(_QUERIES), (0, 1) if mirrored else (0,)):
            hashes = mirror(some.hashes) if flip else some.hashes
            for hits in index.near(hashes, _MAX_DISTANCE):
                found.append(_pairs(hits, indexed, some, flip, count))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing, nothing, nothing)
    pair, views, votes = _sum_votes(*map(np.concatenate, zip(*found, strict=True)))
    return _best_partners(pair // count, pair % count, views, votes)


def _pairs(
    hits: Hits, indexed: Hashes, queries: Hashes, flip: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of different rows as one number each, the views that they were found in, and votes."""
    one, other = queries.rows[hits.query], indexed.rows[hits.found]
    differ = np.flatnonzero(one != other)
    one, other = one[differ].astype(np.int64), other[differ].astype(np.int64)
    view, indexed_view = queries.views[hits.query[differ]], indexed.views[hits.found[differ]]
    with_bars = (indexed_view == WITH_BARS) | (indexed_view >= FIRST_PART + len(PARTS))
    # Which of the two was the query makes no difference where both have the same view.
    views = _encode_views(flip, (one > other) & (view != indexed_view), view, with_bars)
    pair = np.maximum(one, other) * count + np.minimum(one, other)
    return _sum_votes(pair, views, (_MAX_DISTANCE + 1 - hits.distance[differ].astype(np.int64)) ** 2)


def _sum_votes(
    pair: np.ndarray, views: np.ndarray, votes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair once in each of its views, with the sum of the votes."""
    if not len(pair):
        return pair, views, votes
    order = np.lexsort((views, pair))
    pair, views, votes = pair[order], views[order], votes[order]
    begins = np.flatnonzero(_changes(pair) | _changes(views))
    return pair[begins], views[begins], np.add.reduceat(votes, begins)


def _best_partners(
    later: np.ndarray, earlier: np.ndarray, views: np.ndarray, votes: np.ndarray
) -> Candidates:
    """The partners of each row that have most votes, and of each the views that have."""
    order = np.lexsort((views, -votes, earlier, later))
    later, earlier, views, votes = later[order], earlier[order], views[order], votes[order]
    begins = _changes(later) | _changes(earlier)
    most = votes[begins][np.cumsum(begins) - 1]
    order = np.lexsort((-votes, earlier, -most, later))
    order = order[(_place_in_run(begins) < _MAX_VIEWS)[order]]
    later, earlier, views = later[order], earlier[order], views[order]
    rows = _changes(later)
    partner = np.cumsum(rows | _changes(earlier))
    few = partner - np.maximum.accumulate(np.where(rows, partner, 0)) < _MAX_PARTNERS
    return Candidates(later[few], earlier[few], views[few])


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _place_in_run(begins: np.ndarray) -> np.ndarray:
    """Place of each entry in its run, from 0."""
    places = np.arange(len(begins))
    return places - np.maximum.accumulate(np.where(begins, places, 0))


def _encode_views(mirrored: int, by_later: np.ndarray, view: np.ndarray, with_bars: np.ndarray) -> np.ndarray:
    """The views of a pair as one number, see `decode_views`."""
    return (view.astype(np.int64) << 3) | (with_bars.astype(np.int64) << 2) | (by_later << 1) | mirrored


def decode_views(code: int) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """Views of the later and of the earlier row of a pair: number of the view, and whether it is mirrored.

    Bit 0 of the code: the query was mirrored; bit 1: the later row was the query; bit 2: the hash in the
    index was of a picture with its bars; from bit 3 on: number of the query's view. Hashes in the index are
    of whole pictures, or of the same part as the query's.
    """
    mirrored, by_later, with_bars, view = code & 1, code >> 1 & 1, code >> 2 & 1, code >> 3
    query = (view, bool(mirrored))
    number = WITH_BARS if with_bars else 0
    if view >= FIRST_PART:
        number = FIRST_PART + (view - FIRST_PART) % len(PARTS) + with_bars * len(PARTS)
    indexed = (number, False)
    return (query, indexed) if by_later else (indexed, query)
