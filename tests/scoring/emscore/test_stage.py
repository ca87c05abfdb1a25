"""EMScore of tables: features, tokens and frames by an independent computation, then the definition."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.models.clip_vocabulary import reference
from tests.models.openai_clip import token_features
from tests.scoring.clip_files import ROOM, SHAPE, pictures
from tests.scoring.commands import run_as_ranks
from tests.scoring.emscore.definition import (
    BOTH,
    REFERENCE,
    VIDEO,
    against_reference,
    against_video,
    both,
    idf_weights,
)
from tests.scoring.emscore.definition import (
    best as best_reference,
)
from tools.errors import MediaError, UserError
from tools.media.reading.requests import Frames, read_sampled
from tools.media.reading.sampling import Sampling
from tools.models.clip_tokenizer import load_tokenizer
from tools.scoring.emscore.idf import Idf
from tools.scoring.emscore.inference import COMMAND, main
from tools.scoring.emscore.metrics import METRICS
from tools.scoring.emscore.scorer import EMScorer
from tools.scoring.emscore.stage import EMScoreStage, column_of
from tools.scoring.emscore.texts import words
from tools.scoring.fused import FusedStage
from tools.scoring.matching.scorer import tokenize
from tools.scoring.matching.stage import MatchingStage
from tools.stage.runner import RunOptions, map_rows
from tools.stage.stage import FAILURES, REMARKS
from tools.table import merge_tables, write_table

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = RunOptions(num_workers=0, progress=False)
SHORT = "a good photo of the cat"
REFERENCES = ["the dog in the harbour", "Cats!!", "sharp photo of the cat"]
SENTENCES = ["The cat is in the harbour.", "The dog is slowly bright!", "Good sharp photo of cats and a dog."]
LONG = " ".join(SENTENCES)
EVERY_7 = Sampling("interval_frames", step=7)


def make(clip, **options) -> EMScoreStage:
    options = {"sampling": EVERY_7, "metrics": None, **options}
    return EMScoreStage(clip_model=str(clip.weights), device="cpu", precision="fp32", **options)


def tokens_of(clip, text: str) -> tuple[np.ndarray, list[int]]:
    """Features of length 1 and ids of a text that fits."""
    ids = reference()(text)["input_ids"]
    assert len(ids) <= SHAPE.context
    row = np.zeros((1, SHAPE.context), dtype=np.int64)
    row[0, : len(ids)] = ids
    features = token_features(clip.state, row)[0, : len(ids)]
    return features / np.linalg.norm(features, axis=1, keepdims=True), ids


def expected_columns(
    clip,
    frames: np.ndarray | None,
    candidate: str,
    references: Sequence[str] = (),
    weights: dict[int, float] | None = None,
) -> dict[str, float]:
    def text(own: str) -> tuple[np.ndarray, list[float]]:
        features, ids = tokens_of(clip, own)
        return features, [1.0 if weights is None else weights[number] for number in ids]

    found = {}
    if frames is not None:
        found[VIDEO] = against_video(*text(candidate), frames)
    if references:
        found[REFERENCE] = best_reference(
            [against_reference(*text(candidate), *text(own)) for own in references]
        )
    if len(found) == 2:
        found[BOTH] = both(found[VIDEO], found[REFERENCE])
    return {column_of(kind, name): own[name] for kind, own in found.items() for name in METRICS}


def scores(outcome: dict) -> dict[str, float]:
    return {name: value for name, value in outcome.items() if name.startswith("emscore")}


def test_names_of_columns(clip_environment):
    stage = make(clip_environment, reference_column="reference")
    columns = [name for name in stage.output_columns if name not in (FAILURES, REMARKS)]
    names = ("_figr_p", "_figr_r", "_figr_f", "_cogr", "_full_p", "_full_r", "")
    assert columns[:7] == [f"emscore{name}" for name in names] and len(columns) == 21
    assert {"emscore_ref", "emscore_ref_cogr", "emscore_both", "emscore_both_figr_f"} < set(columns)
    assert next(iter(make(clip_environment, metrics=("full_F",)).output_columns)) == "emscore"


def test_a_row_scores_as_the_definition_says(clip_environment, media):
    rows = [
        {"path": str(media["long"]), "text": SHORT, "reference": json.dumps(REFERENCES)},
        {"path": str(media["short"]), "text": "the bright dog", "reference": REFERENCES[0]},
        {"path": str(media["wide"]), "text": SHORT, "reference": [REFERENCES[1]]},
    ]
    outcomes = map_rows(make(clip_environment, reference_column="reference"), rows, OPTIONS)
    for row, outcome, references in zip(
        rows, outcomes, (REFERENCES, REFERENCES[:1], REFERENCES[1:2]), strict=True
    ):
        frames = clip_environment.images(pictures(Path(row["path"]))[::7])
        expected = expected_columns(clip_environment, frames, row["text"], references)
        assert scores(outcome) == pytest.approx(expected, abs=2e-5)
        assert outcome[FAILURES] == outcome[REMARKS] == []
    assert np.ptp([outcome["emscore"] for outcome in outcomes]) > 1e-3


def test_weights_from_a_corpus(clip_environment, media):
    corpus = [*REFERENCES, SHORT, "the dog", "photo of the cat in the harbour"]
    weights = idf_weights([reference()(text)["input_ids"] for text in corpus], SHAPE.context)
    idf = Idf.fit(corpus, load_tokenizer(clip_environment.vocabulary), SHAPE.context)
    row = {"path": str(media["short"]), "text": SHORT, "reference": REFERENCES}
    frames = clip_environment.images(pictures(media["short"])[::7])
    (outcome,) = map_rows(make(clip_environment, reference_column="reference", idf=idf), [row], OPTIONS)
    expected = expected_columns(clip_environment, frames, SHORT, REFERENCES, weights)
    assert scores(outcome) == pytest.approx(expected, abs=2e-5)
    (plain,) = map_rows(make(clip_environment, reference_column="reference"), [row], OPTIONS)
    assert max(abs(plain[name] - value) for name, value in scores(outcome).items()) > 1e-3


def test_the_default_frames_are_ten_from_first_to_last(clip_environment, media):
    indices = [math.floor(49 * i / 9 + 1e-9) for i in range(10)]
    frames = clip_environment.images([pictures(media["long"])[i] for i in indices])
    row = {"path": str(media["long"]), "text": SHORT}
    stage = EMScoreStage(clip_model=str(clip_environment.weights), device="cpu", precision="fp32")
    (outcome,) = map_rows(stage, [row], OPTIONS)
    expected = expected_columns(clip_environment, frames, SHORT)["emscore"]
    assert scores(outcome) == {"emscore": pytest.approx(expected, abs=2e-5)}


@pytest.mark.parametrize("cell", [None, "", "  ", "[]", '["", null]', [], [None, ""], float("nan")])
def test_a_row_without_a_reference_keeps_its_other_scores(clip_environment, media, cell):
    rows = [{"path": str(media["high"]), "text": SHORT, "reference": cell}]
    (outcome,) = map_rows(make(clip_environment, reference_column="reference"), rows, OPTIONS)
    (alone,) = map_rows(make(clip_environment), rows, OPTIONS)
    expected = {**dict.fromkeys(scores(outcome)), **scores(alone)}
    assert scores(outcome) == expected and len(expected) == 21
    assert outcome["emscore"] is not None and outcome["emscore_ref"] is None
    assert outcome[REMARKS] == []
    assert outcome[FAILURES] == [["bad_value", "no EMScore(X,X*): the cell of column reference is empty"]]


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("[cat] a photo", ["[cat] a photo"]),
        ("['the cat', \"the dog's\"]", ["the cat", "the dog's"]),
        ('[["the cat"]]', ['[["the cat"]]']),
        (np.array(["the cat", "dog"], dtype=object), ["the cat", "dog"]),
        (("the cat", "  "), ["the cat"]),
    ],
)
def test_references_in_a_cell(clip_environment, media, cell, texts):
    stage = make(clip_environment, reference_column="reference", score_types=(REFERENCE,))
    row = {"path": str(media["high"]), "text": SHORT}
    (outcome,) = map_rows(stage, [{**row, "reference": cell}], OPTIONS)
    assert scores(outcome) == pytest.approx(expected_columns(clip_environment, None, SHORT, texts), abs=2e-5)


def test_texts_alone_need_no_file(clip_environment, tmp_path):
    stage = make(clip_environment, reference_column="reference", score_types=(REFERENCE,))
    rows = [
        {"path": str(tmp_path / "no.mp4"), "text": SHORT, "reference": REFERENCES[0]},
        {"path": str(tmp_path / "no.mp4"), "text": SHORT, "reference": None},
        {"path": str(tmp_path / "no.mp4"), "text": SHORT, "reference": [3]},
    ]
    scored, empty, wrong = map_rows(stage, rows, OPTIONS)
    assert scored["emscore_ref"] is not None
    assert isinstance(empty, MediaError) and empty.kind == "bad_value" and "reference" in empty.message
    assert isinstance(wrong, MediaError) and "3 is no text" in wrong.message


def test_a_long_caption_is_read_whole(clip_environment, media):
    """Start token, the words of all chunks, and one end token: the mean of those of the chunks."""
    chunks = [tokens_of(clip_environment, sentence) for sentence in SENTENCES]
    assert sum(len(ids) - 2 for _, ids in chunks) > ROOM
    assert all(len(a) + len(b) - 4 > ROOM for (_, a), (_, b) in pairwise(chunks))
    end = np.mean([features[-1] for features, _ in chunks], axis=0)
    words = [features[1:-1] for features, _ in chunks]
    tokens = np.concatenate([chunks[0][0][:1], *words, end[None] / np.linalg.norm(end)])
    frames = clip_environment.images(pictures(media["short"])[::7])
    expected = against_video(tokens, np.ones(len(tokens)), frames)

    row = [{"path": str(media["short"]), "text": LONG}]
    (split,) = map_rows(make(clip_environment), row, OPTIONS)
    for name in METRICS:
        assert split[column_of(VIDEO, name)] == pytest.approx(expected[name], abs=2e-5)
    assert split[REMARKS] == []

    (cut,) = map_rows(make(clip_environment, long_text="truncate"), row, OPTIONS)
    assert cut[REMARKS] == ["caption longer than the 16 tokens that CLIP takes, cut there"]
    assert abs(cut["emscore"] - split["emscore"]) > 1e-4
    (failed,) = map_rows(make(clip_environment, long_text="error"), row, OPTIONS)
    assert isinstance(failed, MediaError) and "tokens, CLIP takes 14" in failed.message
    row = [{"path": str(media["short"]), "text": SHORT, "reference": [REFERENCES[0], LONG]}]
    stage = make(clip_environment, long_text="truncate", reference_column="reference")
    assert map_rows(stage, row, OPTIONS)[0][REMARKS] == [
        "reference longer than the 16 tokens that CLIP takes, cut there"
    ]


def test_a_row_scores_the_same_in_any_batch(clip_environment, media):
    """To the last bit, beside longer and shorter captions, videos and lists of references."""
    corpus = Idf.fit([SHORT, *SENTENCES, *REFERENCES], load_tokenizer(clip_environment.vocabulary), 16)
    stage = make(clip_environment, reference_column="reference", idf=corpus, frame_details=True)
    texts = [SHORT, LONG, "cat", "Good photo."]
    references = [REFERENCES, None, LONG, [REFERENCES[1], LONG]]
    rows = [
        stage.prepare({"path": str(path), "text": text, "reference": own}, read_sampled(path, stage.sampling))
        for path, text, own in zip(media.values(), texts, references, strict=True)
    ]
    stage.setup()
    together = stage.score(rows)
    assert len({len(row.crops) for row in rows}) > 2
    assert [stage.score([row])[0] for row in rows] == together
    assert stage.score(rows[::-1])[::-1] == together
    assert stage.score(rows * 20)[-4:] == together


def test_details_of_frames(clip_environment, media):
    stage = make(
        clip_environment, reference_column="reference", frame_details=True, metrics=("cogr", "figr_P")
    )
    row = {"path": str(media["short"]), "text": "The fishermen's cat, slowly", "reference": REFERENCES[0]}
    (outcome,) = map_rows(stage, [row], OPTIONS)
    details = json.loads(outcome["frame_details"])
    frames = clip_environment.images(pictures(media["short"])[::7])
    assert [frame["frame_index"] for frame in details] == [0, 7, 14, 21]
    assert [frame["timestamp"] for frame in details] == pytest.approx([0, 0.28, 0.56, 0.84])
    for number, frame in enumerate(details):
        alone = expected_columns(clip_environment, frames[number : number + 1], row["text"], REFERENCES[:1])
        for kind in (VIDEO, REFERENCE, BOTH):
            assert list(frame[kind]) == ["figr_P", "cogr"]
            for name, value in frame[kind].items():
                assert value == pytest.approx(alone[column_of(kind, name)], abs=2e-5)
    tokens, ids = tokens_of(clip_environment, row["text"])
    similar = tokens @ frames.T
    pieces, found = reference().convert_ids_to_tokens(ids), []
    start = 1
    for end, piece in enumerate(pieces[:-1], 1):
        if piece.endswith("</w>"):
            word = "".join(pieces[start:end]).replace("</w>", "")
            found.append((word, slice(start, end)))
            start = end
    assert [word for word, _ in found] == ["the", "fishermen", "'s", "cat", ",", "slowly"]
    assert len(found) < len(ids) - 2
    tokenizer = load_tokenizer(clip_environment.vocabulary)
    assert words(tokenizer, tokenize(tokenizer, row["text"], SHAPE.context, "error")) == found
    best = [(word, int(similar[place].max(axis=0).argmax())) for word, place in found]
    assert [frame["words"] for frame in details] == [[w for w, at in best if at == n] for n in range(4)]


def test_weights_of_zero_leave_empty_cells_and_a_reason(clip_environment, media):
    idf = Idf.fit([SHORT], load_tokenizer(clip_environment.vocabulary), SHAPE.context)
    row = {"path": str(media["wide"]), "text": SHORT}
    (outcome,) = map_rows(make(clip_environment, idf=idf), [row], OPTIONS)
    assert outcome["emscore"] is None and outcome["emscore_figr_r"] is not None
    ((kind, message),) = outcome[FAILURES]
    assert kind == "bad_value" and "weigh nothing" in message


@pytest.mark.parametrize("text", [None, "", " \t"])
def test_an_empty_caption_fails(clip_environment, media, text):
    (failed,) = map_rows(make(clip_environment), [{"path": str(media["wide"]), "text": text}], OPTIONS)
    assert isinstance(failed, MediaError) and failed.kind == "bad_value" and "text" in failed.message


def test_a_fused_run_gives_the_same_values(clip_environment, media):
    stage = make(clip_environment, reference_column="reference")
    match = MatchingStage(clip_model=str(clip_environment.weights), device="cpu", precision="fp32")
    rows = [
        {"path": str(path), "text": SHORT, "reference": own}
        for path, own in zip(media.values(), [REFERENCES, None, LONG, "cat"], strict=True)
    ]
    fused = map_rows(FusedStage(stages=(stage, match)), rows, OPTIONS)
    alone = map_rows(make(clip_environment, reference_column="reference"), rows, OPTIONS)
    assert [scores(outcome) for outcome in fused] == [scores(outcome) for outcome in alone]
    assert all(outcome["match"] is not None for outcome in fused)


def test_what_was_asked_changes_with_what_changes_values(clip_environment):
    same = make(clip_environment).config()
    idf = Idf.fit([SHORT], load_tokenizer(clip_environment.vocabulary), SHAPE.context)
    for options in (
        {"long_text": "truncate"},
        {"metrics": ("cogr",)},
        {"reference_column": "reference"},
        {"sampling": Sampling("first")},
        {"idf": idf},
        {"frame_details": True},
    ):
        assert make(clip_environment, **options).config() != same
    assert json.loads(json.dumps(same)) == same


def test_options_that_contradict_each_other_are_refused(clip_environment):
    with pytest.raises(UserError, match=r"EMScore\(X,X\*\) compares captions with references"):
        make(clip_environment, score_types=(VIDEO, REFERENCE))
    with pytest.raises(UserError, match="no score uses the video"):
        make(
            clip_environment,
            reference_column="reference",
            score_types=(REFERENCE,),
            save_embeddings="x.npy",
        )
    with pytest.raises(UserError, match="split, truncate, error"):
        make(clip_environment, long_text="cut")
    idf = Idf(1, {3: 1}, 3, 4)
    with pytest.raises(UserError, match="counted with a vocabulary of 4 tokens"):
        map_rows(make(clip_environment, idf=idf), [], OPTIONS)


def test_flags_of_the_command(clip_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_B_32", str(clip_environment.weights))

    def stage(*flags: str) -> EMScoreStage:
        parser = COMMAND.parser()
        parser.raises = True
        return COMMAND.make_stage(parser.parse_args(["meta.csv", "--device", "cpu", *flags]))

    plain = stage()
    assert plain.sampling.asdict() == {"policy": "count_uniform", "count": 10, "start": 0.0}
    assert (plain.clip_model, plain.required_columns) == ("ViT-B/32", ("path", "text"))
    assert stage("--every-n-seconds", "2").sampling == Sampling("interval_time", interval=2.0)
    assert stage("--every_n_frames", "1").sampling == Sampling("interval_frames", step=1)
    assert stage("--num-frames", "4").sampling == Sampling("count_uniform", 4)
    chosen = stage("--score-types", "video", "EMScore(X,X*)", "--metrics", "all", "--reference-column", "r")
    assert (chosen.score_types, chosen.metrics) == ((VIDEO, REFERENCE), tuple(METRICS))
    assert chosen.required_columns == ("path", "text", "r")
    meta = write_table(pl.DataFrame({"text": [SHORT], "r": [LONG]}), tmp_path / "corpus.csv")
    assert (
        stage("--idf-corpus", str(meta)).idf.frequencies
        != stage("--idf-corpus", str(meta), "--reference-column", "r").idf.frequencies
    )
    for flags, message in (
        (("--every-n-seconds", "2", "--every-n-frames", "3"), "exclude each other"),
        (("--every-n-seconds", "2", "--sampling", "middle"), "exclude each other"),
        (("--every-n-seconds", "0"), r"Invalid every_n_seconds \(0\). Supported values are numbers above 0"),
        (("--score-types", "audio"), "Invalid score_types"),
        (("--idf-column", "r"), "not given"),
    ):
        with pytest.raises(UserError, match=message):
            stage(*flags)


def test_the_library_scores_captions(clip_environment, media):
    scorer = EMScorer(clip_environment.weights, device="cpu", precision="fp32")
    videos = [pictures(media["short"])[::7], pictures(media["wide"])]
    found = scorer.score([SHORT, "the cat"], videos, [REFERENCES, None])
    expected = expected_columns(clip_environment, clip_environment.images(videos[0]), SHORT, REFERENCES)
    assert {
        column_of(kind, name): value for kind, own in found[0].items() for name, value in own.items()
    } == pytest.approx(expected, abs=2e-5)
    assert list(found[1]) == [VIDEO]
    assert list(scorer.score([SHORT], references=["the cat"])[0]) == [REFERENCE]
    with pytest.raises(ValueError, match="2 candidates and 1 videos"):
        scorer.score([SHORT, SHORT], videos[:1])
    with pytest.raises(ValueError, match="empty"):
        scorer.score([" "], videos[:1])


def test_the_command_alone_and_as_ranks(clip_environment, media, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VIDSIEVE_CLIP_VIT_B_32", str(clip_environment.weights))
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    rows = [
        (media["long"], SHORT, json.dumps(REFERENCES)),
        (media["wide"], LONG, ""),
        (broken, SHORT, REFERENCES[0]),
        (media["short"], "the cat", REFERENCES[0]),
    ]
    table = pl.DataFrame(
        [(str(p), *texts) for p, *texts in rows], ["path", "text", "reference"], orient="row"
    )
    meta = write_table(table, tmp_path / "meta.csv")

    flags = ["--candidate-column", "text", "--reference-column", "reference", "--precision", "fp32"]
    flags += ["--device", "cpu", "--quiet", "--every-n-seconds", "0.28", "--idf-corpus", str(meta)]
    alone = tmp_path / "alone.csv"
    assert main([str(meta), "--output", str(alone), "--num-workers", "1", *flags]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(alone)
    assert any(line.startswith("4 rows: 3 done, 1 failed") for line in said.err.splitlines())
    failures = pl.read_csv(tmp_path / "alone.failures.csv")
    assert failures["path"].to_list() == [str(media["wide"]), str(broken)]
    assert failures["message"][0] == "no EMScore(X,X*): the cell of column reference is empty"
    found = pl.read_csv(alone)
    assert found.columns == ["path", "text", "reference", "emscore", "emscore_ref", "emscore_both"]
    assert found["emscore"].is_null().to_list() == [False, False, True, False]
    assert found["emscore_ref"].is_null().to_list() == [False, True, True, False]
    corpus = [reference()(text)["input_ids"] for text in [*REFERENCES, REFERENCES[0], REFERENCES[0]]]
    weights = idf_weights(corpus, SHAPE.context)
    unseen = math.log(len(corpus) + 1)
    weights = {number: weights.get(number, unseen) for number in range(SHAPE.vocab)}
    frames = clip_environment.images(pictures(media["short"])[::7])
    expected = expected_columns(clip_environment, frames, "the cat", REFERENCES[:1], weights)
    for column in ("emscore", "emscore_ref", "emscore_both"):
        assert found[column][3] == pytest.approx(expected[column], abs=2e-5)

    run_as_ranks(main, meta, *flags, "--num-workers", 0, "--bs", 1)
    parts = [tmp_path / f"meta_emscore_part{rank}.csv" for rank in range(2)]
    merged = write_table(merge_tables(parts), tmp_path / "merged.csv")
    assert merged.read_bytes() == alone.read_bytes()


def test_frames_of_a_stage_without_video_are_empty(clip_environment):
    stage = make(clip_environment, reference_column="reference", score_types=(REFERENCE,))
    ready = stage.prepare({"path": "x", "text": SHORT, "reference": "the cat"}, Frames())
    assert ready.crops.shape == (0, 32, 32, 3)
