"""Rows taken as lines are those that Python's csv module reads, and CSV without quotes is written alike."""

import csv

import numpy as np
import polars as pl
import pytest

from tools.table import scan_table, write_and_count
from tools.table.csv_lines import picked_lines
from tools.table.files import pick_rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
@pytest.mark.parametrize("block", [7, 64, 1 << 18])
def test_picked_rows(tmp_path, monkeypatch, end, last, block):
    monkeypatch.setattr("tools.table.opening._BLOCK", block)
    path = tmp_path / "m.csv"
    rows = [[f"é{i}", "", f"{i}.50"] for i in range(40)]
    text = end.join(",".join(row) for row in [["path", "b", "c"], *rows])
    path.write_bytes((text + (end if last else "")).encode())
    keep = np.arange(40) % 3 == 1
    keep[[0, 39]] = True
    picked = picked_lines(path, keep).decode()
    expected = [row for row, kept in zip(rows, keep, strict=True) if kept]
    assert list(csv.reader(picked.splitlines()))[1:] == expected
    scan_table(path)
    table = pick_rows(path, keep, 0.2)
    assert table is not None
    assert [["" if cell is None else cell for cell in row] for row in table.collect().iter_rows()] == expected


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
