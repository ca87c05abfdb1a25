"""The command: its tables, ranks, second runs, failures and bad input."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.scoring.commands import run_as_ranks
from tests.scoring.dedup.scenes import Scene, film
from tests.support import remux
from tools.errors import UserError
from tools.scoring.dedup.duplicates import mark_duplicates
from tools.scoring.dedup.features import FEATURE
from tools.scoring.dedup.inference import COMMAND, main
from tools.scoring.dedup.stage import FingerprintStage
from tools.scoring.fused import FusedStage
from tools.stage.runner import RunOptions, map_rows, run_stage
from tools.table import read_table, write_table

INLINE = ["--num_workers", "0", "--quiet"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    """Two scenes, a smaller copy of the first, a piece of the second, and a file that is none."""
    folder = tmp_path_factory.mktemp("clips")
    small = [p[::2, ::2] for p in Scene(0).film(0, 2)]
    files = {
        "small": film(folder / "small.mp4", small),
        "first": film(folder / "first.mp4", Scene(0).film(0, 2)),
        "second": film(folder / "second.mp4", Scene(1).film(0, 3)),
        "piece": film(folder / "piece.mp4", Scene(1).film(0.9, 2.5)),
        "broken": folder / "broken.mp4",
    }
    files["broken"].write_text("no video\n")
    return files


@pytest.fixture
def table(clips, tmp_path) -> Path:
    paths = [str(path) for path in clips.values()]
    return write_table(
        pl.DataFrame({"path": paths, "id": [f"{i:03}" for i in range(5)]}), tmp_path / "meta.csv"
    )


def test_a_video_that_its_header_mirrors_is_a_copy(clips, tmp_path):
    mirrored = remux(clips["first"], tmp_path / "mirrored.mp4", before=["-display_hflip"])
    paths = [str(clips["first"]), str(clips["second"]), str(mirrored)]
    meta = write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")
    assert main([str(meta), *INLINE, "--output", str(tmp_path / "out.csv")]) == 0
    copies = read_table(tmp_path / "out.csv").filter(pl.col("dup_of") != "")
    assert set(copies["path"]) | set(copies["dup_of"]) == {paths[0], paths[2]}


def kept(path: Path) -> dict[str, str | None]:
    """Name of each file to the name of the one that it is a copy of."""
    rows = read_table(path).select("path", "dup_of").iter_rows()
    return {Path(name).stem: one and Path(one).stem for name, one in rows}


EXPECTED = {"small": "first", "first": None, "second": None, "piece": "second", "broken": None}


def test_all_rows_with_two_more_columns(table, capsys):
    assert main([str(table), *INLINE]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(table.with_name("meta_dedup.csv"))
    assert kept(table.with_name("meta_dedup.csv")) == EXPECTED
    written = read_table(table.with_name("meta_dedup.csv"))
    assert written.columns == ["path", "id", "dup_of", "dup_score"]
    assert written["id"].to_list() == ["000", "001", "002", "003", "004"]
    assert [score is not None for score in written["dup_score"]] == [True, False, False, True, False]
    assert all(0.9 <= float(score) <= 1 for score in written["dup_score"] if score)
    listed = read_table(table.with_name("meta_dedup.failures.csv"))
    assert [Path(path).name for path in listed["path"]] == ["broken.mp4"]
    assert listed.rows() == read_table(table.with_name("meta_fingerprint.failures.csv")).rows()


def test_the_last_lines_say_how_many_duplicates_there_are(table, capsys):
    assert main([str(table), *INLINE]) == 0
    said = capsys.readouterr().err.splitlines()
    assert not any(line.startswith("fingerprint") for line in said)  # kilobytes that nobody can read
    # small is a copy of first, piece of second; broken was not compared
    assert said[-2] == "4 rows compared: 2 duplicates in 2 groups; 1 row without a fingerprint"
    assert said[-1] == f"5 rows: {table.with_name('meta_dedup.csv')}"


def test_split(table):
    assert main([str(table), "--split", *INLINE]) == 0
    rows = {n: set(kept(table.with_name(f"meta_{n}.csv"))) for n in ("dedup", "dup")}
    assert rows == {"dedup": {"first", "second", "broken"}, "dup": {"small", "piece"}}
    assert main([str(table), "--split", "--on-error", "drop", "--overwrite", *INLINE]) == 0
    assert set(kept(table.with_name("meta_dedup.csv"))) == {"first", "second"}


def test_options(table):
    assert (
        main([str(table), "--keep", "first", "--output", str(table.with_name("own.parquet")), *INLINE]) == 0
    )
    assert kept(table.with_name("own.parquet")) == EXPECTED | {"small": None, "first": "small"}
    # nothing is decoded for another threshold
    assert main([str(table), "--threshold", "0.9999", "--keep", "first", *INLINE]) == 0
    assert set(kept(table.with_name("meta_dedup.csv")).values()) == {None}


def test_ranks_make_fingerprints_and_a_run_without_ranks_compares_them(table, capsys):
    assert main([str(table), *INLINE]) == 0
    alone = table.with_name("meta_dedup.csv").read_bytes()
    for path in [*table.parent.glob("meta_*"), *table.parent.glob(".vidsieve/*/*")]:
        path.unlink()
    capsys.readouterr()
    run_as_ranks(main, table, *INLINE)
    assert "without torchrun" in capsys.readouterr().err and not table.with_name("meta_dedup.csv").exists()
    assert len(list(table.parent.glob("meta_fingerprint_part*.parquet"))) == 2
    assert main([str(table), *INLINE]) == 0
    assert "by an earlier run" in capsys.readouterr().err
    assert table.with_name("meta_dedup.csv").read_bytes() == alone
    assert not list(table.parent.glob("meta_fingerprint_part*"))


def test_a_table_that_has_fingerprints_is_compared_at_once(table):
    result = run_stage(FingerprintStage(), table, options=RunOptions(num_workers=0, progress=False))
    assert main([str(result.output), *INLINE]) == 0
    output = result.output.with_name("meta_fingerprint_dedup.csv")
    assert kept(output) == EXPECTED and "fingerprint" not in read_table(output).columns


def test_workers_and_a_fused_run_change_nothing(clips, table):
    rows = [{"path": str(path)} for name, path in clips.items() if name != "broken"]
    one = map_rows(FingerprintStage(), rows, RunOptions(num_workers=0, progress=False))
    two = map_rows(FingerprintStage(), rows[::-1], RunOptions(num_workers=2, progress=False))
    assert one == two[::-1]
    fused = FusedStage(stages=(FingerprintStage(),))
    assert [
        row["fingerprint"] for row in map_rows(fused, rows, RunOptions(num_workers=0, progress=False))
    ] == [row["fingerprint"] for row in one]


def test_bad_input(table, tmp_path, capsys):
    with pytest.raises(UserError, match="no column 'path'"):
        main([str(write_table(pl.DataFrame({"a": ["x"]}), tmp_path / "a.csv")), *INLINE])
    with pytest.raises(UserError, match="no such column"):
        main([str(table), "--keep", "beauty", *INLINE])
    with pytest.raises(UserError, match=r"Invalid threshold \(2\). Supported values are numbers above 0"):
        main([str(table), "--threshold", "2", *INLINE])
    with pytest.raises(UserError, match=r"Invalid method \(sound\). Supported values are hash, clip"):
        main([str(table), "--method", "sound"])
    with pytest.raises(UserError, match="--num-frames is for --method clip, not for hash"):
        main([str(table), "--num-frames", "8", *INLINE])
    assert not table.with_name("meta_fingerprint.parquet").exists()  # all of it is checked before any work
    broken = write_table(pl.DataFrame({"path": ["/nowhere.mp4"]}), tmp_path / "broken.csv")
    assert main([str(broken), *INLINE]) == 1
    assert not (tmp_path / "broken_dedup.csv").exists()
    capsys.readouterr()


def test_the_command_with_clip(clips, table, clip_environment):
    flags = ["--method", "clip", "--device", "cpu", "--precision", "fp32", "--threshold", "0.999"]
    assert main([str(table), *flags, *INLINE]) == 0
    found = kept(table.with_name("meta_dedup.csv"))
    assert found["small"] == "first" and found["first"] is None and found["second"] is None
    features = read_table(table.with_name("meta_clip_feature.parquet"))
    exact, index = (
        mark_duplicates(features, method="clip", threshold=0.999, search=s) for s in ("exact", "index")
    )
    assert exact.equals(index) and FEATURE not in exact.columns
    with pytest.raises(UserError, match="not a feature"):
        mark_duplicates(features.with_columns(pl.lit("x").alias(FEATURE)), method="clip")


def test_the_stage_of_a_command_line():
    assert isinstance(COMMAND.make_stage(COMMAND.parser().parse_args(["meta.csv"])), FingerprintStage)
