"""Quantiles and histograms against pandas, NumPy and the standard library; counts by hand."""

import random
import statistics

import numpy as np
import pandas as pd
import polars as pl
import pytest
from wcwidth import wcswidth

from tools.errors import UserError
from tools.report.summary import render_summary, rows_of_kind, summarize, summarize_kinds
from tools.report.summary.numbers import QUANTILES, column_series, summarize_numbers
from tools.table import scan_table


def scan(tmp_path, text, name="meta.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return scan_table(path)


@pytest.mark.parametrize("count", [2, 3, 10, 1000, 1001])
def test_quantiles_are_those_of_pandas_and_of_the_standard_library(count):
    draw = random.Random(count)
    values = [draw.gauss(5, 2) for _ in range(count)]
    found = summarize_numbers(pl.Series(values))
    series = pd.Series(values)
    assert list(found.quantiles.values()) == pytest.approx(series.quantile(list(QUANTILES)).tolist())
    percentiles = statistics.quantiles(values, n=100, method="inclusive")
    assert list(found.quantiles.values()) == pytest.approx(
        [percentiles[round(100 * q) - 1] for q in QUANTILES]
    )
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert found.mean == pytest.approx(statistics.fmean(values))


def test_numbers_of_a_csv_are_read_and_what_is_no_number_is_counted(tmp_path):
    cells = ["5", "", "NaN", "x", "inf", "-inf", "1e1", "007"]
    frame = scan(tmp_path, "path,aes\n" + "".join(f"{i}.mp4,{cell}\n" for i, cell in enumerate(cells)))
    aes = summarize(frame).numbers["aes"]
    assert (aes.count, aes.empty, aes.unreadable) == (
        3,
        1,
        4,
    )  # NaN, x, inf and -inf are text without a value
    assert (aes.minimum, aes.quantiles[0.5], aes.maximum) == (5, 7, 10)


def test_typed_tables_give_the_same_as_csv(tmp_path):
    rows = pl.DataFrame(
        {
            "path": [f"{i}.mp4" for i in range(50)],
            "aes": [None if i == 3 else float("nan") if i == 4 else i / 7 for i in range(50)],
            "num_frames": list(range(2, 52)),
            "fps": [25.0] * 50,
            "text": ["", None, " ", *["a b"] * 47],
            "cmotion": ["static", "pan_left"] * 25,
        }
    )
    rows.write_parquet(tmp_path / "m.parquet")
    rows.with_columns(pl.col("aes").fill_nan(None)).write_csv(tmp_path / "m.csv")
    typed, text = summarize(scan_table(tmp_path / "m.parquet")), summarize(scan_table(tmp_path / "m.csv"))
    assert typed.numbers == text.numbers
    assert (typed.labels, typed.text, typed.sizes) == (text.labels, text.text, text.sizes)
    assert typed.numbers["aes"].empty == 2


def test_other_columns_are_numbers_only_when_all_their_filled_cells_are(tmp_path):
    frame = scan(tmp_path, "path,id,mine,mixed,blank\na.mp4,007,1,1,\nb.mp4,008,,two,\nc.mp4,009,2.5,3,\n")
    assert set(summarize(frame).numbers) == {"mine"}  # id is text by the contract


def test_kinds_are_told_by_num_frames_and_else_by_the_name(tmp_path):
    frame = scan(
        tmp_path,
        "path,num_frames\na.mp4,10\nb.mp4,1\nc.JPG,\nd.mkv,\ne.mp4,0\nf.txt,\n,\ng.png,25\nh.gif,\ni.jpg.mov,x\n",
    )
    overview = summarize_kinds(frame)[0]
    assert overview.kinds == {"video": 5, "image": 2, "broken": 1, "unknown": 2}
    assert overview.rows == 10
    assert rows_of_kind(frame, "image").collect()["path"].to_list() == ["b.mp4", "c.JPG"]


def test_hours_come_from_duration_and_else_from_frames_over_rate(tmp_path):
    frame = scan(
        tmp_path,
        "path,num_frames,fps,duration\n"
        "a.mp4,100,25,3600\n"  # 1 h
        "b.mp4,54000,30,\n"  # 54000 / 30 = 1800 s
        "c.mp4,100,,\n"  # not known
        "d.mp4,100,25,0\n"  # 0 s is no length: 4 s
        "e.mp4,100,0,\n"  # not known
        "f.jpg,1,,0\n"  # an image has none
        "g.mp4,0,,\n",  # broken
    )
    overview = summarize_kinds(frame)[0]
    assert overview.seconds == pytest.approx(3600 + 1800 + 4)
    assert overview.hours == pytest.approx(5404 / 3600)
    assert overview.unknown_length == 2


def test_captions_and_paths_that_repeat_are_counted(tmp_path):
    long = "x" * 100_000
    frame = scan(
        tmp_path,
        f'path,text\na.mp4,"cat, ""dog""\nbird"\nb.mp4,\nc.mp4,None\na.mp4,None\nd.mp4,🎬🎬\n'
        f'e.mp4,"  "\nf.mp4,{long}\n',
    )
    summary = summarize(frame)
    assert summary.overview.paths == 6 == summarize_kinds(frame)[0].paths
    text = summary.text
    assert (text.filled, text.empty, text.duplicates) == (5, 2, 1)
    assert (text.characters.minimum, text.characters.maximum) == (2, 100_000)  # characters, not bytes
    assert text.characters.quantiles[0.5] == 4  # None


def test_labels_are_columns_of_few_values(tmp_path):
    rows = [
        f"{i}.mp4,{'static' if i % 3 else 'pan_left+zoom_in'},{'en' if i else ''},name{i}" for i in range(90)
    ]
    summary = summarize(scan(tmp_path, "path,cmotion,language,nick\n" + "\n".join(rows)))
    assert summary.labels == {
        "cmotion": {"static": 60, "pan_left+zoom_in": 30},
        "language": {"en": 89, None: 1},
    }


def test_sizes_and_sources(tmp_path):
    frame = scan(
        tmp_path,
        "path,source,width,height,duration\n"
        "a.mp4,/s/1.mp4,1280,720,10\nb.mp4,/s/1.mp4,1280,720,20\nc.mp4,/s/2.mp4,720,1280,40\nd.mp4,,0,0,1\n",
    )
    summary = summarize(frame)
    assert summary.sizes == [(1280, 720, 2), (720, 1280, 1)]
    assert summary.sources.distinct == 2
    assert summary.sources.largest == [("/s/2.mp4", 1, 40.0), ("/s/1.mp4", 2, 30.0)]


@pytest.mark.parametrize("name", ["rows", "kind", "seconds", "value", "len", "$x$", "🎬", "literal", ""])
def test_any_name_may_be_a_column(tmp_path, name):
    rows = "".join(f"{i}.mp4,{'ab'[i % 2]}\n" for i in range(10))
    assert summarize(scan(tmp_path, f"path,{name}\n{rows}")).labels == {name: {"a": 5, "b": 5}}


def test_nested_cells_and_truth_values_are_no_numbers(tmp_path):
    lines = '{"path": "a.mp4", "aes": 5, "boxes": [[1, 2]], "ok": true}\n' * 4
    summary = summarize(scan(tmp_path, lines, "m.jsonl"))
    assert set(summary.numbers) == {"aes"}
    assert summary.labels == {"ok": {"true": 4}}


def test_a_histogram_counts_every_number_once():
    draw = np.random.default_rng(0)
    for values in (
        draw.normal(size=5000),
        draw.integers(0, 7, 5000).astype(float),
        draw.integers(0, 10_000, 5000).astype(float),
        np.append(draw.normal(size=5000), [1e9, -1e9]),
        np.full(10, 0.1),
        np.array([3.0]),
    ):
        histogram = summarize_numbers(pl.Series(values)).histogram
        assert histogram.below + sum(histogram.counts) + histogram.above == len(values)
        assert len(histogram.counts) + 1 == len(histogram.edges) and len(histogram.counts) <= 100
        assert np.histogram(values, histogram.edges)[0].tolist() == histogram.counts


def test_far_values_do_not_squeeze_a_histogram():
    values = np.append(np.linspace(0, 1, 999), 1e6)
    histogram = summarize_numbers(pl.Series(values)).histogram
    assert histogram.edges[-1] == pytest.approx(pd.Series(values).quantile(0.99))
    assert histogram.above == 10  # the 1 % beyond


@pytest.mark.parametrize(
    "values",
    [
        [-1e300, 1e300],
        [1e300] * 3,
        [-1.7e308, 0.0, 1.7e308],
        [2.0**60, 2.0**60 + 256],
        [5e-324, 1e-323],
        [0.25],
    ],
)
def test_numbers_of_any_size_are_counted(values):
    found = summarize_numbers(pl.Series(values)).histogram
    assert found is not None and sum(found.counts) + found.below + found.above == len(values)
    assert found.edges == sorted(found.edges) and found.edges[0] <= values[0] <= values[-1] <= found.edges[-1]
    assert np.isfinite(found.edges).all()


def test_bins_of_whole_numbers_hold_as_many_numbers_each():
    histogram = summarize_numbers(pl.Series(np.repeat(np.arange(150.0), 4))).histogram
    assert set(histogram.counts) == {8}


def test_columns_are_read_a_few_at_a_time_when_a_table_is_long(monkeypatch):
    monkeypatch.setattr("tools.report.summary.numbers._MEMORY", 8 * 10 * 2)
    frame = pl.LazyFrame({name: [float(i) for i in range(10)] for name in "abcde"})
    read = dict(column_series(frame, {name: pl.col(name) for name in "abcde"}, 10))
    assert [series.sum() for series in read.values()] == [45.0] * 5


def test_a_table_without_rows_has_counts_of_zero(tmp_path):
    summary = summarize(scan(tmp_path, "path,text,aes,height,width,source\n"))
    assert (summary.overview.rows, summary.numbers["aes"].count, summary.text.filled) == (0, 0, 0)
    assert render_summary(summary).startswith("rows")


def test_a_table_that_cannot_be_read_is_one_line(tmp_path):
    frame = scan(tmp_path, "path,aes\na,1\n")
    (tmp_path / "meta.csv").write_text("path,aes\na,1\nb,2,3,4\n")  # after it was looked through
    with pytest.raises(UserError, match=r"m\.csv: cannot read the table"):
        summarize(frame, source="m.csv")


def test_the_text_fits_100_columns_and_says_what_is_missing(tmp_path):
    draw = random.Random(0)
    lines = ["path,num_frames,fps,resolution,flow,a_column_with_a_very_long_name,text,cmotion,source"]
    lines += [
        f"/clips/{i}.mp4,{draw.randrange(2, 10**6)},{'' if i < 3 else 25},{draw.randrange(10**5, 10**7)},"
        f"{draw.random() * -1e-5},{draw.random() * 1e12},caption,static,/videos/{'v' * 90}{i % 4}.mp4"
        for i in range(100)
    ]
    text = render_summary(summarize(scan(tmp_path, "\n".join(lines))))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "without 3 videos of unknown length" in text
    assert "99 that an earlier row has too" in text


def test_the_text_is_aligned_by_the_width_of_its_characters(tmp_path):
    label, source = "全景镜头", "来源" * 30
    lines = ["path,num_frames,分数,景别,source"]
    lines += [f"{i}.mp4,25,{i},{label if i % 2 else 'close'},{source if i % 2 else 'b'}" for i in range(8)]
    text = render_summary(summarize(scan(tmp_path, "\n".join(lines)))).splitlines()
    of_labels = [line for line in text if "50.0%" in line and (label in line or "close" in line)]
    assert len({wcswidth(line[: line.index("50.0%")]) for line in of_labels}) == 1 and len(of_labels) == 2
    of_numbers = [line for line in text if line.startswith(("num_frames", "分数"))]
    assert len({wcswidth(line) for line in of_numbers}) == 1 and len(of_numbers) == 2
    of_sources = [
        line for line in text if line.endswith("rows") and ("来源" in line or line.startswith("  b"))
    ]
    assert len({wcswidth(line) for line in of_sources}) == 1 and len(of_sources) == 2


def test_a_column_of_numbers_may_have_infinite_ones() -> None:
    """They are no statistics, but the column is not one of labels for their sake."""
    for cells in (["1", "2.5", "inf", "", "-inf"], [1.0, 2.5, float("inf"), None, float("-inf")]):
        summary = summarize(pl.LazyFrame({"mine": cells}))
        assert (summary.numbers["mine"].count, summary.numbers["mine"].unreadable) == (2, 2)
        assert summary.labels == {}
