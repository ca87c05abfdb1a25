"""--balance: what is drawn of each group.

Expected rows come from `slow_turns`, which gives one row at a time to the group that has least, and the
shares of groups from the level of the water.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.datasets import datautil
from tools.datasets.datautil import filter_table
from tools.datasets.operations.balance import take_turns, take_turns_capped
from tools.errors import UserError
from tools.table import read_table, write_table


def slow_turns(groups, rank, amount, goal, sources=None, most=None):
    """Row by row: of the groups that have least, the waiting row with the smallest rank."""
    waiting = {g: sorted(np.flatnonzero(groups == g), key=lambda i: rank[i]) for g in set(groups.tolist())}
    got, given, drawn = dict.fromkeys(waiting, 0.0), {}, []
    while sum(amount[i] for i in drawn) < goal:
        for rows in waiting.values():
            while rows and most and given.get(sources[rows[0]], 0) >= most:
                rows.pop(0)
        ready = [g for g, rows in waiting.items() if rows]
        if not ready:
            break
        group = min(ready, key=lambda g: (got[g], rank[waiting[g][0]]))
        row = waiting[group].pop(0)
        drawn.append(row)
        got[group] += amount[row]
        if most:
            given[sources[row]] = given.get(sources[row], 0) + 1
    return drawn


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_drawn_as_in_a_slow_search(seed):
    random = np.random.default_rng(seed)
    rows = 80
    groups = random.choice(5, rows, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    _, groups = np.unique(groups, return_inverse=True)
    rank, sources = random.permutation(rows), random.integers(0, 12, rows)
    for amount in (np.ones(rows), random.integers(1, 30, rows) / 4):  # quarters add up exactly
        for goal in (1, 10, amount.sum() / 3, amount.sum(), amount.sum() * 2):
            expected = slow_turns(groups, rank, amount, goal)
            assert take_turns(groups, rank, amount, goal).tolist() == expected
            assert take_turns_capped(groups, rank, amount, goal, sources, rows).tolist() == expected
            for most in (1, 3):
                capped = take_turns_capped(groups, rank, amount, goal, sources, most).tolist()
                assert capped == slow_turns(groups, rank, amount, goal, sources, most)
                assert np.bincount(sources[capped]).max() <= most


SIZES = {"static": 500, "pan_left": 90, "tilt_up": 40, "zoom_in": 6, "roll": 1}


def moving(seconds=10.0):
    names = [name for name, rows in SIZES.items() for _ in range(rows)]
    random = np.random.default_rng(3)
    names = random.permutation(names).tolist()
    rows = len(names)
    return pl.DataFrame(
        {
            "path": [f"c/v{i % 40}_scene-{i}.mp4" for i in range(rows)],
            "cmotion": names,
            "duration": [seconds] * rows,
            "aes": random.permutation(rows).astype(float),
        }
    )


def water(sizes, goal):
    """What groups of these sizes get of a goal: the smaller of their size and a level, found by halving."""
    low, high = 0.0, float(max(sizes))
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if sum(min(size, level) for size in sizes) < goal else (low, level)
    return [min(size, high) for size in sizes]


@pytest.mark.parametrize("rows", [3, 5, 27, 100, 300, 637])
def test_groups_get_equal_shares_and_small_ones_give_all(rows):
    frame = moving()
    kept = filter_table(frame, balance="cmotion", rows=rows)
    assert kept.height == rows
    got = [(kept["cmotion"] == name).sum() for name in SIZES]
    assert np.abs(np.subtract(got, water(SIZES.values(), rows))).max() < 1
    assert kept.equals(frame.filter(pl.col("path").is_in(kept["path"].implode())))  # in the table's order
    assert filter_table(frame, balance="cmotion", rows=rows).equals(kept)
    other = filter_table(frame, balance="cmotion", rows=rows, seed=7)
    assert other.height == rows and (rows == 637 or not other.equals(kept))


def test_hours_are_even_where_clips_differ():
    """Groups of short and of long clips get the same time, not the same number of rows."""
    frame = pl.DataFrame(
        {
            "kind": ["short"] * 3000 + ["long"] * 100 + ["few"] * 5,
            "duration": [2.0] * 3000 + [50.0] * 100 + [20.0] * 5,
        }
    )
    kept = filter_table(frame, balance="kind", hours=1)
    got = dict(kept.group_by("kind").agg(pl.col("duration").sum()).iter_rows())
    assert got["few"] == 100
    assert 3600 <= sum(got.values()) < 3600 + 50
    assert abs(got["long"] - 1750) <= 50 and abs(got["short"] - 1750) <= 50


def test_the_best_of_each_group_by_scores():
    frame = moving()
    kept = filter_table(frame, balance="cmotion", rows=27, by="aes")
    got = {name: kept.filter(pl.col("cmotion") == name)["aes"].sort().to_list() for name in SIZES}
    for name, scores in got.items():
        there = frame.filter(pl.col("cmotion") == name)["aes"].sort().to_list()
        assert scores == there[len(there) - len(scores) :]
    low = filter_table(frame, balance="cmotion", rows=1, by="-aes")
    assert low["aes"].to_list() == [0.0]  # between groups that have got the same, the best row comes first


def test_no_more_than_some_rows_of_one_video():
    """Videos are found as --sample finds them: by the column source, or by the names of the clips."""
    frame = moving()
    named = frame.with_columns(
        source=pl.col("path").str.extract(r"(v\d+)_"), path=pl.lit("x") + pl.col("path")
    )
    for table in (frame, named):
        kept = filter_table(table, balance="cmotion", rows=60, per_source=2)
        assert kept.height == 60
        assert kept["path"].str.extract(r"(v\d+)_").value_counts()["count"].max() == 2
        assert (kept["cmotion"] == "roll").sum() == 1
        assert filter_table(table, balance="cmotion", rows=999, per_source=2).height == 80
    kept = filter_table(frame, balance="source", rows=80)
    assert set(kept["path"].str.extract(r"(v\d+)_").value_counts()["count"]) == {2}


def test_columns_together_make_the_groups():
    frame = pl.DataFrame({"source": ["a"] * 50 + ["b"] * 50, "bucket": (["x"] * 49 + ["y"]) * 2})
    kept = filter_table(frame, balance="source,bucket", rows=20)
    assert sorted(kept.rows()) == [("a", "x")] * 9 + [("a", "y")] + [("b", "x")] * 9 + [("b", "y")]


@pytest.mark.parametrize("extension", ["csv", "parquet"])
def test_the_command(tmp_path, capsys, extension):
    frame = moving().with_columns(
        cmotion=pl.when(pl.int_range(pl.len()) % 50 != 0).then("cmotion"),
        duration=pl.when(pl.int_range(pl.len()) % 31 != 0).then("duration"),
    )
    meta, rejected = write_table(frame, tmp_path / f"meta.{extension}"), tmp_path / "rejected.csv"
    flags = ["--balance", "cmotion", "--hours", "0.50", "--per-source", "9", "--rejected", str(rejected)]
    assert datautil.main([str(meta), *flags, "--explain"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / f"meta_balance_0.50h.{extension}")
    kept, gone = read_table(captured.out.strip()), read_table(rejected)
    assert kept.height == 180 and gone.height == 637 - 180
    reasons = dict(gone["rejected_by"].value_counts().iter_rows())
    label = "--balance cmotion --hours 0.50: "
    assert reasons[f"{label}no cmotion"] == 13
    assert reasons[f"{label}no length"] == 20  # 21, one of which has no cmotion either
    assert sum(reasons.values()) == gone.height
    assert "--balance cmotion: 0.5 hours of 1.68 hours, of 5 groups" in captured.err
    assert "13 rows without cmotion belong to no group, and are removed" in captured.err
    assert "groups give all that they have; each of the others gives" in captured.err
    assert "--balance cmotion --hours 0.50" in captured.err.splitlines()[2]
    assert datautil.main([str(meta), "--balance", "cmotion", "--hours", "99"]) == 0
    assert "there is no more to draw (goal: 99.00 hours)" in capsys.readouterr().err


def test_csv_and_parquet_draw_the_same_rows(tmp_path, capsys):
    frame = moving().with_columns(take=pl.Series([i % 3 for i in range(637)]), good=pl.col("aes") > 300)
    drawn = []
    for extension in ("csv", "parquet"):
        meta = write_table(frame, tmp_path / f"meta.{extension}")
        flags = ["--balance", "take,good", "--rows", "50", "--keep-rows", "500", "--by", "aes"]
        assert datautil.main([str(meta), *flags]) == 0
        captured = capsys.readouterr()
        drawn.append(read_table(captured.out.strip())["path"].to_list())
        # The bounds come first, and the command that is printed draws again.
        assert "--balance take,good --rows 50 --by aes --where" in captured.err
    assert len(drawn[0]) == 50 and drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--balance", "cmotion"], r"--balance: how much\? Give --hours or --rows"),
        (["--balance", "cmotion", "--rows", "5", "--hours", "1"], "--hours and --rows: give one of them"),
        (["--balance", "cmotion", "--rows", "0"], "--rows: must be a whole number from 1 on, not 0"),
        (["--balance", "cmotion", "--hours", "-1"], "--hours: must be a number of hours above 0, not -1"),
        (["--balance", "cmotion", "--hours", "1"], "no column 'duration'"),
        (["--balance", "bucket", "--rows", "5"], "--balance: no column 'bucket'.*tools.datasets.split"),
        (["--balance", "source", "--rows", "5"], "no column 'source', and no 'path' to derive it from"),
        (["--balance", "empty", "--rows", "5"], "no row has all of empty"),
        (["--balance", "cmotion", "--rows", "5", "--by", "empty"], "no cell of 'empty' is a number"),
        (["--aesmin", "1", "--per-source", "5"], "--per-source: says how --sample N or --balance chooses"),
    ],
)
def test_errors_say_what_to_give(tmp_path, flags, message):
    frame = pl.DataFrame({"cmotion": ["pan"] * 3, "aes": [1, 2, 3], "empty": [""] * 3})
    meta = write_table(frame, tmp_path / "meta.csv")
    with pytest.raises(UserError, match=message):
        datautil.main([str(meta), *flags])


def test_equal_numbers_are_one_group_and_durations_are_values():
    table = pl.DataFrame({"g": [0.0, -0.0, 0.0, -0.0, 2.0, 2.0], "row": range(6)})
    for frame in (
        table,
        table.with_columns(pl.col("g").cast(pl.Float32)),
        table.with_columns(pl.duration(days="g").alias("g")),
    ):
        drawn = filter_table(frame, balance="g", rows=2)
        assert (drawn["row"] > 3).to_list() == [False, True]


def test_numbers_and_truth_values_of_a_csv_are_one_group_however_they_are_written():
    """By construction: two ways to write one value beside another; of a column of one's own they are two."""
    table = pl.DataFrame({"fps": ["24", "24.0", "30"] * 4, "has_audio": ["True", "true", "false"] * 4})
    table = table.with_columns(mine="fps")
    digits = pl.DataFrame({"has_audio": ["1", "0", "0"] * 4})
    for frame, name, most in [
        (table, "fps", [3, 3]),
        (table, "has_audio", [3, 3]),
        (digits, "has_audio", [3, 3]),
        (table, "mine", [2, 2, 2]),
    ]:
        drawn = filter_table(frame, balance=name, rows=6)[name]
        counts = drawn.str.to_lowercase().replace("24.0", "24") if name != "mine" else drawn
        assert sorted(counts.value_counts()["count"].to_list()) == most


def test_groups_need_single_values():
    frame = pl.DataFrame({"boxes": [[1], [2]]})
    with pytest.raises(UserError, match="--balance: the column 'boxes' holds List"):
        filter_table(frame, balance="boxes", rows=1)


@pytest.mark.parametrize("value", ["", ",", "cmotion,,x"])
def test_columns_have_commas_between_them(value):
    with pytest.raises(UserError, match="--balance: must be columns with commas between them"):
        filter_table(moving(), balance=value, rows=5)


def test_lengths_count_also_in_a_table_of_pandas():
    frame = pd.DataFrame({"cmotion": list("aabb"), "num_frames": [10.0] * 4, "fps": [1.0, 1.0, 1.0, np.nan]})
    kept = filter_table(frame, balance="cmotion", hours=1)
    assert kept.index.tolist() == [0, 1, 2] and kept["cmotion"].tolist() == list("aab")
