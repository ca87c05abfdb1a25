"""Names and meanings are those documented for Open-Sora's datautil."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from tools.columns import COLUMNS
from tools.datasets import datautil
from tools.datasets.datautil import Settings, filter_table, run_datautil
from tools.datasets.operations import EXECUTION_ORDER, OPERATIONS, SUFFIX_ORDER
from tools.errors import UserError
from tools.table import read_table, write_table

ROOT = Path(__file__).resolve().parents[2]
HARD = ["a,b", 'say "hi"', "two\nlines", "\U0001f600", "None", "007", "", "x" * 100_000]


@pytest.fixture
def meta(tmp_path) -> Path:
    """Eight rows with numbers at, below and above thresholds, and captions that are hard to keep."""
    table = pl.DataFrame(
        {
            "path": [f"v{i}.mp4" for i in range(8)],
            "id": ["007"] * 8,
            "text": HARD,
            "num_frames": ["1", "48", "49", "", "0", "300", "nan", "x"],
            "height": ["100"] * 8,
            "width": ["100", "101", "99", "100", "100", "100", "100", ""],
            "fps": ["24", "30.0", "", "60", "29.97", "NaN", "30", "31"],
            "aes": ["5", "4.99", "5.5", "", "nan", "6", "10", "-1"],
            "flow": ["1"] * 8,
            "match": ["20"] * 8,
        }
    )
    return write_table(table, tmp_path / "meta.csv")


def rows(path) -> list[int]:
    return [int(p[1:-4]) for p in read_table(path)["path"]]


@pytest.mark.parametrize(
    ("flags", "name", "kept"),
    [
        (["--aesmin", "5"], "meta_aesmin5.csv", [0, 2, 5, 6]),
        (["--aesmin", "5.0"], "meta_aesmin5.0.csv", [0, 2, 5, 6]),
        (["--aesmin=5.5"], "meta_aesmin5.5.csv", [2, 5, 6]),
        (["--fmin", "48"], "meta_fmin48.csv", [1, 2, 5]),
        (["--fmin", "1", "--fmax", "48"], "meta_fmin1_fmax48.csv", [0, 1]),
        (["--fpsmax", "30"], "meta_fpsmax30.csv", [0, 1, 2, 4, 5, 6]),
        (["--hwmax", "10000"], "meta_hwmax10000.csv", [0, 2, 3, 4, 5, 6]),
        (["--flowmin", "1", "--matchmin", "20"], "meta_matchmin20_flowmin1.csv", list(range(8))),
        (["--aesmax", "5"], "meta_aesmax5.csv", [0, 1, 7]),
        (["--fpsmin", "30"], "meta_fpsmin30.csv", [1, 2, 3, 5, 6, 7]),
        (["--hwmin", "10000"], "meta_hwmin10000.csv", [0, 1, 3, 4, 5, 6]),
        (["--sort", "aes"], "meta_sort.csv", [6, 5, 2, 0, 1, 7, 3, 4]),
        (["--sort-ascending", "aes"], "meta_sort.csv", [7, 1, 0, 2, 5, 6, 3, 4]),
        (["--head", "3"], "meta_first_3_data.csv", [0, 1, 2]),
        (["--head", "2", "--sort", "aes", "--aesmin", "5"], "meta_sort_aesmin5_first_2_data.csv", [6, 5]),
    ],
)
def test_names_and_rows(meta, capsys, flags, name, kept):
    assert datautil.main([str(meta), *flags]) == 0
    output = meta.with_name(name)
    captured = capsys.readouterr()
    assert captured.out == f"{output}\n"
    assert captured.err.splitlines()[-1] == f"{len(kept)} of 8 rows kept"
    assert rows(output) == kept
    before = {row[0]: row for row in read_table(meta).rows()}
    assert read_table(output).rows() == [before[f"v{i}.mp4"] for i in kept]


def test_shuffle_is_a_permutation_that_a_seed_repeats(meta):
    first, again, other = (
        run_datautil(
            [meta], {"shuffle": True}, settings=Settings(seed), output=meta.with_name(f"{i}.csv")
        ).outputs[0]
        for i, seed in enumerate((7, 7, 8))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert sorted(rows(first)) == list(range(8))
    assert (
        run_datautil([meta], {"shuffle": True}, settings=Settings(7)).outputs[0].name
        == "meta_shuffled_seed7.csv"
    )


def test_shards_are_contiguous_and_merge_to_the_original(meta):
    result = run_datautil([meta], shard=3, output=meta.with_name("s.csv"))
    assert [p.name for p in result.outputs] == ["s_0.csv", "s_1.csv", "s_2.csv"]
    assert [rows(p) for p in result.outputs] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    (merged,) = run_datautil([meta.with_name("s_*.csv")], output=meta.with_name("merged.csv")).outputs
    assert merged.read_bytes() == write_table(read_table(meta), meta.with_name("plain.csv")).read_bytes()


def test_filtering_twice_is_filtering_once(meta):
    once = run_datautil([meta], {"aesmin": 5}).outputs[0]
    twice = run_datautil([once], {"aesmin": 5}).outputs[0]
    assert once.read_bytes() == twice.read_bytes()


def test_several_inputs_are_joined_under_a_joined_name(meta, tmp_path):
    other = write_table(pl.DataFrame({"path": ["v9.mp4"], "extra": ["e"]}), tmp_path / "other.csv")
    (output,) = run_datautil([meta, other]).outputs
    assert output.name == "meta+other.csv"
    table = read_table(output)
    assert table.height == 9
    assert (table["extra"][8], table["text"][8], table["extra"][0]) == ("e", None, None)


def test_formats(meta):
    (parquet,) = run_datautil([meta], {"aesmin": 5}, format="parquet").outputs
    assert parquet.name == "meta_aesmin5.parquet"
    (lines,) = run_datautil([parquet], output=meta.with_name("x.jsonl")).outputs
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == ["007"] * 4


@pytest.mark.parametrize("count", [2, 3])
def test_parts_without_output_get_the_name_of_the_whole(tmp_path, count):
    for rank in range(count):
        text = "path,aes,_row,_part\n" + "".join(
            f"v{i}.mp4,5,{i},{rank}/{count}\n" for i in range(rank, 5, count)
        )
        (tmp_path / f"m_aes_part{rank}.csv").write_text(text)
    (output,) = run_datautil([tmp_path / "m_aes_part*.csv"]).outputs
    assert output.name == "m_aes.csv"
    assert rows(output) == [0, 1, 2, 3, 4]
    assert read_table(output).columns == ["path", "aes"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nothing*.csv"], r"nothing\*\.csv: the pattern matches no table"),
        (["nothing.csv"], "there is no such table"),
        (["meta.csv"], "nothing to do"),
        (["meta.csv", "--output", "meta.csv"], "overwrite the input"),
        (["meta.csv", "--output", "meta.txt"], "not a table"),
        (["empty.csv", "--fmin", "1"], "no rows"),
        (["bare.csv", "--aesmin", "5"], r"bare\.csv: --aesmin: no column 'aes' .*tools\.scoring\.aesthetic"),
        (["bare.csv", "--sort", "nope"], "no column 'nope'"),
        (["meta.csv", "--sort", "aes", "--sort-ascending", "aes"], "give one of them"),
    ],
)
def test_bad_input_is_one_clear_line(meta, monkeypatch, flags, message):
    monkeypatch.chdir(meta.parent)
    Path("empty.csv").write_text("path,num_frames\n")
    Path("bare.csv").write_text("path\na.mp4\n")
    before = meta.read_bytes()
    with pytest.raises(UserError, match=message) as caught:
        datautil.main(flags)
    assert "\n" not in str(caught.value)
    assert meta.read_bytes() == before


@pytest.mark.parametrize("flags", [["--aesmin", "abc"], ["--aesmin", "nan"], ["--head", "0"], ["--nope"]])
def test_bad_flags_exit_2(meta, capsys, flags):
    with pytest.raises(SystemExit) as stop:
        datautil.main([str(meta), *flags])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_info_gives_the_labelled_facts_of_every_file(videos_dir, tmp_path, capsys):
    manifest = json.loads((videos_dir / "manifest.json").read_text())
    meta = write_table(
        pl.DataFrame({"path": [str(videos_dir / v["file"]) for v in manifest]}), tmp_path / "meta.csv"
    )
    assert datautil.main([str(meta), "--info", "--format", "parquet"]) == 0
    table = read_table(tmp_path / "meta_info.parquet")
    assert table.columns == [
        "path",
        "num_frames",
        "height",
        "width",
        "aspect_ratio",
        "fps",
        "resolution",
        "duration",
        "timing",
    ]
    for row, known in zip(table.to_dicts(), manifest, strict=True):
        if known["frames"] is None:
            assert list(row.values())[1:] == [0, *[None] * 7]
            continue
        width, height = map(int, known["size"].split("x"))
        if known["rotation"] % 180:
            width, height = height, width
        if "carphone" in known["file"]:
            width = round(width * 128 / 117)  # pixels that are not square
        rate = pd.eval(known["average_rate"])
        assert (row["num_frames"], row["height"], row["width"]) == (known["frames"], height, width), known[
            "file"
        ]
        assert row["fps"] == pytest.approx(rate, rel=1e-3), known["file"]
        assert row["aspect_ratio"] == pytest.approx(height / width)
        assert row["resolution"] == height * width
    assert "36 files: 35 probed, 1 failed (unreadable 1)" in capsys.readouterr().err
    failures = read_table(tmp_path / "meta_info.failures.csv")
    assert [Path(p).name for p in failures["path"]] == ["bikes_truncated.mp4"]


def test_info_of_what_is_no_video(tmp_path, data_dir, capsys):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    os.mkfifo(tmp_path / "pipe.mp4")
    image = data_dir / "clip_preprocess" / "123_456.jpg"
    names = ["empty.mp4", "text.mp4", "pipe.mp4", "gone.mp4"]
    table = pl.DataFrame({"path": [*(str(tmp_path / n) for n in names), str(image)], "num_frames": ["9"] * 5})
    meta = write_table(table, tmp_path / "meta.csv")
    started = time.monotonic()
    assert datautil.main([str(meta), "--info", "--fmin", "1"]) == 0
    assert time.monotonic() - started < 20
    kept = read_table(tmp_path / "meta_info_fmin1.csv")
    assert kept.select("num_frames", "height", "width", "fps").rows() == [("1", "456", "123", None)]
    failures = read_table(tmp_path / "meta_info_fmin1.failures.csv")
    assert failures["kind"].to_list() == ["empty", "unreadable", "not_a_file", "missing"]
    only_bad = write_table(table.head(4), tmp_path / "bad.csv")
    assert datautil.main([str(only_bad), "--info"]) == 1
    assert "no file could be read" in capsys.readouterr().err


def test_file_sizes(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(3 << 20))
    (tmp_path / "b.mp4").write_bytes(b"x")
    paths = [str(tmp_path / n) for n in ("a.mp4", "b.mp4", "gone.mp4")]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    sizes = read_table(run_datautil([meta], {"filesize": True}).outputs[0])["filesize"].to_list()
    assert [float(s) for s in sizes[:2]] + sizes[2:] == [3.0, 2**-20, None]
    assert read_table(run_datautil([meta], {"fsmax": "2.5"}).outputs[0])["path"].to_list() == paths[1:2]
    assert read_table(run_datautil([meta], {"ext": True}).outputs[0])["path"].to_list() == paths[:2]


def test_frames_are_filtered_in_memory_and_stay_what_they_are():
    frame = pd.DataFrame({"path": ["a", "b", "c"], "aes": [4.0, 5.0, float("nan")], "num_frames": [1, 2, 3]})
    kept = filter_table(frame, aesmin=5)
    assert isinstance(kept, pd.DataFrame)
    assert kept["path"].tolist() == ["b"]
    assert filter_table(pl.from_pandas(frame), fmax=2)["path"].to_list() == ["a", "b"]
    assert isinstance(filter_table(pl.from_pandas(frame).lazy(), fmax=2), pl.LazyFrame)
    with pytest.raises(UserError, match="Invalid operation"):
        filter_table(frame, nonsense=1)


def test_the_registry_and_its_orders_have_the_same_operations():
    assert set(EXECUTION_ORDER) == set(OPERATIONS)
    assert set(SUFFIX_ORDER) == {name for name, operation in OPERATIONS.items() if operation.suffix}


def test_docs_and_registry_know_the_same_flags():
    text = (ROOT / "docs" / "datautil.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `--")]
    documented = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])}
    scores = [name for name, column in COLUMNS.items() if column.score]
    of_scores = {f"{score}{bound}" for score in scores for bound in ("min", "max")}
    others = {name: operation for name, operation in OPERATIONS.items() if name not in of_scores}
    assert {operation.flag for operation in others.values()} == documented - OTHERS
    for operation in others.values():
        row = next(row for row in rows if f"`{operation.flag}" in row.split(" | ")[0])
        assert (f"`{operation.suffix.format('V')}`" in row) == bool(operation.suffix), operation.name
    listed = text[text.index("SCORE is one of") :].partition("\n\n")[0]
    assert all(f"`{score}`" in listed or score.startswith("quality_") for score in scores)


OTHERS = {"--explain", "--dry-run", "--stats", "--rejected"}
"""Flags that show what happens; no operations."""


def test_help_is_quick():
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tools.datasets.datautil", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0
    order = [name.replace("_", "-") for name in EXECUTION_ORDER if not name.endswith(("min", "max"))]
    shown = " ".join(run.stdout.split())
    assert " ".join(order).replace("filesize relpath", "filesize THRESHOLDS relpath") in shown
    assert not re.search(r"\| +(polars|pandas|torch|av|numpy)$", run.stderr, re.MULTILINE)
    assert time.monotonic() - started < 5  # the machine may be busy; what is imported is what counts
