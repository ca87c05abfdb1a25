"""EMScore's numbers against the values of the original code, and against the definition on random ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.emscore.definition import (
    BOTH,
    REFERENCE,
    VIDEO,
    against_reference,
    against_video,
    best,
    both,
)
from tools.errors import UserError
from tools.scoring.emscore.metrics import (
    METRICS,
    SCORE_TYPES,
    TextFeatures,
    best_of,
    chosen_names,
    mean_of,
    score_reference,
    score_video,
)
from tools.scoring.emscore.scorer import Caption, best_frames, score_caption, score_frames, undefined

TOKENS = np.array([(1, 0), (0.6, 0.8), (0, 1)], dtype=float)
FRAMES = np.array([(0.8, 0.6), (0, 1)])


def text(tokens=TOKENS, weights=None) -> TextFeatures:
    weights = np.ones(len(tokens)) if weights is None else np.array(weights, dtype=float)
    return TextFeatures(np.array(tokens, dtype=float), weights)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    features = rng.standard_normal(shape) + 0.4
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


def random_text(rng: np.random.Generator, length: int) -> TextFeatures:
    return TextFeatures(unit(rng, length, 16), rng.uniform(0, 3, length))


@pytest.mark.parametrize(
    ("weights", "figr_p", "figr_f", "full_f"),
    [((1, 2, 3), 0.953333, 0.966483, 0.930455), ((1, 1, 1), 0.92, 0.949053, None)],
)
def test_a_video_by_hand(weights, figr_p, figr_f, full_f):
    """What the functions of the EMScore repository (20bce0a) give; they can be checked by hand."""
    found = score_video(text(weights=weights), FRAMES)
    assert found["figr_P"] == pytest.approx(figr_p, abs=1e-6)
    assert found["figr_R"] == pytest.approx(0.98, abs=1e-6)
    assert found["figr_F"] == pytest.approx(figr_f, abs=1e-6)
    assert found["cogr"] == pytest.approx(0.894427, abs=1e-6)
    if full_f:
        assert found["full_F"] == pytest.approx(full_f, abs=1e-6)


def test_a_reference_by_hand():
    """From the same functions: the two frames are now the tokens of a reference, with weights 1 and 3."""
    found = score_reference(text(weights=(1, 2, 3)), text(FRAMES, (1, 3)))
    expected = {"figr_P": 0.953333, "figr_R": 0.99, "figr_F": 0.971321}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_random_features_score_as_the_definition_says(seed):
    rng = np.random.default_rng(seed)
    candidate = random_text(rng, int(rng.integers(3, 9)))
    references = tuple(random_text(rng, int(rng.integers(3, 9))) for _ in range(4))
    frames = unit(rng, int(rng.integers(1, 7)), 16)
    video = against_video(*candidate, frames)
    reference = best([against_reference(*candidate, *own) for own in references])
    expected = {VIDEO: video, REFERENCE: reference, BOTH: both(video, reference)}
    found = score_caption(Caption(candidate, references), frames)
    assert list(found) == list(SCORE_TYPES) == list(expected)
    for name, metrics in expected.items():
        assert list(found[name]) == list(METRICS)
        assert found[name] == pytest.approx(metrics, abs=1e-12)


def test_each_metric_has_its_own_best_reference():
    candidate, near = text([(0.6, 0.8), (1, 0)]), text([(0.8, 0.6), (0, 1)])
    long = text([(0.6, 0.8), (-1, 0), (-1, 0), (1, 0)])
    several = [score_reference(candidate, own) for own in (near, long)]
    assert several[0]["figr_R"] > several[1]["figr_R"] and several[0]["cogr"] < several[1]["cogr"]
    found = best_of(several)
    assert (found["figr_R"], found["cogr"]) == (several[0]["figr_R"], several[1]["cogr"])
    assert found["full_R"] == (several[0]["figr_R"] + several[1]["cogr"]) / 2


def test_what_is_similar_to_nothing_is_not_helped_by_padding():
    """In the original a shorter row of a batch meets zeros, which are nearer than what is opposite."""
    opposite = score_video(text([(0, 1), (0, 1)]), np.array([(0.6, -0.8), (0, -1.0)]))
    assert opposite["figr_P"] == pytest.approx(-0.8) and opposite["figr_R"] == pytest.approx(-0.9)


def test_weights_that_are_all_zero_leave_no_precision_and_a_reason():
    caption = Caption(text(weights=(0, 0, 0)), (text(FRAMES, (1, 3)),))
    scores = score_caption(caption, FRAMES)
    for own in scores.values():
        assert {name for name, value in own.items() if value is None} == {
            "figr_P",
            "figr_F",
            "full_P",
            "full_F",
        }
    assert scores[VIDEO]["full_R"] == pytest.approx((0.98 + 0.894427) / 2, abs=1e-6)
    assert "caption weigh nothing" in undefined(caption, scores, ["full_F"])
    assert undefined(caption, scores, ["figr_R", "cogr"]) is None
    light = Caption(text(), (text(FRAMES, (0, 0)),))
    scores = score_caption(light, None)
    assert scores[REFERENCE]["figr_R"] is None and scores[REFERENCE]["figr_P"] is not None
    assert "reference weigh nothing" in undefined(light, scores, ["figr_R"])


def test_no_precision_and_no_recall_have_the_mean_zero():
    right_angle = score_video(text([(1, 0), (1, 0)]), np.array([(0.0, 1.0)]))
    assert (right_angle["figr_P"], right_angle["figr_R"], right_angle["figr_F"]) == (0, 0, 0)
    assert right_angle["full_F"] == 0


def test_opposite_numbers_have_no_harmonic_mean():
    """Token a has cosine 0.6 with the frame and almost no weight; b has -0.6 with weight 1."""
    caption = Caption(text([(0.6, 0.8), (-0.6, 0.8)], (0, 1)), ())
    scores = score_caption(caption, np.array([(1.0, 0.0)]))
    assert (scores[VIDEO]["figr_P"], scores[VIDEO]["figr_R"]) == (-0.6, 0.6)
    assert scores[VIDEO]["figr_F"] is None and scores[VIDEO]["full_F"] is None
    assert "harmonic" in undefined(caption, scores, ["figr_F"])


def test_features_that_are_no_numbers_give_none():
    caption = Caption(text([(np.nan, 0), (0, 1)]), ())
    scores = score_caption(caption, FRAMES)
    assert scores[VIDEO]["figr_P"] is None
    assert "not finite" in undefined(caption, scores, ["figr_P"])


def test_only_what_is_wanted_and_can_be_had():
    caption, alone = Caption(text(), (text(FRAMES, (1, 3)),)), Caption(text(), ())
    assert list(score_caption(caption, None)) == [REFERENCE]
    assert list(score_caption(alone, FRAMES)) == [VIDEO]
    assert list(score_caption(caption, FRAMES, [BOTH])) == [BOTH]
    assert score_caption(alone, None) == {}
    mean = mean_of(score_video(text(), FRAMES), score_reference(text(), caption.references[0]))
    assert score_caption(caption, FRAMES, [BOTH])[BOTH] == mean


def test_frames_one_by_one_are_not_the_score_of_the_video():
    caption = Caption(text(), ())
    singles = score_frames(caption, FRAMES)
    assert [own[VIDEO]["cogr"] for own in singles] == pytest.approx([0.6, 1.0])
    assert [own[VIDEO]["figr_R"] for own in singles] == pytest.approx([0.96, 1.0])
    assert np.mean([own[VIDEO]["figr_P"] for own in singles]) < score_video(text(), FRAMES)["figr_P"] - 0.1


def test_each_word_goes_to_the_frame_that_it_matches_best():
    words = [("far", slice(0, 1)), ("away", slice(1, 3))]
    assert best_frames(text(), FRAMES, words) == [["far"], ["away"]]


def test_names_are_checked():
    assert chosen_names("metrics", None, METRICS) == tuple(METRICS)
    assert chosen_names("metrics", ["cogr", "figr_P"], METRICS) == ("figr_P", "cogr")
    assert chosen_names("metrics", "cogr", METRICS) == ("cogr",)
    with pytest.raises(UserError, match=r"Invalid metrics \(F1\). Supported values are figr_P, "):
        chosen_names("metrics", ["F1"], METRICS)
    with pytest.raises(UserError, match="at least one"):
        chosen_names("metrics", [], METRICS)
