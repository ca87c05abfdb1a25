"""The match score against the cosine of independently computed features (random weights)."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.models.clip_vocabulary import reference
from tests.scoring.clip_files import ROOM, pictures
from tests.scoring.commands import run_as_ranks
from tools.errors import MediaError, UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling
from tools.scoring.matching.inference import COMMAND, main
from tools.scoring.matching.scorer import MatchScorer
from tools.scoring.matching.stage import MatchingStage
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.stage.stage import REMARKS
from tools.table import merge_tables, read_table, write_table

OPTIONS = RunOptions(num_workers=0, progress=False)
SHORT = "a good photo of the cat"
SENTENCES = ["The cat is in the harbour.", "The dog is slowly bright!", "Good sharp photo of cats and a dog."]
LONG = " ".join(SENTENCES)


def make(clip, **options) -> MatchingStage:
    return MatchingStage(clip_model=str(clip.weights), device="cpu", precision="fp32", **options)


def tokens(text: str) -> int:
    return len(reference()(text)["input_ids"]) - 2


def test_the_score_of_a_row_is_that_of_the_definition(clip_environment, media):
    rows = [
        {"path": str(media["long"]), "text": SHORT},
        {"path": str(media["wide"]), "text": "the dog"},
        {"path": str(media["short"]), "text": SHORT},
    ]
    expected = []
    for row in rows:
        frames = pictures(Path(row["path"]))
        image = clip_environment.images([frames[len(frames) // 2]])
        expected.append(100 * float((image @ clip_environment.texts([row["text"]]).T)[0, 0]))
    assert np.ptp(expected) > 0.1
    outcomes = map_rows(make(clip_environment), rows, OPTIONS)
    assert [outcome["match"] for outcome in outcomes] == pytest.approx(expected, abs=1e-4)
    assert all(outcome[REMARKS] == [] for outcome in outcomes)


@pytest.mark.parametrize(("reduce", "join"), [("mean", np.mean), ("max", np.max)])
def test_several_frames(clip_environment, media, reduce, join):
    frames = pictures(media["long"])
    features = clip_environment.images([frames[i] for i in (0, 24, 49)])
    stage = make(clip_environment, sampling=Sampling("timestamps", timestamps=(0, 0.96, 1.96)), reduce=reduce)
    (outcome,) = map_rows(stage, [{"path": str(media["long"]), "text": SHORT}], OPTIONS)
    cosines = features @ clip_environment.texts([SHORT])[0]
    assert np.ptp(cosines) > 1e-4
    assert outcome["match"] == pytest.approx(100 * join(cosines), abs=1e-4)


def test_long_captions(clip_environment, media):
    assert tokens(LONG) > ROOM >= max(tokens(sentence) for sentence in SENTENCES)
    assert all(tokens(a) + tokens(b) > ROOM for a, b in pairwise(SENTENCES))
    image = clip_environment.images(pictures(media["wide"]))[0]
    row = [{"path": str(media["wide"]), "text": LONG}]

    (cut,) = map_rows(make(clip_environment), row, OPTIONS)
    assert cut["match"] == pytest.approx(100 * image @ clip_environment.texts([LONG])[0], abs=1e-4)
    assert len(cut[REMARKS]) == 1 and "16 tokens" in cut[REMARKS][0]

    (split,) = map_rows(make(clip_environment, long_text="split"), row, OPTIONS)
    mean = clip_environment.texts(SENTENCES).mean(axis=0)
    assert split["match"] == pytest.approx(100 * image @ mean / np.linalg.norm(mean), abs=1e-4)
    assert split[REMARKS] == []
    assert abs(split["match"] - cut["match"]) > 0.01

    (failed,) = map_rows(make(clip_environment, long_text="error"), row, OPTIONS)
    assert isinstance(failed, MediaError) and failed.kind == "bad_value"
    assert f"has {tokens(LONG)} tokens, CLIP takes {ROOM}" in failed.message


@pytest.mark.parametrize("long_text", ["truncate", "split", "error"])
def test_a_caption_that_just_fits_is_the_same_for_all(clip_environment, media, long_text):
    text = "the " * ROOM
    assert tokens(text) == ROOM
    row = [{"path": str(media["high"]), "text": text}]
    (outcome,) = map_rows(make(clip_environment, long_text=long_text), row, OPTIONS)
    image = clip_environment.images(pictures(media["high"]))[0]
    assert outcome["match"] == pytest.approx(100 * image @ clip_environment.texts([text])[0], abs=1e-4)
    assert outcome[REMARKS] == []


@pytest.mark.parametrize("text", [None, "", "  \t", float("nan"), ["the cat"], {"en": "the cat"}])
def test_an_empty_caption_fails(clip_environment, media, text):
    (failed,) = map_rows(make(clip_environment), [{"path": str(media["wide"]), "text": text}], OPTIONS)
    assert isinstance(failed, MediaError) and failed.kind == "bad_value" and "text" in failed.message


def test_a_row_scores_the_same_in_any_batch(clip_environment, media):
    stage = make(clip_environment, sampling=Sampling("uniform_mid", 3), long_text="split")
    texts = [SHORT, LONG, "the cat", "Good photo."]
    rows = [
        stage.prepare({"path": str(path), "text": text}, read_sampled(path, stage.sampling))
        for path, text in zip(media.values(), texts, strict=True)
    ]
    assert [len(row.extras.ids) for row in rows] == [1, 3, 1, 1]
    stage.setup()
    together = stage.score(rows)
    assert [stage.score([row])[0] for row in rows] == together
    assert stage.score(rows[::-1])[::-1] == together


def test_the_library_scores_pairs(clip_environment, media):
    images = [pictures(media["wide"])[0], pictures(media["high"])[0]]
    scorer = MatchScorer(clip_environment.weights, device="cpu", precision="fp32")
    texts = ["the cat", SHORT]
    expected = 100 * (clip_environment.images(images) * clip_environment.texts(texts)).sum(axis=1)
    assert scorer.score(images, texts) == pytest.approx(expected, abs=1e-4)
    assert scorer.score([], []).shape == (0,)
    with pytest.raises(ValueError, match="empty"):
        scorer.score(images[:1], [" "])
    with pytest.raises(UserError, match="truncate, split, error"):
        MatchScorer(clip_environment.weights, long_text="cut")


def test_what_was_asked_changes_with_what_changes_values(clip_environment, monkeypatch, tmp_path):
    same = make(clip_environment).config()
    assert make(clip_environment, save_embeddings="x.npy").config() == same
    for options in ({"long_text": "split"}, {"reduce": "max"}, {"sampling": Sampling("first")}):
        assert make(clip_environment, **options).config() != same
    other = tmp_path / "other.gz"
    other.write_bytes(Path(os.environ["VIDSIEVE_CLIP_BPE"]).read_bytes() + b"\0")
    monkeypatch.setenv("VIDSIEVE_CLIP_BPE", str(other))
    assert make(clip_environment).config() != same


def test_the_frames_that_flags_ask_for(clip_environment):
    def sampling(*flags: str) -> dict:
        return COMMAND.make_stage(
            COMMAND.parser().parse_args(["meta.csv", "--device", "cpu", *flags])
        ).sampling.asdict()

    assert sampling() == {"policy": "middle", "start": 0.0}
    assert sampling("--num_frames", "4") == {"policy": "first_middle_last", "count": 4, "start": 0.0}
    assert sampling("--sampling", "fps:2", "--start", "1", "--end", "3", "--max-frames", "5") == {
        "policy": "fps",
        "fps": 2.0,
        "start": 1.0,
        "end": 3.0,
        "max_frames": 5,
    }
    with pytest.raises(UserError, match="contradict"):
        sampling("--sampling", "fps:2", "--num-frames", "4", "--max-frames", "5")


def test_the_command_alone_and_as_ranks(clip_environment, media, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    rows = [
        (media["long"], SHORT),
        (media["wide"], LONG),
        (broken, SHORT),
        (media["short"], LONG),
        (media["high"], ""),
    ]
    table = pl.DataFrame([(str(path), text) for path, text in rows], schema=["path", "text"], orient="row")
    meta = write_table(table, tmp_path / "meta.csv")

    alone = tmp_path / "alone.csv"
    options = ("--precision", "fp32", "--device", "cpu", "--quiet")
    embeddings = ("--save-embeddings", str(tmp_path / "e.npy"))
    assert main([str(meta), "--output", str(alone), "--num-workers", "1", *options, *embeddings]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(alone)
    shown = said.err.splitlines()
    assert any(line.startswith("5 rows: 3 done, 2 failed") for line in shown)
    assert any(line.startswith("2 rows: caption longer than the 16 tokens") for line in shown)
    scores = pl.read_csv(alone)["match"].to_list()
    assert [score is None for score in scores] == [False, False, True, False, True]
    frames = pictures(media["short"])
    image = clip_environment.images([frames[len(frames) // 2]])[0]
    assert scores[3] == pytest.approx(100 * image @ clip_environment.texts([LONG])[0], abs=1e-4)
    vectors = np.load(tmp_path / "e.npy")
    assert vectors.shape == (5, 768) and np.isnan(vectors[[2, 4]]).all()
    assert np.abs(vectors[3] - image).max() < 1e-5

    run_as_ranks(main, meta, *options, "--num-workers", 0, "--bs", 1)
    parts = [tmp_path / f"meta_match_part{rank}.csv" for rank in range(2)]
    merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
    assert merged.read_bytes() == alone.read_bytes()


def test_a_table_without_captions_is_told_at_once(clip_environment, media, tmp_path):
    meta = write_table(pl.DataFrame({"path": [str(media["wide"])]}), tmp_path / "meta.csv")
    with pytest.raises(UserError, match="no column 'text'"):
        run_stage(make(clip_environment), meta, options=OPTIONS)
    assert read_table(meta).columns == ["path"]


def test_captions_need_ftfy(clip_environment, monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(UserError, match="package ftfy is not installed: pip install ftfy"):
        make(clip_environment)


def test_pictures_of_arrays_are_those_of_pil(clip_environment, media):
    image = Image.open(media["wide"]).convert("RGB")
    scorer = MatchScorer(clip_environment.weights, device="cpu", precision="fp32")
    assert scorer.score([np.asarray(image)], ["the cat"]) == scorer.score([image], ["the cat"])
