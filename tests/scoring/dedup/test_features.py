"""CLIP features: those of files, as text, and their search against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.clip_files import pictures
from tests.scoring.dedup.scenes import Scene, film
from tools.scoring.dedup.features import (
    FEATURE,
    Feature,
    FeatureStage,
    decode_feature,
    encode_feature,
    find_similar,
)
from tools.scoring.dedup.fingerprint import FileInfo
from tools.stage.runner import RunOptions, map_rows

RNG = np.random.default_rng


def test_clip_features_are_the_mean_of_unit_features(small_clip, tmp_path):
    clips = [
        film(tmp_path / "large.mp4", Scene(1).film(0, 3)),
        film(tmp_path / "small.mp4", [p[::2, ::2] for p in Scene(0).film(0, 2)]),
    ]
    stage = FeatureStage(clip_model=str(small_clip.weights), device="cpu", precision="fp32")
    rows = [{"path": str(clip)} for clip in clips]
    found = map_rows(stage, rows, RunOptions(num_workers=0, progress=False))
    for clip, row in zip(clips, found, strict=True):
        frames = pictures(clip)
        features = small_clip.images([frames[0], frames[len(frames) // 2], frames[-1]])
        expected = features.mean(axis=0) / np.linalg.norm(features.mean(axis=0))
        feature = decode_feature(row[FEATURE])
        np.testing.assert_allclose(feature.vector, expected, atol=2e-5)
        assert feature.info.num_frames == len(frames) and feature.info.is_video
        assert (feature.info.width, feature.info.height) == frames[0].size
    assert map_rows(stage, rows, RunOptions(num_workers=0, batch_size=1, progress=False)) == found


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
    feature = Feature(FileInfo(720, 1280, 33, True), RNG(5).standard_normal(768).astype(np.float32))
    found = decode_feature(encode_feature(feature))
    assert found.info == feature.info
    np.testing.assert_array_equal(found.vector, feature.vector)
    with pytest.raises(ValueError, match="not a feature"):
        decode_feature("rubbish")
