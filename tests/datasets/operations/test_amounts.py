"""--keep-hours, --keep-fraction, --keep-rows: how much is kept, by which bounds, and the command they print.

Expected rows come from `slow_bounds`, which tries one setting after the other on ranks of pandas.
"""

import math
import re
import shlex

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.datasets import datautil
from tools.datasets.datautil import filter_table
from tools.datasets.operations.bounds import spell_column
from tools.datasets.operations.ranks import parse_by, score_examples
from tools.errors import UserError
from tools.table import read_table, write_table

MADE = (
    ("aes", lambda random, n: random.normal(5, 1, n).round(3)),
    ("motion", lambda random, n: np.where(random.random(n) < 0.4, 0.0, random.random(n))),
    ("ocr", lambda random, n: random.integers(0, 4, n).astype(float)),
    ("take", lambda random, n: random.choice([-1e9, -0.5, 0.0, 2**60, math.inf, -math.inf], n)),
)


def made(seed, rows=60, gaps=0.1):
    """Scores with many distinct numbers, a heap of ties at the worst, whole numbers, and extreme numbers."""
    random = np.random.default_rng(seed)
    table = {"path": [f"c/v{i % 7}_scene-{i}.mp4" for i in range(rows)]}
    table |= {name: np.where(random.random(rows) < gaps, np.nan, make(random, rows)) for name, make in MADE}
    table["duration"] = random.choice([0.0, 4.0, 5.0, 6.5, 20.0, np.nan], rows)
    return pd.DataFrame(table)


def slow_bounds(frame, by, amount, goal):
    """Labels of the rows that are kept: one setting after the other is tried, as docs/datautil.md says."""
    heaviest = max(score.weight for score in by.scores)
    level, moving, held = {}, [score.column for score in by.scores], {}
    for score in by.scores:
        share = frame[score.column].rank(method="max", pct=True, ascending=not score.low)
        level[score.column] = share.where(share < share.max(), math.inf) / (score.weight / heaviest)

    def kept(setting):
        passes = [level[name] >= setting for name in moving] + [level[name] >= t for name, t in held.items()]
        return frame.index[np.logical_and.reduce(passes)]

    while True:
        settings = sorted({min(level[name][row] for name in moving) for row in kept(0)})
        enough = [t for t in settings if amount[kept(t)].sum() >= goal - 1e-6]
        last = enough[-1]
        rows = kept(last)
        if len(moving) == 1 or amount[rows].sum() <= goal + 1e-6 or math.isinf(last):
            return rows
        steps = [amount[rows[level[name][rows] == last]].sum() for name in moving]
        name = moving.pop(int(np.argmax(steps)))
        held[name] = last


def run(meta, *flags, capsys):
    """The table written, and what was said."""
    assert datautil.main([str(meta), *flags]) == 0
    captured = capsys.readouterr()
    return read_table(captured.out.strip().splitlines()[-1]), captured.err


def printed_commands(said):
    """The arguments of each; a condition may take several lines."""
    text = re.split(r"\n\d+ of \d+ rows kept", said.partition("the same rows again:\n")[2])[0]
    return [shlex.split(part) for part in text.split("  python -m tools.datasets.datautil ")[1:]]


def rows_of_command(said, capsys):
    """Type what was printed."""
    commands = printed_commands(said)
    assert commands
    for command in commands:
        assert datautil.main(command) == 0
    return read_table(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.parametrize(
    "by", ["aes", "aes:2 motion:1", "-ocr aes:3 motion", "motion ocr", "take aes:0.5 -ocr"]
)
def test_the_rows_are_those_of_a_slow_search(by):
    for seed in range(6):
        frame = made(seed)
        parsed = parse_by(by)
        whole = frame.dropna(subset=parsed.columns)
        for rows in (1, 7, 20, 31):
            expected = slow_bounds(whole, parsed, pd.Series(1.0, whole.index), rows)
            kept = filter_table(frame, keep_rows=rows, by=by)
            assert kept["path"].tolist() == frame["path"][expected].tolist()
            assert len(kept) >= rows


def test_hours_count_lengths():
    for seed in range(6):
        frame = made(seed)
        whole = frame[frame["duration"] > 0].dropna(subset=["aes", "motion"])
        for seconds in (30, 100, 180):
            expected = slow_bounds(whole, parse_by("aes:2 motion:1"), whole["duration"], seconds)
            kept = filter_table(frame, keep_hours=seconds / 3600, by="aes:2 motion:1")
            assert kept["path"].tolist() == frame["path"][expected].tolist()
            assert kept["duration"].sum() >= seconds


def test_a_length_may_come_from_frames_and_rate():
    frame = pd.DataFrame(
        {
            "path": list("abcdef"),
            "aes": [6, 5, 4, 3, 2, 1],
            "duration": [None, 1800.0, 0.0, math.inf, None, 1800.0],
            "num_frames": [18000.0, 1.0, 36000.0, None, None, 5.0],
            "fps": [10.0, None, 10.0, 25.0, 25.0, 1.0],
        }
    )
    # a: 1800 s, b: 1800 s, c: 3600 s; d and e have none, f is not needed.
    for hours, rows in ((0.5, ["a"]), (0.6, ["a", "b"]), (1, ["a", "b"]), (2, ["a", "b", "c"])):
        assert filter_table(frame, keep_hours=hours, by="aes")["path"].tolist() == rows
    assert filter_table(frame, keep_hours=9, by="aes")["path"].tolist() == ["a", "b", "c", "f"]


def test_weights_say_how_much_of_the_rows_each_bound_cuts():
    """Of independent columns without ties: aes cuts t, motion t / 2, and (1 - t) (1 - t / 2) is kept."""
    rows = 100
    grid = [(a, m) for a in range(rows) for m in range(rows)]
    frame = pl.DataFrame({"aes": [a for a, _ in grid], "motion": [m for _, m in grid]})
    kept = filter_table(frame, keep_fraction=0.48, by="aes:2 motion:1")  # t = 0.4: 0.6 * 0.8
    assert kept.height == 4800
    assert (kept["aes"].min(), kept["motion"].min()) == (40, 20)
    kept = filter_table(frame, keep_fraction=0.48, by="-aes:1 motion:2")
    assert (kept["aes"].max(), kept["motion"].min()) == (79, 40)


def test_a_fraction_is_exact():
    """0.07 * 100 is 7.000000000000001 in floating point, and is 7 rows all the same."""
    for rows, fraction, expected in ((100, 0.07, 7), (30, 0.1, 3), (10, 0.31, 4), (3, 1, 3), (7, 1e-9, 1)):
        frame = pl.DataFrame({"aes": list(range(rows))})
        assert filter_table(frame, keep_fraction=fraction, by="aes")["aes"].to_list() == list(
            range(rows - expected, rows)
        )


@pytest.mark.parametrize("extension", ["csv", "parquet", "jsonl"])
def test_the_printed_command_keeps_the_same_rows(tmp_path, capsys, extension):
    frame = made(3, rows=200)
    frame["odd name"] = frame["aes"] * 7
    frame["class"] = np.arange(200)[::-1] // 3
    finite = frame["take"].where(frame["take"].abs() < 1e300)  # JSON has no infinity
    frame["take"] = finite if extension == "jsonl" else frame["take"]
    meta = write_table(pl.from_pandas(frame), tmp_path / f"my meta.{extension}")
    for flags in (
        ["--keep-rows", "40", "--by", "aes:2 motion:1"],
        ["--keep-hours", "0.1", "--by", "-ocr aes"],
        ["--keep-fraction", "0.15", "--by", "-ocr:2 take"],
        ["--keep-fraction", "0.2", "--by", "`odd name` class:2"],
        [
            "--keep-fraction",
            "0.3",
            "--by",
            "-take",
            "--aesmin",
            "4.5",
            "--where",
            "ocr <= 2 # or 3\n and aes > 4",
        ],
        ["--keep-rows", "50", "--by", "aes", "--sort", "ocr", "--sample", "20", "--seed", "7"],
        ["--keep-rows", "9999", "--by", "motion"],
        ["--keep-hours", "9999", "--by", "aes"],
    ):
        kept, said = run(meta, *flags, capsys=capsys)
        assert 0 < kept.height < 200
        assert rows_of_command(said, capsys).equals(kept), flags


def test_csv_and_parquet_keep_the_same_rows(tmp_path, capsys):
    frame = pl.from_pandas(made(5)).with_columns(
        pl.col("ocr").cast(pl.Int64, strict=False), pl.col("aes").cast(pl.Float32)
    )
    tables = [write_table(frame, tmp_path / f"meta.{extension}") for extension in ("csv", "parquet")]
    flags = ("--keep-rows", "17", "--by", "aes -ocr motion")
    first, second = (run(table, *flags, capsys=capsys)[0]["path"].to_list() for table in tables)
    assert first == second


def test_bounds_after_removing_repeated_texts_take_two_commands(tmp_path, capsys):
    """A condition comes before repeated texts are removed, and would leave another row of each text."""
    frame = pl.DataFrame({"path": list("abcdef"), "text": list("xxyyzz"), "aes": [1, 9, 5, 9, 7, 2]})
    meta = write_table(frame, tmp_path / "meta.csv")
    kept, said = run(meta, "--remove-text-duplication", "--keep-rows", "1", "--by", "aes", capsys=capsys)
    assert kept["path"].to_list() == ["e"]  # of a, c, e
    assert len(printed_commands(said)) == 2
    assert rows_of_command(said, capsys).equals(kept)


def test_numbers_in_bounds_are_short(tmp_path, capsys):
    frame = pl.DataFrame(
        {"aes": [4.1234567, 4.7083111, 5.2], "-x": [3.0, 0.123456, 0.7], "motion": [7, 8, 9]}
    )
    meta = write_table(frame, tmp_path / "meta.csv")
    for by, condition in (
        ("aes", "aes >= 4.7"),
        ("-aes", "aes <= 5"),
        ("-`-x`", "`-x` <= 0.7"),
        ("`-x`", "`-x` >= 0.7"),
        ("-motion", "motion <= 8"),
    ):
        _, said = run(meta, "--keep-rows", "2", "--by", by, capsys=capsys)
        assert f"bounds: {condition}\n" in said
    assert spell_column("a`b") == "col('a`b')" and spell_column("class") == "`class`"


def test_empty_cells_are_in_the_condition_only_where_a_bound_would_let_them_through(tmp_path, capsys):
    frame = pl.DataFrame(
        {
            "aes": [1, 2, 3, 4, None, None],
            "motion": [0, 0, 0, 0, None, 1],
            "duration": [3600] * 4 + [None] * 2,
        }
    )
    meta = write_table(frame, tmp_path / "meta.csv")
    flags = ["--keep-hours", "2", "--by", "aes:2 motion:1"]
    kept, said = run(meta, *flags, capsys=capsys)
    assert kept["aes"].to_list() == ["3", "4"]
    assert "bounds: aes >= 3\n" in said
    meta = write_table(frame.with_columns(motion=pl.Series([0, None, None, 0, 0, 0])), tmp_path / "two.csv")
    kept, said = run(meta, *flags, capsys=capsys)
    assert kept["aes"].to_list() == ["1", "4"]
    assert "bounds: aes.notna() and motion.notna()\n" in said
    assert rows_of_command(said, capsys).equals(kept)


def test_what_is_said_of_ties_gaps_and_goals(tmp_path, capsys):
    frame = pl.DataFrame(
        {
            "path": [f"{i}.mp4" for i in range(10)],
            "aes": [1, 1, 1, 1, 5, 5, 6, None, 8, 9],
            "duration": [3600.0] * 9 + [None],
        }
    )
    meta = write_table(frame, tmp_path / "meta.csv")
    kept, said = run(meta, "--keep-rows", "4", "--by", "aes", capsys=capsys)
    assert kept["aes"].to_list() == ["5", "5", "6", "8", "9"]
    assert "--keep-rows 4: 5 rows of 9 rows are kept (goal: 4 rows)" in said
    assert "the next tighter bounds would keep 3 rows" in said
    assert "removed: 1 row without a number in aes" in said
    kept, said = run(meta, "--keep-hours", "100", "--by", "aes", capsys=capsys)
    assert kept.height == 8
    assert "there are only 8.00 hours, and all of them are kept (goal: 100.00 hours)" in said
    assert "removed: 1 row of unknown length" in said
    kept, said = run(meta, "--keep-rows", "7", "--by", "aes", capsys=capsys)
    assert kept.height == 9 and "aes gets no bound: 44.4% of the rows have 1, its worst number" in said
    kept, said = run(meta, "--where", "aes > 0", "--keep-rows", "99", "--by", "aes", capsys=capsys)
    assert "every row is kept, without a bound" in said
    assert rows_of_command(said, capsys).equals(kept)
    kept, said = run(meta, "--aesmin", "99", "--keep-rows", "9", "--by", "aes", capsys=capsys)
    assert kept.height == 0 and "no row is left to choose from" in said


def test_rejected_rows_say_which_bound_they_fail(tmp_path, capsys):
    frame = pl.DataFrame(
        {
            "path": list("abcde"),
            "aes": [9, 8, 1, None, 10],
            "duration": [3600.0, 3600.0, 3600.0, 3600.0, None],
        }
    )
    meta, rejected = write_table(frame, tmp_path / "meta.csv"), tmp_path / "rejected.csv"
    flags = ["--keep-hours", "2", "--by", "aes", "--rejected", str(rejected), "--explain"]
    kept, said = run(meta, *flags, capsys=capsys)
    assert kept["path"].to_list() == ["a", "b"]
    table = read_table(rejected)
    assert table.columns == ["path", "aes", "duration", "rejected_by"]
    label = "--keep-hours 2 --by aes"
    assert dict(zip(table["path"], table["rejected_by"], strict=True)) == {
        "c": f"{label}: aes < 8",
        "d": f"{label}: no aes",
        "e": f"{label}: no length",
    }
    assert re.search(r"--keep-hours 2 --by aes +-3 +-3 +2 \(40.0%\)", said)


def test_the_name_and_a_dry_run(tmp_path, capsys):
    meta = write_table(pl.DataFrame({"aes": range(10), "duration": [360.0] * 10}), tmp_path / "meta.csv")
    names = {
        ("--keep-hours", "0.50"): "meta_keep0.50h.csv",
        ("--keep-fraction", "0.3"): "meta_keep0.3.csv",
        ("--keep-rows", "3", "--aesmin", "2"): "meta_aesmin2_keep3rows.csv",
    }
    for flags, name in names.items():
        assert datautil.main([str(meta), *flags, "--by", "-aes", "--dry-run", "--explain"]) == 0
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1] == str(tmp_path / name)
        assert "bounds: aes <= " in captured.err and "nothing was written" in captured.err
    assert list(tmp_path.iterdir()) == [meta]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--keep-hours", "5"],
            r"--keep-hours: by which scores\? Give --by, for .* --by \"aes:2 flow:1\"",
        ),
        (["--keep-hours", "5", "--by", "aes"], "no column 'duration', and not both 'num_frames' and 'fps'"),
        (["--keep-rows", "5", "--by", "nope"], "--keep-rows: no column 'nope'"),
        (["--keep-rows", "5", "--by", "text"], "--by: the column 'text' holds no numbers"),
        (["--keep-rows", "5", "--by", "note"], "no cell of 'note' is a number, of 3 rows"),
        (["--keep-rows", "5", "--by", "aes flow"], "no row has all of aes, flow, of 3 rows"),
        (["--keep-rows", "5", "--by", "aes:-2"], "weights, not -2 for aes; where small .* write -aes"),
        (["--keep-rows", "5", "--by", "aes:x"], "--by: must be numbers above 0 as weights, not x"),
        (["--keep-rows", "5", "--by", "aes -aes"], "--by: must be different columns, and aes is there twice"),
        (["--keep-rows", "5", "--by", "`aes"], "--by: must be columns with their weights"),
        (["--keep-rows", "5", "--by", " "], "--by: must be columns with their weights.* none is given"),
        (
            ["--keep-rows", "5", "--keep-fraction", "0.5", "--by", "aes"],
            "--keep-fraction and --keep-rows: give one",
        ),
        (["--aesmin", "1", "--by", "aes"], "--by: says by which scores .* choose; give one of them, too"),
        (["--aesmin", "1", "--hours", "3"], "--hours: says how much --balance draws; .* use --keep-hours"),
    ],
)
def test_errors_say_what_to_give(tmp_path, flags, message):
    table = pl.DataFrame(
        {
            "path": list("abc"),
            "aes": [1, 2, None],
            "flow": [None, None, 3],
            "text": list("xyz"),
            "note": list("xyz"),
        }
    )
    meta = write_table(table, tmp_path / "meta.csv")
    with pytest.raises(UserError, match=message):
        datautil.main([str(meta), *flags])
    assert list(tmp_path.iterdir()) == [meta]


def test_the_example_of_scores_keeps_no_clips_full_of_text():
    """It is copied from the message, so it names scores of which more is better, wherever they stand."""
    schema = dict.fromkeys(["ocr", "ocr_area", "flow", "black_bars", "aes"], pl.Float64())
    assert score_examples(schema).startswith('"aes:2 flow:1" (scores of the table: ocr, ocr_area,')
    assert score_examples({"ocr": pl.Float64()}).startswith('"aes:2 motion:1" (')


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1.5", "30%", "x", ""])
def test_a_fraction_is_above_0_and_up_to_1(value):
    with pytest.raises(UserError, match="--keep-fraction: must be a "):
        filter_table(pl.DataFrame({"aes": [1]}), keep_fraction=value, by="aes")
