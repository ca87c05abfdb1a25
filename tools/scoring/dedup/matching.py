"""Which rows are copies of which: candidates by their hashes, then each checked against what is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, product
from typing import NamedTuple

import numpy as np

from tools.scoring.dedup.alignment import Track, align_closely
from tools.scoring.dedup.difference import alike_in_detail, stand_still
from tools.scoring.dedup.fingerprint import Fingerprint
from tools.scoring.dedup.hashing import FIRST_PART, PARTS, WITH_BARS, Hashes, hash_all, mirrored, view_of
from tools.scoring.dedup.index import HashIndex, Hits

_DISTANCE = 12  # bits of 64 in which a copy's hash may differ, for the pair to be looked at
_ASKED = 1 << 21  # hashes that are looked for at a time: 100 MB
_LISTED = 32  # rows that one row may be a copy of, at most ...
_PARTNERS = 8  # ... and those that it is compared with; many may be copies of one
_SURE = 0.97  # a similarity that ends the search for a better partner
_WAYS = 6  # ways of looking at a pair that are tried
_MOVING = 0.01  # energy of motion that proves a copy whose pictures differ in a part
_REMEMBERED = 1 << 29  # bytes of fingerprints that are kept unpacked
_TRACKS = 1024  # of them ready to be compared


class Match(NamedTuple):
    """A copy.

    Attributes:
        kept: Number of the row that it is a copy of; that row is kept itself.
        similarity: 0 to 1.
    """

    kept: int
    similarity: float


class Candidates(NamedTuple):
    """Pairs of rows that may be copies, sorted by `later`.

    Attributes:
        later: The row that would go, int64.
        earlier: The row that would stay, int64; smaller.
        way: How the two were looked at; see `_ways`.
    """

    later: np.ndarray
    earlier: np.ndarray
    way: np.ndarray


Similarity = Callable[[int, int, list[int]], float]
"""How much of a copy the first row is of the second, 0 to 1, looked at in the ways that are given."""


def find_copies(
    fingerprint: Callable[[int], Fingerprint | None], count: int, threshold: float
) -> dict[int, Match]:
    """Find the copies among fingerprints.

    Args:
        fingerprint: Gives the fingerprint of a row, or None for a row that has none. Rows are numbered from
            the best to the worst: of two copies, the one with the smaller number is kept.
        count: Rows.
        threshold: Similarity from which on a row is a copy.

    Returns:
        The rows that are copies of rows that are kept. A row is compared with that very row, so a chain of
        clips, each somewhat like the one before, does not fall to its first.
    """
    remembered = _Memory(fingerprint)

    @lru_cache(_TRACKS)
    def track(row: int, view: int, mirrored: bool) -> Track:
        return Track(remembered(row), view_of(remembered(row).about, view, mirrored=mirrored))

    found: dict[int, Match] = {}
    files: dict[bytes, int] = {}

    def read() -> Iterator[Fingerprint | None]:
        for row in range(count):
            known = fingerprint(row)
            if known is not None and known.digest:  # nothing to see: only equal files are copies
                if known.digest in files:
                    found[row] = Match(files[known.digest], 1.0)
                files.setdefault(known.digest, row)
            yield known

    searches = hash_all(read())

    def similarity(later: int, earlier: int, ways: list[int]) -> float:
        if remembered(later).about.video != remembered(earlier).about.video:
            return 0.0
        best = 0.0
        different: set[bool] = set()
        for way in ways or _BLIND:
            one, other = _views(way)
            turned = one[1] != other[1]
            if turned in different:
                continue
            short, long = track(later, *one), track(earlier, *other)
            found = align_closely(short, long)
            alike = found.similarity
            if short.partial and found.moving < _MOVING and not stand_still(short, long, found):
                continue
            if alike >= threshold:
                alike = min(alike, alike_in_detail(short, long, found))
                if alike < threshold:
                    different.add(turned)
            best = max(best, alike)
            if best >= _SURE:
                break
        return best

    return found | choose(candidates(searches, count), similarity, threshold)


class _Memory:
    """The fingerprints that were used last, as many as fit.

    Args:
        fingerprint: Gives the fingerprint of a row.
    """

    def __init__(self, fingerprint: Callable[[int], Fingerprint | None]) -> None:
        self._fingerprint = fingerprint
        self._kept: OrderedDict[int, Fingerprint | None] = OrderedDict()
        self._bytes = 0

    def __call__(self, row: int) -> Fingerprint | None:
        if row in self._kept:
            self._kept.move_to_end(row)
            return self._kept[row]
        found = self._fingerprint(row)
        self._kept[row] = found
        self._bytes += found.pictures.nbytes if found else 0
        while self._bytes > _REMEMBERED and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.pictures.nbytes if gone else 0
        return found


def choose(pairs: Candidates, similarity: Similarity, threshold: float) -> dict[int, Match]:
    """Go through the rows from the best to the worst, and keep those that are no copy of one that is kept.

    Args:
        pairs: Which rows are worth comparing. Where a partner is a copy itself, the row that it is a copy of
            is compared instead.
        similarity: Compares two rows.
        threshold: Similarity from which on a row is a copy.

    Returns:
        The copies.
    """
    found: dict[int, Match] = {}
    starts = np.flatnonzero(_changes(pairs.later))
    for start, end in zip(starts, np.append(starts[1:], len(pairs.later)), strict=False):
        later = int(pairs.later[start])
        partners: dict[int, list[int]] = {}
        for earlier, way in zip(pairs.earlier[start:end], pairs.way[start:end], strict=True):
            if match := found.get(int(earlier)):
                partners.setdefault(match.kept, [])
            else:
                partners.setdefault(int(earlier), []).append(int(way))
        best = Match(-1, 0.0)
        for earlier, ways in islice(partners.items(), _PARTNERS):
            score = similarity(later, earlier, ways)
            if score > best.similarity:
                best = Match(earlier, score)
            if score >= max(_SURE, threshold):
                break
        if best.similarity >= threshold:
            found[later] = best
    return found


def candidates(searches: Sequence[tuple[Hashes, Hashes]], count: int, *, turned: bool = True) -> Candidates:
    """Pairs of rows with near hashes.

    Args:
        searches: Hashes to look up, and hashes to look for among them. Of several, one has to find a pair.
        count: Rows.
        turned: Look for the hashes of pictures turned round as well.

    Returns:
        For each row at most 32 better ones, those with the most near hashes, each in at most 6 ways.
    """
    found = []
    for stored, asked in searches:
        index = HashIndex(stored.hashes)
        for some, mirror in product(asked.pieces(_ASKED), (0, 1) if turned else (0,)):
            queries = mirrored(some.hashes) if mirror else some.hashes
            for hits in index.near(queries, _DISTANCE):
                found.append(_pairs(hits, stored, some, mirror, count))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing, nothing, nothing)
    pair, way, votes = _sum_votes(*map(np.concatenate, zip(*found, strict=True)))
    return _best_partners(pair // count, pair % count, way, votes)


def _pairs(
    hits: Hits, stored: Hashes, asked: Hashes, mirror: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of different rows as one number each, in which way they were found, and votes."""
    one, other = asked.rows[hits.query], stored.rows[hits.found]
    differ = np.flatnonzero(one != other)
    one, other = one[differ].astype(np.int64), other[differ].astype(np.int64)
    view, stored_view = asked.views[hits.query[differ]], stored.views[hits.found[differ]]
    with_bars = (stored_view == WITH_BARS) | (stored_view >= FIRST_PART + len(PARTS))
    # Which of two was asked for makes no difference where both are looked at in the same way.
    way = _way(mirror, (one > other) & (view != stored_view), view, with_bars)
    pair = np.maximum(one, other) * count + np.minimum(one, other)
    return _sum_votes(pair, way, (_DISTANCE + 1 - hits.distance[differ].astype(np.int64)) ** 2)


def _sum_votes(pair: np.ndarray, way: np.ndarray, votes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each pair in each way once, with the sum of its votes."""
    if not len(pair):
        return pair, way, votes
    order = np.lexsort((way, pair))
    pair, way, votes = pair[order], way[order], votes[order]
    begins = np.flatnonzero(_changes(pair) | _changes(way))
    return pair[begins], way[begins], np.add.reduceat(votes, begins)


def _best_partners(later: np.ndarray, earlier: np.ndarray, way: np.ndarray, votes: np.ndarray) -> Candidates:
    """The partners of each row that have most votes, and of each the ways that have."""
    order = np.lexsort((way, -votes, earlier, later))
    later, earlier, way, votes = later[order], earlier[order], way[order], votes[order]
    begins = _changes(later) | _changes(earlier)
    most = votes[begins][np.cumsum(begins) - 1]
    order = np.lexsort((-votes, earlier, -most, later))
    order = order[(_place(begins) < _WAYS)[order]]
    later, earlier, way = later[order], earlier[order], way[order]
    rows = _changes(later)
    partner = np.cumsum(rows | _changes(earlier))
    few = partner - np.maximum.accumulate(np.where(rows, partner, 0)) < _LISTED
    return Candidates(later[few], earlier[few], way[few])


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _place(begins: np.ndarray) -> np.ndarray:
    """Place of each entry since the last that begins a run, from 0."""
    places = np.arange(len(begins))
    return places - np.maximum.accumulate(np.where(begins, places, 0))


def _way(turned: int, by_later: np.ndarray, view: np.ndarray, with_bars: np.ndarray) -> np.ndarray:
    """A way of looking at a pair as one number, see `_views`."""
    return (view.astype(np.int64) << 3) | (with_bars.astype(np.int64) << 2) | (by_later << 1) | turned


def _views(way: int) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """How to look at the later and at the earlier row of a pair: number of the view, and whether mirrored."""
    turned, by_later, with_bars, view = way & 1, way >> 1 & 1, way >> 2 & 1, way >> 3
    asked = (view, bool(turned))
    number = WITH_BARS if with_bars else 0
    if view >= FIRST_PART:
        number = FIRST_PART + (view - FIRST_PART) % len(PARTS) + with_bars * len(PARTS)
    stored = (number, False)
    return (asked, stored) if by_later else (stored, asked)


_BLIND = (0, 1)
"""Ways to try where the hashes of two rows were not compared: as they are, and one turned round."""
