"""Outputs of one and of several ranks: what is left alone, what is replaced, what stops the run."""

import fcntl
import os
import re
from pathlib import Path

import polars as pl
import pytest

from tests.stage.odd_stages import LastDigitStage, NotingStage, TextStage
from tools.errors import UserError
from tools.stage import options as stage_options
from tools.stage.runner import RunOptions, run_stage
from tools.table import expand_inputs, merge_tables, read_table, write_table

ROWS = 6


@pytest.fixture
def meta(tmp_path) -> Path:
    """Six files, f0 to f5, each as long as its number."""
    for i in range(ROWS):
        (tmp_path / f"f{i}").write_bytes(b"x" * i)
    paths = [str(tmp_path / f"f{i}") for i in range(ROWS)]
    return write_table(pl.DataFrame({"path": paths}), tmp_path / "meta.csv")


@pytest.fixture
def run(meta, monkeypatch):
    """Run one rank of a number of ranks, in this process."""

    def run(rank=0, world=1, stage=None, **options):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        options = RunOptions(num_workers=0, progress=False, **options)
        return run_stage(stage or LastDigitStage(), meta, options=options)

    return run


def parts(meta) -> list[str]:
    return sorted(p.name for p in meta.parent.glob("meta_digit_part*.csv"))


def digits(path) -> list[str | None]:
    return read_table(path)["digit"].to_list()


def test_more_ranks_than_rows(run, meta):
    alone = run().output.read_bytes()
    for rank in range(8):
        run(rank, 8)
    assert read_table(meta.with_name("meta_digit_part7.csv")).columns == ["path", "digit", "_row", "_part"]
    assert read_table(meta.with_name("meta_digit_part7.csv")).height == 0
    found = expand_inputs([str(meta.with_name("meta_digit_part*.csv"))])
    assert len(found) == 8
    merged = write_table(merge_tables(found), meta.with_name("merged.csv"))
    assert merged.read_bytes() == alone


def test_parts_go_when_the_whole_stands(run, meta):
    for rank in range(3):
        run(rank, 3, LastDigitStage(bad="4"))
    assert meta.with_name("meta_digit.failures_part1.csv").exists()
    result = run(stage=LastDigitStage(bad="4"))
    assert (result.reused, parts(meta)) == (ROWS, [])
    assert not meta.with_name("meta_digit.failures_part1.csv").exists()


def test_parts_made_with_other_options_are_left_where_nothing_is_mixed(run, meta):
    for rank in range(2):
        run(rank, 2, LastDigitStage(bad="4"))
    run()
    assert parts(meta) == ["meta_digit_part0.csv", "meta_digit_part1.csv"]


def test_a_part_made_otherwise_stops_every_rank(run, meta):
    for rank in range(2):
        run(rank, 2, LastDigitStage(bad="4"))
    meta.with_name("meta_digit_part0.csv").unlink()
    with pytest.raises(UserError, match=r"part1\.csv: is in the way.*other options \(bad 4, now \)"):
        run(0, 2)
    assert parts(meta) == ["meta_digit_part1.csv"]
    run(0, 2, overwrite=True)
    assert parts(meta) == ["meta_digit_part0.csv"]  # that of the other run is gone, whoever wrote it
    run(1, 2, overwrite=True)
    merged = merge_tables(expand_inputs([str(meta.with_name("meta_digit_part*.csv"))])).collect()
    assert merged["digit"].to_list() == ["0", "1", "2", "3", "4", "5"]


def test_a_rank_that_starts_late_leaves_the_parts_of_its_run_alone(run, meta):
    for rank in range(3):
        run(rank, 3)
    first = run(0, 2).output
    written, time = first.read_bytes(), first.stat().st_mtime_ns
    assert parts(meta) == ["meta_digit_part0.csv"]
    run(1, 2)
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (written, time)
    assert run(0, 2).already_complete
    assert run(1, 2).already_complete


def test_a_foreign_file_that_looks_like_a_part_is_never_touched(run, meta):
    foreign = meta.with_name("meta_digit_part5.csv")
    foreign.write_text("path\nmine\n")
    for overwrite in (False, True):
        with pytest.raises(
            UserError, match=r"part5\.csv: is in the way, .*not by this command.*move it away"
        ):
            run(0, 2, overwrite=overwrite)
    assert foreign.read_text() == "path\nmine\n"


def test_what_differs_is_said(run, meta):
    run()
    with pytest.raises(UserError, match=r"with other options \(bad , now 4\); --overwrite"):
        run(stage=LastDigitStage(bad="4"))
    with pytest.raises(UserError, match="with --on-error keep; --overwrite"):
        run(on_error="drop")
    meta.write_text(meta.read_text() + "another\n")
    with pytest.raises(UserError, match="from another input, or the input was changed since; --overwrite"):
        run()


@pytest.mark.parametrize(
    ("output", "message"), [("meta.csv", "would overwrite the input"), ("clips.txt", "not a table")]
)
def test_an_impossible_output_is_told_before_the_work(meta, tmp_path, output, message):
    log = tmp_path / "log"
    options = RunOptions(num_workers=0, progress=False, overwrite=True)
    with pytest.raises(UserError, match=message):
        run_stage(NotingStage(str(log)), meta, output=tmp_path / output, options=options)
    assert not log.exists()


def test_a_video_in_place_of_a_table_is_named_itself(tmp_path):
    """Not the output that would be made of its name, which nobody has typed."""
    (tmp_path / "a.mov").touch()
    for given in (tmp_path, tmp_path / "a.mov"):
        with pytest.raises(UserError, match=f"^{re.escape(str(given))}: not a table.*convert video FOLDER"):
            run_stage(NotingStage(""), given, options=RunOptions(num_workers=0, progress=False))


def test_set_up_comes_first_and_only_when_there_is_work(run, meta, tmp_path):
    log = tmp_path / "log"
    with pytest.raises(UserError, match="weights are missing"):
        run(stage=NotingStage(str(log), weights=False))
    assert log.read_text() == "setup\n"
    log.unlink()
    output = run(stage=NotingStage(str(log))).output
    lines = log.read_text().splitlines()
    assert lines[0] == "setup"
    assert lines.count("setup") == 1
    assert sorted(line for line in lines if "prepare" in line) == [f"prepare f{i}" for i in range(ROWS)]
    log.unlink()
    output.unlink()
    assert run(stage=NotingStage(str(log), weights=False)).reused == ROWS
    assert not log.exists()


def test_equal_rows_are_done_once(meta, tmp_path, run):
    table = read_table(meta)
    write_table(pl.concat([table, table, table]), meta)
    log = tmp_path / "log"
    result = run(stage=NotingStage(str(log)))
    assert result.rows == 3 * ROWS
    assert log.read_text().count("prepare") == ROWS
    assert read_table(result.output)["size"].to_list() == [str(i) for i in range(ROWS)] * 3


def test_a_stage_may_read_no_file_at_all(tmp_path):
    meta = write_table(pl.DataFrame({"text": ["a", "bb", "a"]}), tmp_path / "meta.csv")
    result = run_stage(TextStage(), meta, options=RunOptions(num_workers=0, progress=False))
    assert read_table(result.output)["length"].to_list() == ["1", "2", "1"]


def test_a_later_success_counts_whichever_rank_had_it(run, meta):
    fault = meta.with_name("f1")
    (meta.with_name("f0")).write_bytes(b"x")  # as long as f1, so that this goes to rank 1
    for rank in range(2):
        run(rank, 2, LastDigitStage(bad="1"))
    assert None in digits(meta.with_name("meta_digit_part1.csv"))

    class Mended(LastDigitStage):
        def prepare(self, row, frames):
            return {"digit": int(row["path"][-1])}

    mended = run(stage=Mended(bad="1"), retry_failed=True)  # in the file of rank 0, after the failure of 1
    assert (mended.failed, fault.exists()) == (0, True)
    mended.output.unlink()
    assert run(stage=LastDigitStage(bad="1")).failed == 0


def test_a_list_of_failures_that_was_removed_is_written_again(run, meta):
    first = run(stage=LastDigitStage(bad="25"))
    listed = first.failures_file.read_bytes()
    first.failures_file.unlink()
    again = run(stage=LastDigitStage(bad="25"))
    assert (again.already_complete, again.failures_file.read_bytes()) == (True, listed)


def command(meta, monkeypatch, rank, world, bad, *flags):
    from tools import cli

    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))
    parser = cli.ArgumentParser("tests", "Test.", "tests meta.csv")
    parser.add_argument("meta")
    stage_options.add_stage_arguments(parser)
    args = parser.parse_args([str(meta), "--num_workers", "0", *flags])
    return stage_options.run_command(LastDigitStage(bad=bad), args)


def test_the_last_rank_judges_for_all(meta, monkeypatch, capsys):
    # Rank 1 has f1, f3 and f5, all bad. An exit code of 1 would make torchrun kill the ranks at work.
    assert command(meta, monkeypatch, 1, 2, "135") == 0
    assert command(meta, monkeypatch, 0, 2, "135") == 0
    assert command(meta, monkeypatch, 1, 2, "135", "--strict") == 1
    everything = "012345"
    assert command(meta, monkeypatch, 0, 2, everything, "--overwrite") == 0
    capsys.readouterr()
    assert command(meta, monkeypatch, 1, 2, everything, "--overwrite") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == str(meta.with_name("meta_digit_part1.csv"))
    assert "every row failed, the first:" in err.splitlines()[-1]


def test_nobody_judges_while_another_rank_is_at_work(run, meta):
    for rank in range(2):
        run(rank, 2)
    file = os.open(meta.parent / ".vidsieve" / "meta_digit.csv" / "rank1.jsonl", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    assert run(0, 2).totals is None
    os.close(file)
    assert run(0, 2).totals == (ROWS, 0, 0)


def test_the_same_command_does_not_run_twice_at_a_time(run, meta):
    run().output.unlink()
    file = os.open(meta.parent / ".vidsieve" / "meta_digit.csv" / "rank0.jsonl", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="the same command is running already"):
        run()
    os.close(file)


@pytest.mark.parametrize(("rank", "world"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", "0")])
def test_ranks_that_cannot_be(run, rank, world):
    with pytest.raises(UserError, match="RANK="):
        run(rank, world)
