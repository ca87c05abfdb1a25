"""What differs between two tables, against pandas' own compare, and by construction."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.support import make_video, run_command
from tools.datasets.diff.__main__ import main
from tools.datasets.diff.compare import compare
from tools.errors import UserError
from tools.table import read_table, write_table


def numbers(seed, rows=400):
    """A table with gaps, ties and NaN, in an order of its own."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "path": [f"clips/{i}.mp4" for i in range(rows)],
            "aes": rng.normal(size=rows).round(2),
            "num_frames": rng.integers(1, 9, rows),
            "text": [["a", "b", None][choice] for choice in rng.integers(0, 3, rows)],
        }
    )
    table.loc[rng.random(rows) < 0.1, "aes"] = np.nan
    return table


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_cells_are_those_of_pandas(tolerance):
    a, b = numbers(1), numbers(2)
    found = compare(pl.from_pandas(a), pl.from_pandas(b), tolerance=tolerance)
    same = a.eq(b) | (a.isna() & b.isna())
    for name in ("aes", "num_frames"):
        same[name] |= (a[name] - b[name]).abs() <= tolerance
    assert {change.name: change.changed for change in found.changes} == {
        name: int((~same[name]).sum()) for name in ("aes", "num_frames", "text")
    }
    for change in found.changes:
        differs = ~same[change.name]
        assert change.cells["key"].to_list() == list(a["path"][differs])
        assert change.filled == (a[change.name].isna() & differs).sum()
        assert change.emptied == (b[change.name].isna() & differs).sum()
    gaps = (a["aes"] - b["aes"]).abs()
    assert found.changes[0].largest == pytest.approx(gaps[~same["aes"]].max())


def test_rows_are_matched_whatever_their_order():
    a = pl.from_pandas(numbers(3))
    b = a.sample(fraction=1.0, shuffle=True, seed=1)
    found = compare(a, b)
    assert (found.only, found.changes, found.moved) == (([], []), [], True)
    assert compare(a, a).is_empty


def test_rows_that_one_table_lacks_and_equal_keys():
    a = pl.DataFrame({"path": ["x", "x", "y", None], "n": [1, 2, 3, 4]})
    b = pl.DataFrame({"path": ["x", "z", None, "x", "x"], "n": [1, 9, 4, 5, 6]})
    found = compare(a, b)
    assert found.only == (["y"], ["z", "x"])
    (change,) = found.changes
    assert change.cells.rows() == [("x", "2", "5")]


def test_the_same_table_in_three_formats_has_no_difference(tmp_path):
    table = pl.DataFrame(
        {
            "path": ["a.mp4", "b, ü.mp4", "c.mp4"],
            "num_frames": [1, None, 3],
            "fps": [25.0, 23.976, None],
            "timestamp": [[0.0, 1.5], None, []],
            "text": ['a "dog"', None, "NA"],
            "has_audio": [True, None, False],
        }
    )
    names = [str(write_table(table, tmp_path / f"m.{kind}")) for kind in ("csv", "parquet", "jsonl")]
    for other in names[1:]:
        shown = run_command(main, names[0], other, "--exit-code")
        assert (shown.returncode, shown.stderr) == (0, ""), shown.stdout
        assert "no difference" in shown.stdout


def test_what_pandas_makes_of_a_table_is_the_same_table(tmp_path):
    """It writes True, and a Float32 with its own digits."""
    table = pl.DataFrame(
        {"path": ["a", "b"], "has_audio": [True, None], "mine": [False, True], "w": [0.1, 1e9]}
    )
    table = write_table(table.with_columns(pl.col("w").cast(pl.Float32)), tmp_path / "a.parquet")
    pd.read_parquet(table).to_csv(tmp_path / "b.csv", index=False)
    assert "True" in (tmp_path / "b.csv").read_text()
    a, b = read_table(table), read_table(tmp_path / "b.csv")
    assert compare(a, b).is_empty
    assert compare(b, read_table(write_table(a, tmp_path / "c.csv")), columns=["path", "has_audio"]).is_empty
    assert [c.changed for c in compare(a.with_columns(pl.lit(True).alias("mine")), b).changes] == [1]


def test_the_table_of_changes_has_every_one(tmp_path):
    pl.DataFrame({"path": ["a", "b", "c"], "aes": [1.0, 2.0, None], "old": 1}).write_csv(tmp_path / "a.csv")
    pl.DataFrame({"path": ["b", "c", "d"], "aes": [2.5, 3.0, 1.0], "new": 1}).write_csv(tmp_path / "b.csv")
    shown = run_command(
        main, tmp_path / "a.csv", tmp_path / "b.csv", "-o", tmp_path / "c.csv", "--exit-code", "--examples", 1
    )
    assert shown.returncode == 1
    assert read_table(tmp_path / "c.csv").rows() == [
        ("-", "a", None, None, None),
        ("+", "d", None, None, None),
        ("~", "b", "aes", "2.0", "2.5"),
        ("~", "c", "aes", None, "3.0"),
    ]
    assert "columns - old" in shown.stdout and "columns + new" in shown.stdout
    assert "aes: 2 cells differ, 1 were empty, by 0.5 at most" in shown.stdout


def test_columns_that_are_nowhere_are_named():
    table = pl.DataFrame({"path": ["a"], "n": [1]})
    with pytest.raises(UserError, match="'m' is a column of neither table"):
        compare(table, table, columns=["m"])
    with pytest.raises(UserError, match="--by id: is no column of both tables"):
        compare(table, table, key="id")


def test_tables_without_a_key_are_compared_row_by_row():
    found = compare(pl.DataFrame({"n": [1, 2, 3]}), pl.DataFrame({"n": [1.0, 2.5]}))
    assert (found.key, found.only, found.changes[0].cells.rows()) == ("", (["2"], []), [("1", "2.0", "2.5")])


def test_text_is_a_number_unless_that_loses_something():
    a = pl.DataFrame(
        {"path": ["a", "b"], "n": ["1", None], "id": ["007", "1"], "big": ["9007199254740993", "1"]}
    )
    b = pl.DataFrame(
        {"path": ["a", "b"], "n": [1.0, None], "id": ["7", "1"], "big": ["9007199254740992", "1"]}
    )
    assert [(c.name, c.changed) for c in compare(a, b).changes] == [("id", 1), ("big", 1)]
    assert not compare(a, a.with_columns(n=pl.Series(["1.0", None]))).changes


def test_an_output_over_an_input_is_refused(tmp_path):
    pl.DataFrame({"path": ["a"]}).write_csv(tmp_path / "a.csv")
    shown = run_command(main, tmp_path / "a.csv", tmp_path / "a.csv", "-o", tmp_path / "a.csv")
    assert shown.returncode == 2 and "would overwrite the input" in shown.stderr


def test_it_says_which_option_makes_the_difference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    make_video(tmp_path / "v.mp4", num_frames=40)
    Path("m.csv").write_text("path\nv.mp4\n")
    for output, count in (("a.csv", 6), ("b.csv", 2)):
        command = ["tools.scoring.technical.inference", "m.csv", "--num-workers", "0"]
        command += ["--output", output, "--num-frames", str(count)]
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, timeout=120)
    shown = run_command(main, "a.csv", "b.csv")
    assert "num_frames 6, then 2" in " ".join(shown.stdout.split())
