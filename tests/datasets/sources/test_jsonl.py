import gzip
import json

import polars as pl
import pytest

from tools.datasets import convert
from tools.datasets.convert import read_source
from tools.datasets.sources import SourceOptions
from tools.errors import UserError
from tools.table import read_table


def write_lines(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def read(path, **options):
    return read_source("jsonl", [str(path)], SourceOptions(**options))


def test_paths_addresses_and_captions_go_under_the_names_of_the_toolkit(tmp_path):
    source = write_lines(
        tmp_path / "list.jsonl",
        {"video": "clips/a.mp4", "caption": "one", "n": 1, "id": "007"},
        {"url": "https://host/x%20y.mp4?sig=a/b", "prompt": "None", "n": 2, "path": ""},
        {"path": "/abs/b.v2.mp4", "text": "t", "caption": "c", "n": None, "id": 8},
        {"file": "file:///data/%C3%A9.mp4", "text": ""},
        {"path": "c.mp4", "url": "s3://bucket/c.mp4", "relpath": "mine", "_row": 3},
    )
    table = read(source).table
    assert table.select("path", "id", "relpath", "text").rows() == [
        (str(tmp_path / "clips/a.mp4"), "007", "clips/a.mp4", "one"),
        ("https://host/x%20y.mp4?sig=a/b", "x y", None, "None"),
        ("/abs/b.v2.mp4", "8", None, "t"),
        ("/data/é.mp4", "é", None, ""),
        (str(tmp_path / "c.mp4"), "c", "c.mp4", None),
    ]
    assert table["n"].to_list() == [1, 2, None, None, None] and table["n"].dtype == pl.Int64
    assert table["url"].to_list() == [None, None, None, None, "s3://bucket/c.mp4"]
    assert table["caption"].to_list() == [None, None, "c", None, None]
    assert table["json_relpath"].to_list()[-1] == "mine"
    assert read(source, base="/data").table["path"][0] == "/data/clips/a.mp4"
    nested = write_lines(source, {"video": {"path": "a.mp4", "bytes": None}, "text": "x"})
    assert read(nested).table.drop("path").rows() == [("a", "a.mp4", "x")]


def test_types_are_those_of_the_values(tmp_path):
    values = {
        "whole": [1, -5, None],
        "number": [1, 2.5, None],
        "truth": [True, None, False],
        "text": ["007", "", None],
        "mixed": [1, "x", True],
        "list": [[1, "ü"], [], None],
        "large": [1, 2**70, None],
        "nothing": [None, None, None],
        " spaced ": ["a", "b", "c"],
    }
    rows = [{"path": f"{n}.mp4", **{key: v[n] for key, v in values.items()}} for n in range(3)]
    table = read(write_lines(tmp_path / "l.jsonl", *rows)).table
    assert table["whole"].to_list() == [1, -5, None]
    assert table["number"].to_list() == [1.0, 2.5, None]
    assert table["truth"].to_list() == [True, None, False]
    assert table["text"].to_list() == ["007", "", None]
    assert table["mixed"].to_list() == ["1", "x", "true"]
    assert table["list"].to_list() == ['[1, "ü"]', "[]", None]
    assert table["large"].to_list() == ["1", str(2**70), None]
    assert "nothing" not in table.columns and table["spaced"].to_list() == ["a", "b", "c"]


def test_a_type_that_changes_late_in_a_long_file(tmp_path):
    count = (1 << 16) + 5  # rows are packed by 2^16
    rows = [{"path": f"{n}.mp4", "a": n, "b": n} for n in range(count)]
    rows[-1] |= {"a": 0.5, "b": "end", "late": True}
    table = read(write_lines(tmp_path / "l.jsonl", *rows)).table
    assert table.height == count and table["id"].to_list() == [str(n) for n in range(count)]
    assert table["a"].dtype == pl.Float64 and table["a"].sum() == sum(range(count - 1)) + 0.5
    assert table["b"].dtype == pl.String and table["b"][0] == "0" and table["b"][-1] == "end"
    assert table["late"].drop_nulls().to_list() == [True]


def test_lines_that_are_no_records_are_named(tmp_path):
    source = write_lines(tmp_path / "l.jsonl", {"path": "a.mp4"}, "", "{broken")
    with pytest.raises(UserError, match=r"l\.jsonl: line 3: no JSON"):
        read(source)
    with pytest.raises(UserError, match=r"l\.jsonl: line 1: a record is expected"):
        read(write_lines(source, "[1]"))
    with pytest.raises(UserError, match=r"nowhere\.jsonl: cannot read the file: No such file"):
        read(tmp_path / "nowhere.jsonl")
    with pytest.raises(UserError, match="and no record"):
        read(write_lines(source))


def test_records_without_a_path_are_failures_with_their_line(tmp_path):
    source = write_lines(
        tmp_path / "l.jsonl",
        {"path": "a.mp4"},
        {"text": "x"},
        {"path": None},
        {"path": "https:/host/a.mp4"},
        {"path": "a.mp4\nb.mp4"},
        {"path": 7},
    )
    found = read(source)
    assert found.table["id"].to_list() == ["a"]
    assert [f.path for f in found.failures] == [f"{source}: line {n}" for n in (2, 3, 4, 5, 6)]
    with pytest.raises(UserError, match=r"no key with paths .*its keys are clip, text; --path-column"):
        read(write_lines(source, {"clip": "a.mp4", "text": "t"}))
    named = read(source, path_column="clip").table
    assert named["id"].to_list() == ["a"] and named.columns == ["path", "id", "relpath", "text"]
    with pytest.raises(UserError, match="no text under 'long'"):
        read(source, path_column="clip", text_column="long")


def test_compressed_files_lists_and_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    records = [{"video": "a.mp4", "text": "x"}, {"video": "https://h/b.mp4", "text": "y"}]
    (tmp_path / "l.json").write_text(json.dumps(records))
    (tmp_path / "a.mp4").touch()
    (tmp_path / "l.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode()))
    for name in ("l.json", "l.jsonl.gz"):
        convert.main(["jsonl", name, "--output", "meta.csv"])
        captured = capsys.readouterr()
        assert captured.out == "meta.csv\n" and captured.err == "2 rows\n1 of them are addresses\n"
        assert read_table("meta.csv").rows() == [
            ("a.mp4", "a", "a.mp4", "x"),
            ("https://h/b.mp4", "b", None, "y"),
        ]
    (tmp_path / "a.mp4").unlink()
    convert.main(["jsonl", "l.json", "--output", "meta.parquet"])
    assert "1 of 1 paths have no file (the first: a.mp4); --base DIR" in capsys.readouterr().err
    with pytest.raises(UserError, match="would overwrite the input"):
        convert.main(["jsonl", "l.json", "--output", "l.json", "--overwrite"])
    with pytest.raises(UserError, match="name a file of JSON Lines, not 2 of them"):
        convert.main(["jsonl", "l.json", "l.jsonl.gz", "--output", "meta.csv"])
