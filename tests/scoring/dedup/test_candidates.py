"""The index of hashes against a comparison of all with all."""

from __future__ import annotations

import numpy as np

from tools.scoring.dedup.candidates import HashIndex

RNG = np.random.default_rng


def random_hashes(rng, count: int) -> np.ndarray:
    return rng.integers(0, 2**64, count, dtype=np.uint64)


def flipped(rng, hashes: np.ndarray, bits: int) -> np.ndarray:
    """Hashes with so many bits turned over."""
    masks = [sum(1 << int(b) for b in rng.choice(64, bits, replace=False)) for _ in hashes]
    return hashes ^ np.array(masks, np.uint64)


def test_hits_are_near_and_near_hashes_are_hit():
    rng = RNG(1)
    hashes = random_hashes(rng, 50_000)
    found = 0
    for turned, least in ((0, 1.0), (2, 0.99), (4, 0.95)):
        queries = flipped(rng, hashes[:2000], turned)
        hit = np.zeros(2000, bool)
        for hits in HashIndex(hashes).near(queries, 12):
            differ = (queries[hits.query] ^ hashes[hits.found]).tolist()
            distance = [bin(bits).count("1") for bits in differ]
            assert distance == hits.distance.tolist() and max(distance, default=0) <= 12
            hit[hits.query[hits.found == hits.query]] = True
        assert hit.mean() >= least, turned
        found += hit.sum()
    assert found


def test_equal_hashes_cost_no_more_than_others():
    hashes = np.full(20_000, 12345, np.uint64)
    hits = list(HashIndex(hashes, reach=6).near(hashes, 12))
    assert sum(len(h.query) for h in hits) <= 8 * 12 * len(hashes)
    assert {int(f) for h in hits for f in h.found} == set(range(6))  # the first, which are the best


def test_an_empty_index():
    assert not list(HashIndex(np.zeros(0, np.uint64)).near(np.ones(3, np.uint64), 12))
