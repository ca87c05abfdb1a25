"""What datautil tells of its work, and what holds for all operations: properties, and the three formats."""

import hypothesis.strategies as st
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from tools.datasets import datautil
from tools.datasets.datautil import filter_table, run_datautil
from tools.errors import UserError
from tools.table import numeric, read_table, write_table

QUIETLY = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@pytest.fixture
def meta(tmp_path):
    """100 rows: 40 with aes below 5, 30 shorter than 48 frames, 10 of them both; every tenth has no text."""
    table = pl.DataFrame(
        {
            "path": [f"v{i}.mp4" for i in range(100)],
            "aes": ["4.0" if i < 40 else "6.0" for i in range(100)],
            "num_frames": ["10" if 30 <= i < 60 else "100" for i in range(100)],
            "text": [None if i % 10 == 0 else f"t{i}" for i in range(100)],
        }
    )
    return write_table(table, tmp_path / "meta.csv")


def test_explain_is_a_waterfall(meta, capsys):
    flags = ["--aesmin", "5", "--fmin", "48", "--append-text", "!", "--head", "25"]
    assert datautil.main([str(meta), *flags, "--explain"]) == 0
    captured = capsys.readouterr()
    assert [line.split() for line in captured.err.splitlines()[:6]] == [
        ["alone", "in", "turn", "left"],
        ["rows", "100"],
        ["--fmin", "48", "-30", "-30", "70", "(70.0%)"],
        ["--aesmin", "5", "-40", "-30", "40", "(40.0%)"],
        ["--head", "25", "-75", "-15", "25", "(25.0%)"],
        ["all", "together", "-75", "25", "(25.0%)"],
    ]
    assert read_table(captured.out.strip()).height == 25


def test_a_condition_is_explained_by_its_parts(meta, capsys):
    """The parts that ``and`` joins count as the flags that say the same; ``2 > 1`` is no condition alone."""
    gone, out = meta.with_name("gone.csv"), meta.with_name("out.csv")
    told = ["--explain", "--rejected", str(gone), "--output", str(out)]
    datautil.main([str(meta), "--where", "num_frames >= 48 and (aes >= 5\n or aes > 7)", *told])
    assert [line.split() for line in capsys.readouterr().err.splitlines()[2:4]] == [
        ["--where", "num_frames", ">=", "48", "-30", "-30", "70", "(70.0%)"],
        ["--where", "aes", ">=", "5", "or", "aes", ">", "7", "-40", "-30", "40", "(40.0%)"],
    ]
    assert read_table(gone).group_by("rejected_by").len().sort("rejected_by").rows() == [
        ("--where aes >= 5 or aes > 7", 30),
        ("--where num_frames >= 48", 30),
    ]
    assert filter_table(read_table(meta), where="aes >= 5 and (aes > 0) == (1 > 0) and 2 > 1").height == 60


def test_a_dry_run_writes_nothing(meta, capsys):
    flags = ["--head", "7", "--aesmin", "5", "--remove-empty-caption"]
    before = set(meta.parent.iterdir())
    assert datautil.main([str(meta), *flags, "--dry-run", "--explain"]) == 0
    captured = capsys.readouterr()
    assert set(meta.parent.iterdir()) == before
    assert captured.out.splitlines()[-1] == str(meta.with_name("meta_noempty_aesmin5_first_7_data.csv"))
    assert [line.split() for line in captured.out.splitlines()[1:4]] == [
        ["1.", "--remove-empty-caption"],
        ["2.", "--aesmin", "5"],
        ["3.", "--head", "7"],
    ]
    assert "nothing was written" in captured.err
    for bad in (["--where", "nope > 1"], ["--flowmin", "1"], ["--output", str(meta)]):
        with pytest.raises(UserError):
            datautil.main([str(meta), *bad, "--dry-run"])


def test_empty_captions_are_looked_for_again_when_captions_were_edited(meta, capsys):
    datautil.main([str(meta), "--remove-empty-caption", "--refine-llm-caption", "--sort", "aes", "--dry-run"])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:-1]] == [
        "--remove-empty-caption",
        "--refine-llm-caption",
        "--remove-empty-caption",
        "--sort",
    ]


def test_stats_write_nothing(meta, capsys):
    before = set(meta.parent.iterdir())
    assert datautil.main([str(meta), "--aesmin", "5", "--stats"]) == 0
    assert set(meta.parent.iterdir()) == before
    out = capsys.readouterr().out
    assert "60" in out and "aes" in out
    assert datautil.main([str(meta), "--stats"]) == 0  # no operation is needed


def test_rejected_rows_are_kept_with_the_reason(meta, capsys):
    rejected = meta.with_name("gone.jsonl")
    flags = ["--aesmin", "5", "--fmin=48", "--remove-text-duplication", "--sample", "20", "--rejected"]
    assert datautil.main([str(meta), *flags, str(rejected)]) == 0
    assert f"rejected: {rejected}" in capsys.readouterr().err
    kept = read_table(meta.with_name("meta_noduptext_fmin48_aesmin5_sample20.csv"))
    gone = read_table(rejected)
    assert gone.group_by("rejected_by", maintain_order=True).len().rows() == [
        ("--fmin 48", 30),
        ("--aesmin 5", 30),
        ("--sample 20", 20),
    ]
    assert sorted([*kept["path"], *gone["path"]]) == sorted(read_table(meta)["path"])
    with pytest.raises(UserError, match="name another"):
        run_datautil([meta], {"aesmin": 5}, output=meta.with_name("x.csv"), rejected=meta.with_name("x.csv"))
    with pytest.raises(UserError, match="overwrite the input"):
        run_datautil([meta], {"aesmin": 5}, rejected=meta)
    with pytest.raises(UserError, match="no operation removes rows"):
        run_datautil([meta], {"sort": "aes"}, rejected=meta.with_name("x.csv"))


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({"img_only": True, "vid_only": True}, "no row passes both"),
        ({"sort": "aes", "shuffle": True}, "undo the sorting"),
        ({"head": "x"}, "--head: must be a whole number from 1 on, not x"),
        ({"aesmin": "inf"}, "--aesmin: must be a finite number, not inf"),
        ({"nonsense": 1}, r"Invalid operation \(nonsense\). Supported values are difference"),
        ({"flowmin": 1, "info": True}, "--flowmin: no column 'flow'"),
    ],
)
def test_operations_are_checked_before_any_work(meta, operations, message):
    with pytest.raises(UserError, match=message):
        run_datautil([meta], operations)
    assert sorted(p.name for p in meta.parent.iterdir()) == ["meta.csv"]


CELLS = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
)
NUMBERS = st.one_of(st.none(), st.sampled_from(["", "nan", "x", "5", "5.0"]), st.floats(0, 10).map(str))
TABLES = st.lists(st.tuples(st.sampled_from("abcdefgh"), CELLS, NUMBERS), min_size=1, max_size=12)


def table(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"path": pl.String, "text": pl.String, "aes": pl.String}, orient="row")


@QUIETLY
@given(rows=TABLES, count=st.integers(1, 5))
def test_shards_merge_to_the_original(tmp_path_factory, rows, count):
    folder = tmp_path_factory.mktemp("shards")
    meta = write_table(table(rows), folder / "m.csv")
    run_datautil([meta], shard=count, output=folder / "s.csv")
    (merged,) = run_datautil([folder / "s_*.csv"], output=folder / "merged.csv").outputs
    assert merged.read_bytes() == meta.read_bytes()


@QUIETLY
@given(rows=TABLES, operation=st.sampled_from(["aesmin", "aesmax", "remove_empty_caption", "remove_url",
       "remove_path_duplication", "remove_text_duplication", "head", "sort", "sort_ascending"]))  # fmt: skip
def test_twice_is_once(rows, operation):
    value = {"aesmin": 5, "aesmax": 5, "head": 3, "sort": "aes", "sort_ascending": "aes"}.get(operation, True)
    once = filter_table(table(rows), **{operation: value})
    assert filter_table(once, **{operation: value}).equals(once)


@QUIETLY
@given(rows=TABLES, others=TABLES)
def test_difference_and_intersection_partition_a_table(tmp_path_factory, rows, others):
    folder = tmp_path_factory.mktemp("sets")
    other = write_table(table(others), folder / "o.csv")
    whole = table(rows).with_row_index("row")
    without = filter_table(whole, difference=str(other))
    within = filter_table(whole, intersection=str(other))
    assert pl.concat([without, within.select(whole.columns)]).sort("row").equals(whole)
    # pandas as the other implementation
    frame, paths = whole.to_pandas(), {row[0] for row in others}
    assert without["row"].to_list() == frame[~frame["path"].isin(paths)]["row"].tolist()


@QUIETLY
@given(rows=TABLES, low=st.floats(0, 10), high=st.floats(0, 10))
def test_thresholds_are_those_of_pandas(rows, low, high):
    kept = filter_table(table(rows), aesmin=low, aesmax=high)
    frame = table(rows).to_pandas()
    aes = pd.to_numeric(frame["aes"], errors="coerce")
    assert kept["path"].to_list() == frame[(aes >= low) & (aes <= high)]["path"].tolist()


@QUIETLY
@given(rows=TABLES)
def test_formats_lose_nothing(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("formats")
    path = write_table(table(rows), folder / "0.csv")
    for number, extension in enumerate(("parquet", "jsonl.zst", "csv.gz", "jsonl", "parquet", "csv"), 1):
        (path,) = run_datautil([path], output=folder / f"{number}.{extension}").outputs
    before, after = read_table(folder / "0.csv"), read_table(path)
    assert after.select("path", "text").equals(before.select("path", "text"))
    aes = numeric("aes").alias("aes")
    assert after.select(aes).equals(before.select(aes))


FILTERS = {
    "where": "aes >= 5 and num_frames > 48",
    "sample": 9,
    "head": 9,
    "path_subset": "1",
    "sort": "aes",
    "sort_ascending": "num_frames",
    "aesmin": 5,
    "fmax": 48,
    "vid_only": True,
    "remove_empty_caption": True,
    "remove_path_duplication": True,
    "remove_text_duplication": True,
    "remove_url": True,
    "shuffle": True,
}


@pytest.mark.parametrize("name", FILTERS)
def test_rows_do_not_depend_on_the_format(meta, name):
    forms = [
        meta,
        *(run_datautil([meta], output=meta.with_name(f"m.{x}")).outputs[0] for x in ("parquet", "jsonl")),
    ]
    kept = []
    for form in forms:
        result = run_datautil([form], {name: FILTERS[name]}, output=meta.with_name("out.csv"))
        kept.append(read_table(result.outputs[0])["path"].to_list())
    assert kept[0] == kept[1] == kept[2] != []
