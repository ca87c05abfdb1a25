"""FileStorage: files that other readers understand, and cells that come back as they were."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.errors import UserError
from tools.operators import FileStorage

ROWS = [
    {
        "video": ["./a.mp4"],
        "id": "007",
        "count": 3,
        "score": 0.1,
        "good": True,
        "text": 'é, "q"\n[x]',
        "video_clips": {"clips": [{"id": "a_0", "frame_start": 0, "score": None}]},
    },
    {
        "video": ["b.mp4"],
        "id": "NA",
        "count": None,
        "score": None,
        "good": False,
        "text": None,
        "video_clips": None,
    },
]


@pytest.fixture
def entry(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_cells_come_back_as_they_were(entry, tmp_path, kind):
    storage = FileStorage(str(entry), str(tmp_path / "cache"), "p", kind)
    stepped = storage.step()
    assert (stepped.operator_step, storage.operator_step) == (0, 0)
    written = storage.write(storage.read("dataframe"))
    assert written == str(tmp_path / "cache" / f"p_step1.{kind}")
    assert storage.step().read("dict") == ROWS
    storage.write(storage.read("dict"))
    assert storage.step().read("dict") == ROWS
    assert storage.reset().step().read("dict") == ROWS
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [f"p_step1.{kind}", f"p_step2.{kind}"]


def test_the_files_are_what_other_readers_expect(entry, tmp_path):
    for kind in ("jsonl", "json", "csv", "parquet"):
        storage = FileStorage(str(entry), str(tmp_path), "p", kind).step()
        storage.write(storage.read())
    assert [json.loads(line) for line in (tmp_path / "p_step1.jsonl").read_text().splitlines()] == ROWS
    assert json.loads((tmp_path / "p_step1.json").read_text()) == ROWS
    with (tmp_path / "p_step1.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert json.loads(first["video_clips"]) == ROWS[0]["video_clips"]
    assert (first["id"], first["count"], first["score"], first["good"]) == ("007", "3", "0.1", "True")
    frame = pl.read_parquet(tmp_path / "p_step1.parquet")
    assert frame["count"].dtype == pl.Int64
    assert frame["video_clips"][0] == ROWS[0]["video_clips"]


def test_what_pandas_puts_into_cells_is_written_plainly(entry, tmp_path):
    storage = FileStorage(str(entry), str(tmp_path), "p").step()
    clips = np.array([{"id": "a", "score": np.float32(0.5), "n": np.int64(3)}], dtype=object)
    storage.write(pd.DataFrame({"c": [{"clips": clips}, np.nan], "x": [1.5, np.nan], "y": [pd.NA, "t"]}))
    assert storage.step().read("dict") == [
        {"c": {"clips": [{"id": "a", "score": 0.5, "n": 3}]}, "x": 1.5, "y": None},
        {"c": None, "x": None, "y": "t"},
    ]


def test_a_column_of_one_kind_has_its_kind(tmp_path):
    (tmp_path / "in.csv").write_text("a,b,c\n1,0.5,x\n2,1.25,007\n")
    frame = FileStorage(str(tmp_path / "in.csv")).step().read()
    assert [str(frame[name].dtype) for name in "ab"] == ["int64", "float64"]
    assert frame["c"].tolist() == ["x", "007"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_without_rows_keeps_its_columns(tmp_path, kind):
    storage = FileStorage("in.jsonl", str(tmp_path), "p", kind).step()
    storage.write(pd.DataFrame({"video": [], 7: []}))
    assert storage.file(1).endswith(kind)
    read = FileStorage(storage.file(1)).step().read()
    assert [*read.columns] == ["video", "7"] and not len(read)


def test_infinity_is_null_in_json_as_pandas_writes_it(tmp_path):
    frame = pd.DataFrame({"n": [np.inf, 1.5], "c": [{"clips": [-np.inf, np.nan]}, {"clips": []}]})
    storage = FileStorage("in.jsonl", str(tmp_path), "p").step()
    written = [json.loads(line) for line in Path(storage.write(frame)).read_text().splitlines()]
    assert written == json.loads(frame.to_json(orient="records"))


def test_a_nul_leaves_a_csv_readable(tmp_path):
    storage = FileStorage("in.jsonl", str(tmp_path), "p", "csv").step()
    storage.write([{"a": "x\0y", "b": 1}])
    assert storage.step().read("dict") == [{"a": "x\ufffdy", "b": 1}]


def test_trouble_is_one_clear_line(entry, tmp_path):
    with pytest.raises(UserError, match="cache_type"):
        FileStorage(str(entry), cache_type="xlsx")
    storage = FileStorage(str(entry), str(tmp_path), "p", "parquet")
    with pytest.raises(UserError, match=r"storage\.step\(\)"):
        storage.read()
    with pytest.raises(UserError, match="output_type"):
        storage.step().read("list")
    with pytest.raises(UserError, match=r"p_step1\.parquet: the table cannot be written"):
        storage.write([{"a": 1}, {"a": "text"}])
    with pytest.raises(UserError, match="cannot be written as parquet"):
        storage.write([{"a": 2**70}])
    with pytest.raises(UserError, match="two columns a"):
        storage.write(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]
    with pytest.raises(UserError, match="there is no such file"):
        storage.step().read()
    entry.write_text('{"a": 1}\n[1]\n')
    with pytest.raises(UserError, match="a record is expected"):
        storage.reset().step().read()
    with pytest.raises(UserError, match=r"in\.txt: file type"):
        FileStorage("in.txt").step().read()


def test_rows_are_those_of_the_csv_and_json_modules(tmp_path):
    (tmp_path / "in.csv").write_text('a,b\n1,a 5" nail\n\n2,"x"\n3\n')
    rows = FileStorage(str(tmp_path / "in.csv")).step().read("dict")
    assert rows == [{"a": 1, "b": 'a 5" nail'}, {"a": 2, "b": "x"}, {"a": 3, "b": None}]
    (tmp_path / "in.csv").write_text('a,b\n1,"he said "hi" there"\n')
    with pytest.raises(UserError, match=r"in\.csv: line 2: a quote inside a quoted cell"):
        FileStorage(str(tmp_path / "in.csv")).step().read()
    (tmp_path / "in.jsonl").write_text('{"a": NaN, "b": 1}\n\n{"a": 2, "b": \n')
    with pytest.raises(UserError, match=r"in\.jsonl: line 3: no JSON"):
        FileStorage(str(tmp_path / "in.jsonl")).step().read()


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_half_characters_and_carriage_returns_survive_every_kind(tmp_path, kind):
    (tmp_path / "in.jsonl").write_text(
        '{"text": "bad \\ud83d end", "n": NaN}\n{"text": "one\\rtwo", "n": 1}\n'
    )
    storage = FileStorage(str(tmp_path / "in.jsonl"), str(tmp_path), "p", kind).step()
    assert storage.read()["text"].tolist() == ["bad \ufffd end", "one\rtwo"]
    rows = storage.read("dict")
    rows[0]["text"] = "bad \ud83d end"  # what a server says may be cut in the middle of an emoji
    storage.write(rows)
    assert storage.step().read("dict") == [
        {"text": "bad \ufffd end", "n": None},
        {"text": "one\rtwo", "n": 1},
    ]
