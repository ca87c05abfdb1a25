"""What the scores with CLIP share: features, one model for several of them, embeddings of rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tests.models.openai_clip import save_state
from tests.scoring.clip_files import SHAPE, pictures
from tools.errors import MediaError, OrderError, UserError
from tools.media.reading.requests import FrameRequest, read_requests, read_sampled
from tools.media.reading.sampling import Sampling
from tools.models.clip import CLIPEncoder, load_clip
from tools.scoring.aesthetic.stage import AestheticStage
from tools.scoring.clip_features import CLIPFeatures, fingerprint, image_features
from tools.scoring.clip_stage import setup_together
from tools.scoring.fused import FusedStage
from tools.scoring.matching.stage import MatchingStage
from tools.scoring.quality.stage import QualityStage
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.stage.stage import VECTOR
from tools.table import write_table

OPTIONS = RunOptions(num_workers=0, progress=False)
CPU = {"device": "cpu", "precision": "fp32"}


@pytest.fixture
def head(tmp_path):
    """A head of the published form with random numbers."""
    sizes = (SHAPE.embed_dim, 1024, 128, 64, 16, 1)
    state = {}
    for layer, rows, columns in zip((0, 2, 4, 6, 7), sizes[1:], sizes, strict=False):
        state[f"layers.{layer}.weight"] = torch.randn(rows, columns) * columns**-0.5
        state[f"layers.{layer}.bias"] = torch.randn(rows)
    torch.save(state, tmp_path / "head.pth")
    return str(tmp_path / "head.pth")


@pytest.fixture
def encoded(monkeypatch):
    """How many crops went through CLIP."""
    counts = []
    original = CLIPEncoder.encode_crops

    def counting(self, crops):
        counts.append(len(crops))
        return original(self, crops)

    monkeypatch.setattr(CLIPEncoder, "encode_crops", counting)
    return counts


def stages(clip, head) -> list:
    model = {"clip_model": str(clip.weights), **CPU}
    return [
        AestheticStage(head=head, **model),  # frames 0, 25, 49 of the long video
        MatchingStage(**model),  # 25
        QualityStage(prompts=("noisiness", "warm"), **model),  # 0, 7, 14, 21, 28, 35, 42, 49
    ]


def prepared(stages, media) -> list[list]:
    """For each stage its rows, from one decode of each file."""
    rows = []
    for path in media.values():
        found = read_requests(path, [FrameRequest(stage.sampling) for stage in stages])
        row = {"path": str(path), "text": "the cat"}
        rows.append([stage.prepare(row, frames) for stage, frames in zip(stages, found, strict=True)])
    return list(map(list, zip(*rows, strict=True)))


def test_stages_together_score_as_each_alone_and_encode_each_frame_once(
    clip_environment, head, media, encoded
):
    alone = stages(clip_environment, head)
    rows = prepared(alone, media)
    expected = []
    for stage, own in zip(alone, rows, strict=True):
        stage.setup()
        expected.append(stage.score(own))
    together = stages(clip_environment, head)
    setup_together(together)
    encoders = {id(stage._features.encoder) for stage in together}
    assert len(encoders) == 1
    encoded.clear()
    found = [stage.score(own) for stage, own in zip(together, rows, strict=True)]
    assert found == expected
    # long: 0 7 14 21 25 28 35 42 49; short: 0 3 6 9 11 12 15 18 22; two images
    assert sum(encoded) == 9 + 9 + 1 + 1
    assert [stage.score(own[::-1])[::-1] for stage, own in zip(together, rows, strict=True)] == expected
    assert sum(encoded) == 20


def test_stages_share_a_model_only_when_it_is_the_same(clip_environment, head, tmp_path):
    other = save_state({**clip_environment.state, "logit_scale": torch.tensor(1.0)}, tmp_path / "o.pt")
    same = {"clip_model": str(clip_environment.weights), **CPU}
    one, two, three, four = (
        QualityStage(**same),
        QualityStage(sampling=Sampling("first"), **same),
        QualityStage(**{**same, "clip_model": str(other)}),
        QualityStage(**{**same, "precision": "bf16"}),
    )
    assert one.encoder_key() == two.encoder_key()
    assert len({stage.encoder_key() for stage in (one, two, three, four)}) == 3
    setup_together([one, three, two])
    assert one._features is two._features
    assert one._features is not three._features


def test_features_are_remembered_up_to_a_number(clip_environment, encoded):
    clip = load_clip(clip_environment.weights, **CPU)
    crops = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    keys = [fingerprint(crop) for crop in crops]
    assert len(set(keys)) == 6
    expected = image_features(clip, list(crops))
    features = CLIPFeatures(clip, remember=4)
    encoded.clear()
    found = features.of([(crops[:4], keys[:4]), (crops[2:5], keys[2:5])])
    np.testing.assert_array_equal(found[0], expected[:4])
    np.testing.assert_array_equal(found[1], expected[2:5])
    assert sum(encoded) == 5
    features.of([(crops[1:5], keys[1:5])])  # the latest four
    assert sum(encoded) == 5
    np.testing.assert_array_equal(features.of([(crops[:1], keys[:1])])[0], expected[:1])
    assert sum(encoded) == 6
    forgetful = CLIPFeatures(clip)
    assert [len(row) for row in forgetful.of([(crops[:2], keys[:2])])] == [2]
    forgetful.of([(crops[:2], keys[:2])])
    assert sum(encoded) == 10
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1.0, rtol=1e-12)


@pytest.mark.logs_errors
def test_what_is_no_number_is_no_score(clip_environment, media, tmp_path):
    weights = {**clip_environment.state}
    weights["visual.proj"] = torch.full_like(weights["visual.proj"], float("inf"))
    path = save_state(weights, tmp_path / "inf.pt")
    stage = QualityStage(clip_model=str(path), save_embeddings="x.npy", **CPU)
    (outcome,) = map_rows(stage, [{"path": str(media["wide"])}], OPTIONS)
    assert isinstance(outcome, MediaError) and outcome.kind == "internal"
    assert outcome.path == str(media["wide"]) and "not finite" in outcome.message


def test_the_embedding_of_a_row_is_the_direction_of_its_frames(clip_environment, media, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    paths = [media["long"], broken, media["wide"]]
    meta = write_table(pl.DataFrame({"path": [str(path) for path in paths]}), tmp_path / "meta.csv")
    clip = {"clip_model": str(clip_environment.weights), **CPU}
    stage = QualityStage(
        sampling=Sampling("interval_frames", step=20), save_embeddings=str(tmp_path / "e.npy"), **clip
    )
    result = run_stage(stage, meta, options=OPTIONS)
    frames = pictures(media["long"])
    mean = clip_environment.images([frames[i] for i in (0, 20, 40)]).mean(axis=0)
    expected = [mean / np.linalg.norm(mean), clip_environment.images(pictures(media["wide"]))[0]]
    found = np.load(tmp_path / "e.npy")
    assert found.dtype == np.float32 and found.shape == (3, SHAPE.embed_dim)
    assert np.abs(found[[0, 2]] - expected).max() < 1e-5
    assert np.isnan(found[1]).all()
    plain = QualityStage(sampling=Sampling("interval_frames", step=20), **clip)
    again = run_stage(plain, meta, options=OPTIONS)  # the scores are the same with and without
    assert again.already_complete and again.output == result.output
    middle = Sampling("middle")
    (one,) = map_rows(
        MatchingStage(sampling=middle, save_embeddings="e.npy", **clip),
        [{"path": str(media["long"]), "text": "the cat"}],
        OPTIONS,
    )
    (two,) = map_rows(
        QualityStage(sampling=middle, save_embeddings="e.npy", **clip),
        [{"path": str(media["long"])}],
        OPTIONS,
    )
    np.testing.assert_array_equal(one[VECTOR], two[VECTOR])


def test_a_file_of_another_kind_is_told_before_the_work(clip_environment, media, tmp_path):
    meta = write_table(pl.DataFrame({"path": [str(media["wide"])]}), tmp_path / "meta.csv")
    stage = QualityStage(
        clip_model=str(clip_environment.weights), save_embeddings=str(tmp_path / "e.csv"), **CPU
    )
    with pytest.raises(UserError, match=r"\.npy or \.parquet"):
        run_stage(stage, meta, options=OPTIONS)


def test_crops_travel_to_the_workers_and_back(clip_environment, media):
    stage = MatchingStage(
        clip_model=str(clip_environment.weights), sampling=Sampling("uniform_mid", 2), **CPU
    )
    rows = [{"path": str(path), "text": "the cat"} for path in media.values()]
    inline = map_rows(stage, rows, OPTIONS)
    assert map_rows(stage, rows, RunOptions(num_workers=2, progress=False, batch_size=3)) == inline
    crops = stage.prepare(rows[0], read_sampled(media["long"], stage.sampling)).crops
    assert crops.dtype == np.uint8 and crops.shape == (2, 32, 32, 3)


@pytest.fixture
def twelve(tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for number in range(12):
        picture = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        picture.resize((48, 48), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
        found.append({"path": str(tmp_path / f"{number}.png"), "text": "a cat"})
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("together", [False, True])
def test_clip_in_another_order_is_caught(clip_environment, twelve, monkeypatch, precision, together):
    """Also where several scores share CLIP's features, which are remembered."""

    def stage():
        match = MatchingStage(device="cpu", precision=precision)
        return FusedStage(stages=(match,)) if together else match

    fine = map_rows(stage(), twelve, OPTIONS)
    original = CLIPEncoder.encode_crops
    encoded = []

    def counted(self, crops):
        encoded.append(len(crops))
        return original(self, crops)

    monkeypatch.setattr(CLIPEncoder, "encode_crops", counted)
    monkeypatch.setattr(MatchingStage, "checks_order", False)
    assert map_rows(stage(), twelve, OPTIONS) == fine  # to the last digit
    without = sum(encoded)
    monkeypatch.setattr(MatchingStage, "checks_order", True)
    assert map_rows(stage(), twelve, OPTIONS) == fine
    assert sum(encoded) == 2 * without + 1
    monkeypatch.setattr(CLIPEncoder, "encode_crops", lambda self, crops: original(self, crops).flip(0))
    with pytest.raises(OrderError, match="match"):
        map_rows(stage(), twelve, OPTIONS)
