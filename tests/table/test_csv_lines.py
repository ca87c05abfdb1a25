"""Rows taken as lines are those that Python's csv module reads, and CSV without quotes is written alike."""

import csv
import gzip
import io

import numpy as np
import polars as pl
import pytest

from tools.errors import UserError
from tools.table import scan_table, write_and_count
from tools.table.csv_check import check_csv
from tools.table.csv_lines import LinePlaces, line_feeds
from tools.table.files import pick_rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
@pytest.mark.parametrize(("block", "apart"), [(7, 1), (64, 10), (1 << 18, 1), (1 << 18, 50), (1 << 18, 4096)])
@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_picked_rows(tmp_path, monkeypatch, end, last, block, apart, cores, mark):
    monkeypatch.setattr("tools.table.opening._BLOCK", block)
    monkeypatch.setattr("tools.table.csv_lines._CLOSEST", apart)
    monkeypatch.setattr("tools.table.csv_check._PIECE", 100)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(cores))
    path = tmp_path / "m.csv"
    rows = [[f"é{i}", "x\u2028\x85" * (i % 9), f"{i}.50"] for i in range(40)]
    text = mark + end.join(",".join(row) for row in [["path", "b", "c"], *rows])
    path.write_bytes((text + (end if last else "")).encode())
    for wanted in (np.arange(40) % 3 == 1, np.isin(np.arange(40), [0, 39]), np.ones(40, bool)):
        expected = [row for row, kept in zip(rows, wanted, strict=True) if kept]
        lines = check_csv(path).lines
        assert lines is not None
        picked = io.StringIO(lines.picked(path, wanted).decode(), newline="")
        assert list(csv.reader(picked)) == [["path", "b", "c"], *expected]
        scan_table(path)
        table = pick_rows(path, wanted, 0.2)
        assert table is not None
        assert [[cell or "" for cell in row] for row in table.collect().iter_rows()] == expected


def test_places_stay_few(monkeypatch):
    monkeypatch.setattr("tools.table.csv_lines._MOST", 100)
    lines = LinePlaces(0, 1_000_000)
    lines.add(np.arange(9, 1_000_000, 10), 1_000_000)
    assert 90 <= sum(map(len, lines._starts)) <= 101
    assert (lines.end, lines.lines) == (1_000_000, 100_000)


def test_a_table_that_became_shorter_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,b\n" + "a,1\n" * 100)
    lines = check_csv(path).lines
    assert lines is not None
    path.write_text("path,b\n" + "a,1\n" * 50)
    with pytest.raises(UserError, match="became shorter"):
        lines.picked(path, np.ones(100, bool))


def test_a_table_that_changed_since_its_rows_were_chosen_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,b\n" + "a,1\n" * 100)
    for rows in (50, 200):
        with pytest.raises(UserError, match="100 rows and had"):
            pick_rows(path, np.arange(rows) < 5, 0.1)


def test_names_of_picked_columns_are_those_of_the_table(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(" path , b\n" + "a,1\n" * 100)
    table = pick_rows(path, np.arange(100) == 7, 0.01)
    assert table is not None
    assert table.collect().to_dict(as_series=False) == {"path": ["a"], "b": ["1"]}


def test_compressed_and_quoted_tables_are_not_picked(tmp_path):
    packed = tmp_path / "packed.csv"  # compressed, whatever it is called
    packed.write_bytes(gzip.compress(b"path,b\na,1\n"))
    quoted = tmp_path / "quoted.csv"
    quoted.write_text('path,b\n"a",1\n')
    assert check_csv(packed).lines is check_csv(quoted).lines is None


@pytest.mark.parametrize("longest", [1, 8, 9, 40, 3000])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 63, 64, 5000])
def test_line_feeds(longest, size):
    rng = np.random.default_rng(longest)
    text = b"".join(bytes([120]) * number + b"\n" for number in rng.integers(0, longest, 5000))[:size]
    expected = [place for place, byte in enumerate(text) if byte == 10]
    assert line_feeds(np.frombuffer(text, np.uint8)).tolist() == expected


def test_rows_of_several_lines_are_not_picked(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('path,text\na,"x\ny"\nb,z\n')
    scan_table(path)
    assert pick_rows(path, np.array([False, True]), 0.2) is None


@pytest.mark.parametrize("columns", [1, 3])
def test_written_without_looking_for_quotes(tmp_path, columns):
    frame = pl.DataFrame({f"c{i}": ["a b", None, "007", "é"] for i in range(columns)})
    for quotes in (True, False):
        assert write_and_count(frame, tmp_path / f"{quotes}.csv", quotes=quotes) == 4
    assert (tmp_path / "False.csv").read_bytes() == (tmp_path / "True.csv").read_bytes()
