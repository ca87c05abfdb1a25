"""A chain of tables that the commands themselves have made; its counts are compared with pandas."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tools.caption.caption_checks import main as caption_checks
from tools.datasets.datautil import main as datautil
from tools.errors import MediaError, UserError
from tools.report.chain import read_chain
from tools.stage.failures import write_failures
from tools.table import failures_path, read_table, write_table


def table_of(rows, folder="v", **columns):
    paths = [f"{folder}/{i:04}.mp4" for i in range(rows)]
    return pl.DataFrame({"path": paths, "id": [f"{i:04}" for i in range(rows)], **columns})


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """meta.csv, captions checked, filtered with the rejected rows beside it, and clips cut from the rest."""
    folder = tmp_path_factory.mktemp("a chain")
    rng = np.random.default_rng(5)
    duration = [None if i % 10 == 0 else float(d) for i, d in enumerate(rng.integers(1, 90, 200))]
    meta = table_of(200, text=["a dog runs"] * 200, aes=rng.integers(0, 10, 200), duration=duration)
    meta = meta.with_columns(flow=pl.Series(rng.integers(0, 10, 200)))
    write_table(meta, folder / "meta.csv")
    assert caption_checks([str(folder / "meta.csv"), "--quiet"]) == 0
    bounds = ["--aesmin", "3", "--flowmin", "2", "--rejected", str(folder / "rejected.csv")]
    datautil([str(folder / "meta_capcheck.csv"), *bounds, "--quiet"])
    kept = read_table(folder / "meta_capcheck_aesmin3_flowmin2.csv")
    sources = kept["path"].to_list()
    failed = [MediaError("timeout", path, "took 60 s") for path in sources[:3]]
    failed += [MediaError("unreadable", path, f"is damaged at {path}") for path in sources[3:8]]
    clips = [(f"clips/{Path(s).stem}_scene-{k}.mp4", s, 1.5) for s in sources[10:] for k in range(2)]
    frame = pl.DataFrame(clips, schema=["path", "source", "duration"], orient="row")
    target = folder / "meta_capcheck_aesmin3_flowmin2_clips.csv"
    write_table(frame, target)
    write_failures(failed, failures_path(target))
    return folder


NAMES = ["meta.csv", "meta_capcheck.csv", "meta_capcheck_aesmin3_flowmin2.csv"]
NAMES += ["meta_capcheck_aesmin3_flowmin2_clips.csv"]


def test_a_folder_and_the_tables_one_by_one_are_the_same_chain(made):
    chain = read_chain([str(made)])
    assert [step.name for step in chain.steps] == NAMES and chain.table == made / NAMES[-1]
    assert chain == read_chain([str(made / name) for name in NAMES])
    assert chain == read_chain([str(made / "meta*.csv")])  # a pattern that no shell has expanded
    assert chain.notes == ()
    assert [step.operation for step in chain.steps] == [
        "",
        "caption_checks",
        "--aesmin 3, --flowmin 2",
        "cut",
    ]
    assert chain.steps[1].columns_added == ("caption_flags",)
    assert {"text", "aes"} < set(chain.steps[3].columns_dropped) and chain.steps[3].columns_added == (
        "source",
    )
    assert chain.steps[1].options  # from the receipt


def test_counts_and_hours_are_those_of_pandas(made):
    chain = read_chain([str(made)])
    frames = [pd.read_csv(made / name) for name in NAMES]
    for step, frame in zip(chain.steps, frames, strict=True):
        assert step.rows == len(frame)
        assert step.hours == pytest.approx(frame["duration"].sum() / 3600)
        assert step.unknown_length == frame["duration"].isna().sum()
    change = chain.steps[2].change
    gone = frames[1][~frames[1]["path"].isin(frames[2]["path"])]
    assert (change.matched_by, change.lost, change.new) == ("path", len(gone), 0)
    assert change.lost_hours == pytest.approx(gone["duration"].sum() / 3600)
    assert chain.steps[1].change.lost == 0 and not chain.steps[1].change.reasons


def test_reasons_are_those_of_the_rejected_rows(made):
    change = read_chain([str(made)]).steps[2].change
    meta = pd.read_csv(made / "meta.csv")
    aes = meta["aes"] < 3
    flow = ~aes & (meta["flow"] < 2)
    found = {reason.text: (reason.rows, pytest.approx(reason.hours)) for reason in change.reasons}
    assert found == {
        "--aesmin 3": (aes.sum(), meta["duration"][aes].sum() / 3600),
        "--flowmin 2": (flow.sum(), meta["duration"][flow].sum() / 3600),
    }
    assert all(reason.recorded for reason in change.reasons)


def test_videos_without_a_clip_are_counted_by_source(made):
    step = read_chain([str(made)]).steps[3]
    change = step.change
    assert change.is_split and change.matched_by == "source"
    assert (change.lost, change.new) == (10, 0)  # the first ten have no clip
    found = [(reason.text, reason.rows, reason.recorded) for reason in change.reasons]
    assert found == [
        ("failed: unreadable", 5, True),
        ("failed: timeout", 3, True),
        ("no clip was cut from them", 2, False),
    ]
    unreadable, timeout = step.failures
    assert (unreadable.kind, unreadable.rows, len(unreadable.examples)) == ("unreadable", 5, 3)
    assert (timeout.kind, timeout.rows, timeout.examples[0][1]) == ("timeout", 3, "took 60 s")


def test_the_chain_is_json(made):
    whole = json.loads(json.dumps(read_chain([str(made)]).as_dict(), allow_nan=False))
    last = whole["steps"][-1]
    assert last["path"] == str(made / NAMES[-1]) and last["change"]["is_split"] is True
    assert last["change"]["reasons"][0] | {"hours": 0} == {
        "text": "failed: unreadable",
        "rows": 5,
        "hours": 0,
        "recorded": True,
    }
    assert whole["steps"][0]["change"] is None


def test_rejected_rows_beside_named_tables_are_found_by_their_name(made):
    change = read_chain([str(made / NAMES[1]), str(made / NAMES[2])]).steps[1].change
    assert {reason.text for reason in change.reasons} == {"--aesmin 3", "--flowmin 2"}


def test_without_rejected_rows_the_reason_is_what_made_the_table(tmp_path):
    write_table(table_of(10, aes=range(10)), tmp_path / "a.csv")
    datautil([str(tmp_path / "a.csv"), "--aesmin", "4", "--quiet"])
    (reason,) = read_chain([str(tmp_path)]).steps[1].change.reasons
    assert (reason.text, reason.rows, reason.recorded) == ("--aesmin 4", 4, False)


def test_what_a_user_expands_with_a_shell_may_hold_side_files(made):
    every = sorted(str(path) for path in made.glob("*.csv"))
    assert len(every) == 6
    assert [step.name for step in read_chain(every).steps] == NAMES


def test_one_table(tmp_path):
    table = write_table(table_of(3), tmp_path / "a.parquet")
    chain = read_chain([str(table)])
    assert [step.rows for step in chain.steps] == [3] and chain.steps[0].change is None
    assert chain.frame().collect().height == 3


def test_tables_without_a_row_in_common_are_said(tmp_path):
    write_table(table_of(3), tmp_path / "a.csv")
    write_table(table_of(4, "w").drop("id"), tmp_path / "b.csv")
    chain = read_chain([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert chain.notes == ("b.csv: has no row in common with a.csv",)
    change = chain.steps[1].change
    assert (change.matched_by, change.lost, change.new, change.is_counted) == ("", 3, 4, False)


def test_tables_that_share_no_key_are_counted(tmp_path):
    write_table(table_of(5).drop("id").with_columns(duration=pl.lit(3600)), tmp_path / "a.csv")
    write_table(pl.DataFrame({"text": ["x", "y"], "duration": [3600, 3600]}), tmp_path / "b.csv")
    chain = read_chain([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    change = chain.steps[1].change
    assert (change.lost, change.lost_hours, change.new, change.is_counted) == (3, 3.0, 0, True)
    assert "shares no column path or id" in chain.notes[0]


def test_an_empty_table_has_lost_all_rows(tmp_path):
    write_table(table_of(4), tmp_path / "a.csv")
    write_table(table_of(4).head(0), tmp_path / "a_fmin9.csv")
    chain = read_chain([str(tmp_path / "a.csv"), str(tmp_path / "a_fmin9.csv")])
    change = chain.steps[1].change
    assert (chain.steps[1].rows, change.lost, change.new, chain.notes) == (0, 4, 0, ())
    assert [reason.text for reason in change.reasons] == ["--fmin 9"]


def test_repeated_rows_are_counted_each(tmp_path):
    frame = pl.concat([table_of(4, aes=[1, 2, 3, 4])] * 3)
    write_table(frame, tmp_path / "a.csv")
    datautil([str(tmp_path / "a.csv"), "--remove-path-duplication", "--quiet"])
    change = read_chain([str(tmp_path)]).steps[1].change
    assert (change.lost, change.new) == (8, 0)


def test_a_rejected_row_of_a_repeated_path_is_the_later_one(tmp_path):
    frame = pl.concat([table_of(2, duration=[10, 20]), table_of(2, duration=[3600, 7200])])
    write_table(frame, tmp_path / "a.csv")
    rejected = str(tmp_path / "rejected.csv")
    datautil([str(tmp_path / "a.csv"), "--remove-path-duplication", "--rejected", rejected, "--quiet"])
    change = read_chain([str(tmp_path)]).steps[1].change
    assert change.lost_hours == 3.0 and [reason.rows for reason in change.reasons] == [2]
    assert change.reasons[0].recorded


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["none.csv"], "no such table"),
        (["a.csv", "a.csv"], "named twice"),
        (["a.csv", "empty"], "is a folder"),
        (["empty"], "no table"),
        (["b*.csv"], "matches no table"),
        (["notes.txt"], "not a table"),
    ],
)
def test_inputs_that_are_no_chain_are_refused(tmp_path, monkeypatch, inputs, words):
    monkeypatch.chdir(tmp_path)
    write_table(table_of(2), Path("a.csv"))
    Path("empty").mkdir()
    Path("notes.txt").write_text("x")
    with pytest.raises(UserError, match=words):
        read_chain(inputs)


def test_a_file_named_as_a_failures_file_may_be_the_users(tmp_path):
    table = write_table(table_of(2), tmp_path / "a.csv")
    (tmp_path / "a.failures.csv").write_text("mine,path\n1,x\n")
    assert read_chain([str(table)]).steps[0].failures == ()
    write_failures([MediaError("timeout", "v/0000.mp4", "slow")], failures_path(table))
    assert (tmp_path / "a.failures-2.csv").exists()
    assert [kind.kind for kind in read_chain([str(table)]).steps[0].failures] == ["timeout"]


def test_many_rows(tmp_path):
    """By construction: of 140,000 rows each seventh goes, and 10,000 that were not there come."""
    before = pl.select(path=pl.format("videos/folder/{}.mp4", pl.int_range(140_000)), duration=pl.lit(3.6))
    kept = before.filter(pl.int_range(pl.len()) % 7 != 0).sample(fraction=1, shuffle=True, seed=1)
    more = pl.select(path=pl.format("more/{}.mp4", pl.int_range(10_000)), duration=pl.lit(1.0))
    before.write_parquet(tmp_path / "a.parquet")
    pl.concat([kept, more]).write_parquet(tmp_path / "a_x.parquet")
    change = read_chain([str(tmp_path)]).steps[1].change
    gone = len(range(0, 140_000, 7))
    assert (change.lost, change.new) == (gone, 10_000)
    assert change.lost_hours == pytest.approx(gone / 1000)
