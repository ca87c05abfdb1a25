"""The index against a comparison of all with all; who is kept; features against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.dedup.scenes import FPS, Scene
from tools.scoring.dedup import index
from tools.scoring.dedup.alignment import Track, View, align
from tools.scoring.dedup.features import Feature, decode_feature, encode_feature, find_similar
from tools.scoring.dedup.fingerprint import About, Fingerprint, make_fingerprint
from tools.scoring.dedup.matching import Candidates, Match, choose, find_copies

RNG = np.random.default_rng


def random_hashes(rng, count: int) -> np.ndarray:
    return rng.integers(0, 2**64, count, dtype=np.uint64)


def flipped(rng, hashes: np.ndarray, bits: int) -> np.ndarray:
    """Hashes with so many bits turned over."""
    masks = [sum(1 << int(b) for b in rng.choice(64, bits, replace=False)) for _ in hashes]
    return hashes ^ np.array(masks, np.uint64)


def grey(picture: np.ndarray) -> np.ndarray:
    return picture.mean(axis=2).reshape(36, 5, 64, 5).mean(axis=(1, 3)).astype(np.uint8)


def fingerprint(
    scene: Scene, start: float, end: float, *, height: int = 180, video: bool = True
) -> Fingerprint:
    pictures = np.stack([grey(p) for p in scene.film(start, end)])
    times = np.arange(len(pictures)) / FPS
    return make_fingerprint(pictures, times, height=height, width=320, video=video)


def test_bits_are_counted():
    values = random_hashes(RNG(0), 1000)
    expected = [bin(int(v)).count("1") for v in values]
    assert index.count_bits(values).tolist() == expected
    assert index._count_bits_by_halves(values).tolist() == expected  # for NumPy 1


def test_hits_are_near_and_near_hashes_are_hit():
    rng = RNG(1)
    hashes = random_hashes(rng, 50_000)
    found = 0
    for turned, least in ((0, 1.0), (2, 0.99), (4, 0.95)):
        queries = flipped(rng, hashes[:2000], turned)
        hit = np.zeros(2000, bool)
        for hits in index.HashIndex(hashes).near(queries, 12):
            differ = (queries[hits.query] ^ hashes[hits.found]).tolist()
            distance = [bin(bits).count("1") for bits in differ]
            assert distance == hits.distance.tolist() and max(distance, default=0) <= 12
            hit[hits.query[hits.found == hits.query]] = True
        assert hit.mean() >= least, turned
        found += hit.sum()
    assert found


def test_equal_hashes_cost_no_more_than_others():
    hashes = np.full(20_000, 12345, np.uint64)
    hits = list(index.HashIndex(hashes, reach=6).near(hashes, 12))
    assert sum(len(h.query) for h in hits) <= 8 * 12 * len(hashes)
    assert {int(f) for h in hits for f in h.found} == set(range(6))  # the first, which are the best


def test_an_empty_index():
    assert not list(index.HashIndex(np.zeros(0, np.uint64)).near(np.ones(3, np.uint64), 12))


def chain(likeness: dict[tuple[int, int], float]) -> tuple[Candidates, object]:
    pairs = sorted(likeness)
    later, earlier = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    candidates = Candidates(later, earlier, np.zeros(len(pairs), np.int64))
    return candidates, lambda one, other, ways: likeness.get((one, other), 0.0)


def test_a_chain_does_not_fall_to_its_first():
    # each is like the one before and unlike the one before that
    pairs, likeness = chain({(1, 0): 0.95, (2, 1): 0.95, (3, 2): 0.95, (4, 3): 0.95})
    assert choose(pairs, likeness, 0.9) == {1: Match(0, 0.95), 3: Match(2, 0.95)}


def test_a_partner_that_goes_points_to_the_one_that_stays():
    pairs, _ = chain({(1, 0): 0.95, (2, 1): 0.99})
    compared = []

    def similarity(later, earlier, ways):
        compared.append((later, earlier))
        return {(1, 0): 0.95, (2, 0): 0.92}[later, earlier]

    assert choose(pairs, similarity, 0.9) == {1: Match(0, 0.95), 2: Match(0, 0.92)}
    assert compared == [(1, 0), (2, 0)]


def test_the_most_similar_of_several():
    pairs, likeness = chain({(2, 0): 0.91, (2, 1): 0.96, (1, 0): 0.2})
    assert choose(pairs, likeness, 0.9) == {2: Match(1, 0.96)}


def test_two_hundred_copies_are_copies_of_the_first():
    rng = RNG(2)
    one = fingerprint(Scene(1), 0, 4)
    prints = [one]
    for _ in range(200):
        noise = rng.integers(-2, 3, one.pictures.shape)
        pictures = np.clip(one.pictures + noise, 0, 255).astype(np.uint8)
        prints.append(Fingerprint(one.about, pictures, one.step))
    found = find_copies(prints.__getitem__, len(prints), 0.9)
    assert {match.kept for match in found.values()} == {0} and len(found) == 200


def test_only_what_lies_in_the_other_is_a_copy():
    scene = Scene(5)
    first, second, whole = fingerprint(scene, 0, 6), fingerprint(scene, 3, 9), fingerprint(scene, 0, 9)
    assert find_copies([first, second].__getitem__, 2, 0.9) == {}  # half of each is its own
    assert set(find_copies([whole, first, second].__getitem__, 3, 0.9)) == {1, 2}
    assert find_copies([first, whole].__getitem__, 2, 0.9) == {}  # the better one lacks the end of the other


def test_where_a_piece_lies():
    scene = Scene(6)
    long, short = fingerprint(scene, 0, 12), fingerprint(scene, 3.37, 7)
    found = align(Track(short, View()), Track(long, View()))
    assert found.shift / 2 == pytest.approx(3.37, abs=0.13) and found.similarity > 0.95


def test_images_and_videos_are_different_things():
    scene = Scene(7)
    video, image = fingerprint(scene, 0, 1 / FPS), fingerprint(scene, 0, 1 / FPS, video=False)
    assert find_copies([video, image].__getitem__, 2, 0.9) == {}
    assert set(find_copies([image, image].__getitem__, 2, 0.9)) == {1}


def test_rows_without_fingerprint_and_nothing_to_see():
    black = Fingerprint(About(90, 160, 50, True), np.zeros((4, 18, 32), np.uint8), digest=b"a" * 32)
    other = Fingerprint(About(90, 160, 50, True), np.zeros((4, 18, 32), np.uint8), digest=b"b" * 32)
    prints = [None, black, other, None, black]
    assert find_copies(prints.__getitem__, 5, 0.9) == {4: Match(1, 1.0)}
    assert find_copies([None, None].__getitem__, 2, 0.9) == {}
    assert find_copies([].__getitem__, 0, 0.9) == {}


def vectors_with_copies(rng, count: int, cosine: float) -> np.ndarray:
    """Random features with a common direction, as CLIP's have; each tenth is nearly an earlier one."""
    common = rng.standard_normal(64)
    vectors = common + rng.standard_normal((count, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in range(10, count, 10):
        original = vectors[rng.integers(row)]
        aside = rng.standard_normal(64)
        aside -= (aside @ original) * original
        vectors[row] = cosine * original + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)
    return vectors.astype(np.float32)


def greedy(vectors: np.ndarray, threshold: float) -> dict[int, tuple[int, float]]:
    """The definition: each row against all that are kept."""
    kept, found = [], {}
    for row, vector in enumerate(vectors.astype(np.float64)):
        cosines = vectors[kept].astype(np.float64) @ vector if kept else np.zeros(0)
        if len(cosines) and cosines.max() >= threshold:
            found[row] = (kept[int(cosines.argmax())], cosines.max())
        else:
            kept.append(row)
    return found


def test_exact_search_is_the_definition():
    vectors = vectors_with_copies(RNG(3), 2500, 0.99)
    expected, found = greedy(vectors, 0.985), find_similar(vectors, 0.985, search="exact")
    assert {row: match.kept for row, match in found.items()} == {
        row: kept for row, (kept, _) in expected.items()
    }
    assert len(found) >= 200
    for row, match in found.items():
        assert match.similarity == pytest.approx(expected[row][1], abs=1e-5)


def test_the_index_finds_what_exact_search_finds():
    vectors = vectors_with_copies(RNG(4), 5000, 0.985)
    exact, found = (find_similar(vectors, 0.98, search=search) for search in ("exact", "index"))
    assert set(found) <= set(exact) and len(found) >= 0.98 * len(exact) and len(exact) > 400


def test_ten_thousand_equal_features():
    vectors = np.tile(np.eye(8, dtype=np.float32)[:1], (10_000, 1))
    for search in ("exact", "index"):
        found = find_similar(vectors, 0.98, search=search)
        assert len(found) == 9999 and {match.kept for match in found.values()} == {0}


def test_features_as_text():
    feature = Feature(About(720, 1280, 33, True), RNG(5).standard_normal(768).astype(np.float32))
    found = decode_feature(encode_feature(feature))
    assert found.about == feature.about
    np.testing.assert_array_equal(found.vector, feature.vector)
    with pytest.raises(ValueError, match="no feature"):
        decode_feature("rubbish")
