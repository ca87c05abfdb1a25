"""The command, on tables and ratings whose truth is known by construction."""

import json
import re

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sklearn", reason="the extra rate is not installed")

from scipy.stats import spearmanr

from tools.datasets.rate.__main__ import main
from tools.datasets.rate.features import groups_of, read_texts, score_columns
from tools.datasets.rate.render import render_result
from tools.datasets.rate.table import rate_table
from tools.errors import UserError
from tools.table import read_table, write_table

ROWS = 150


@pytest.fixture
def table():
    """Clips of 30 sources; liked is aes less motion, and 3 rows have no score."""
    rng = np.random.default_rng(0)
    scores = {
        "aes": rng.normal(5, 1, ROWS),
        "motion": rng.uniform(0, 2, ROWS),
        "my own": rng.normal(size=ROWS),
    }
    scores = {
        name: [None if i in (10, 20, 30) else float(v) for i, v in enumerate(c)] for name, c in scores.items()
    }
    names = [f"clips/a {i:03}.mp4" for i in range(ROWS)]
    texts = ['<script>"x"</script>, a\nb'] * ROWS
    sources = [f"v{i % 30}.mp4" for i in range(ROWS)]
    return pl.DataFrame({"path": names, "id": ["007"] * ROWS, "text": texts, "source": sources, **scores})


def liked(table):
    return (table["aes"] - 5 - (table["motion"] - 1)).fill_null(0).to_numpy()


def write_ratings(path, table, rows, **more):
    values = np.clip(np.round(3 + liked(table)), 1, 5)
    lines = [{"path": table["path"][i], "rating": int(values[i]), **more} for i in rows]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def ratings(table, tmp_path):
    return write_ratings(tmp_path / "r.jsonl", table, range(0, ROWS, 2))


@pytest.mark.parametrize("name", ["meta.csv", "meta.parquet", "meta.jsonl"])
def test_suitability_follows_what_was_liked(tmp_path, table, ratings, name):
    meta = write_table(table, tmp_path / name)
    result = rate_table(meta, [ratings], model="ridge")
    assert result.output == tmp_path / name.replace("meta", "meta_rate")
    written = read_table(result.output)
    assert written.drop("suitability", "suitability_std").equals(read_table(meta))
    found = written["suitability"].cast(pl.Float64)
    empty = [i for i in range(ROWS) if found[i] is None]
    assert empty == [10, 20, 30] and result.predicted == ROWS - 3 and result.used == 75 - 3
    assert spearmanr(np.delete(found.to_numpy(), empty), np.delete(liked(table), empty)).statistic > 0.95
    assert written["suitability_std"].is_null().sum() == 3
    assert result.columns == ["aes", "motion", "my own"]
    assert result.learned.groups == 15  # even rows are of even sources


def test_the_command(tmp_path, table, ratings, capsys):
    meta = write_table(table, tmp_path / "my meta.csv")
    following = tmp_path / "next.jsonl"
    flags = ["--model", "ridge", "--next", "4", "--next-out", str(following), "--columns", "aes", "my own"]
    main([str(meta), "--ratings", str(ratings), *flags])
    told = capsys.readouterr()
    assert told.out.split("\n") == [str(following), str(tmp_path / "my meta_rate.csv"), ""]
    for word in ("72 (1 to 5)", "rated rows without any score: 3", "my own", "15 source videos", "ridge"):
        assert word in told.err
    assert "rows without suitability, as they have none of the scores: 3" in told.err
    rows = read_table(following)
    assert rows.height == 4 and rows.columns == [*table.columns, "suitability", "suitability_std"]
    assert rows["source"].n_unique() == 4
    rated = {json.loads(line)["path"] for line in ratings.read_text().splitlines()}
    assert not rated & set(rows["path"])
    shown = [line.rpartition("  ")[2] for line in told.err.splitlines() if line.endswith(".mp4")]
    assert shown == rows["path"].to_list()
    receipt = json.loads((tmp_path / ".vidsieve/my meta_rate.csv/my meta_rate.csv.receipt.json").read_text())
    assert receipt["ask"]["config"]["columns"] == ["aes", "my own"] and receipt["counts"] == [ROWS, 3, 0]


def test_the_same_seed_gives_the_same_bytes_and_more_ratings_replace_the_table(tmp_path, table, ratings):
    meta = write_table(table, tmp_path / "meta.csv")
    first = rate_table(meta, [ratings], model="ridge", seed=3).output.read_bytes()
    assert rate_table(meta, [ratings], model="ridge", seed=3).output.read_bytes() == first
    assert rate_table(meta, [ratings], model="ridge", seed=4).output.read_bytes() != first
    more = write_ratings(tmp_path / "more.jsonl", table, range(1, ROWS, 2), rater="ben")
    again = rate_table(meta, [ratings, more], model="ridge")
    assert again.used == ROWS - 3 and again.next == []
    assert "no row was rated by two of them" in render_result(again)


def test_an_earlier_suitability_is_not_learned_from(tmp_path, table, ratings):
    spoiled = table.with_columns(pl.Series("suitability", liked(table)), pl.lit(0.1).alias("suitability_std"))
    result = rate_table(write_table(spoiled, tmp_path / "a.csv"), [ratings], model="ridge")
    plain = rate_table(write_table(table, tmp_path / "b.csv"), [ratings], model="ridge")
    assert result.output.read_bytes() == plain.output.read_bytes()
    with pytest.raises(UserError, match="--columns suitability: it is what an earlier run predicted"):
        rate_table(tmp_path / "a.csv", [ratings], columns=["suitability"])


def test_clips_of_one_source_alone(tmp_path, table, ratings):
    meta = write_table(table.with_columns(pl.lit("one.mp4").alias("source")), tmp_path / "meta.csv")
    result = rate_table(meta, [ratings], model="ridge")
    assert result.learned.groups == 72  # each is held out alone
    text = render_result(result)
    assert "72 clips" in text and "all rated rows are of one source video" in text


def test_noise_is_told(tmp_path, table):
    rng = np.random.default_rng(6)
    lines = [{"path": path, "keep": bool(rng.random() < 0.5)} for path in table["path"][:80]]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = rate_table(write_table(table, tmp_path / "meta.csv"), [tmp_path / "r.jsonl"], model="ridge")
    found = result.learned.validations["ridge"]
    assert found.low < 0 < found.high
    text = render_result(result)
    assert "keep or reject" in text and "do not choose by suitability" in text


def test_embeddings_tell_what_no_score_does(tmp_path, table, ratings):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ROWS, 50)) * 0.1
    vectors[:, 7] += liked(table)
    np.save(tmp_path / "clips.npy", vectors.astype(np.float32))
    noise = table.drop("motion").with_columns(pl.Series("aes", rng.normal(size=ROWS)))
    meta = write_table(noise, tmp_path / "meta.csv")
    result = rate_table(meta, [ratings], embeddings=tmp_path / "clips.npy", model="ridge")
    assert result.learned.importances[0].column == "embedding"
    assert result.learned.validations["ridge"].low > 0.8
    assert result.predicted == ROWS
    bare = write_table(table.select("path"), tmp_path / "bare.csv")
    alone = rate_table(bare, [ratings], embeddings=tmp_path / "clips.npy", model="ridge")
    assert alone.columns == [] and alone.learned.validations["ridge"].low > 0.8


def test_odd_cells(tmp_path, table, ratings):
    """Texts, infinities and empty cells are missing values; true and false are 1 and 0."""
    cells = ["nan", "inf", "-inf", "", "a, b", "1e400", *[str(i) for i in range(6, ROWS)]]
    odd = table.with_columns(
        pl.Series("motion", cells),
        pl.Series("flow", [""] * ROWS),
        pl.Series("rare", ["true", "False", "x"] * (ROWS // 3)),
    )
    meta = write_table(odd, tmp_path / "meta.csv")
    result = rate_table(meta, [ratings], columns=["aes", "motion", "flow", "rare"], model="ridge")
    assert result.unused == ["flow"] and result.columns == ["aes", "motion", "rare"]
    assert "columns without a number in the rated rows: flow" in render_result(result)


def test_what_cannot_be_learned(tmp_path, table, ratings):
    meta = write_table(table, tmp_path / "meta.csv")
    few = write_ratings(tmp_path / "few.jsonl", table, range(22))  # rows 10 and 20 have no score
    assert rate_table(meta, [few], columns=["aes"], model="ridge").used == 20
    few = write_ratings(tmp_path / "few.jsonl", table, range(21))
    with pytest.raises(
        UserError, match=r"19 rated rows are too few .*, 2 more have no score: 20 are the least"
    ):
        rate_table(meta, [few])
    same = tmp_path / "same.jsonl"
    same.write_text("\n".join(json.dumps({"path": path, "rating": 4}) for path in table["path"][:50]))
    with pytest.raises(UserError, match="all ratings are 4"):
        rate_table(meta, [same])
    other = tmp_path / "other.jsonl"
    other.write_text('{"path": "elsewhere.mp4", "rating": 4}')
    with pytest.raises(UserError, match="none of 1 ratings"):
        rate_table(meta, [other])
    bare = write_table(table.select("path", "text"), tmp_path / "bare.csv")
    with pytest.raises(UserError, match=re.escape("no column of scores (it has: path, text)")):
        rate_table(bare, [ratings])
    for wrong, message in (("nothing", "no column 'nothing'"), ("text", "too few to learn from")):
        with pytest.raises(UserError, match=message):
            rate_table(meta, [ratings], columns=[wrong])
    with pytest.raises(UserError, match="it has no rows"):
        rate_table(write_table(table.clear(), tmp_path / "empty.csv"), [ratings])


def test_nothing_of_others_is_overwritten(tmp_path, table, ratings):
    meta = write_table(table, tmp_path / "meta.csv")
    before = {path: path.read_bytes() for path in (meta, ratings)}
    for flags, message in (
        ({"output": meta}, "would overwrite the input"),
        ({"output": tmp_path / "x.txt"}, "x.txt"),
        ({"next_output": meta}, "would overwrite the input"),
        ({"next_output": tmp_path / "meta_rate.csv"}, "choose another --next-out"),
        ({"embeddings": tmp_path / "none.npy"}, "there is no file of this name"),
        ({"model": "forest"}, "Supported values are ridge, boosting"),
    ):
        with pytest.raises(UserError, match=message):
            rate_table(meta, [ratings], **flags)
    write_table(table.with_columns(pl.lit(1).alias("hours of work")), tmp_path / "meta_rate.csv")
    with pytest.raises(UserError, match="hours of work"):
        rate_table(meta, [ratings])
    assert {path: path.read_bytes() for path in before} == before
    assert rate_table(meta, [ratings], model="ridge", overwrite=True).predicted == ROWS - 3


def test_columns_are_those_that_are_measured_on_the_clip():
    names = [
        "path",
        "text",
        "aes",
        "start",
        "scene",
        "quality_user0",
        "codec",
        "my_own",
        "my_words",
        "my_gaps",
        "text_len",
        "embedding",
    ]
    cells = {"my_words": ["1", "two"], "my_gaps": ["", "nan"], "my_own": ["", "2"]}
    frame = pl.LazyFrame({name: cells.get(name, ["1", "2"]) for name in names})
    frame = frame.with_columns(pl.lit(pl.Series([[[1.0]]])).alias("embedding"), typed=pl.Series([None, 3]))
    found = score_columns(frame, None, "meta.csv")
    assert found == ["aes", "quality_user0", "my_own", "my_gaps", "text_len", "typed"]


def test_groups_are_sources_or_else_paths():
    frame = pl.LazyFrame({"source": ["a", "b", "", None, "a"], "path": ["1", "2", "a", "a", "5"]})
    first, second, third, fourth, fifth = groups_of(read_texts(frame, ["path", "source"], "m"))
    assert first == fifth and third == fourth and len({first, second, third}) == 3
    lonely = read_texts(frame.select("path"), ["path", "source"], "m")
    assert len(set(groups_of(lonely))) == 4 and lonely.height == 5
