"""Runs that are told to do only some rows: what their tables hold, and that the next run goes on from there.

What is right is what one uninterrupted run writes.
"""

from pathlib import Path

import polars as pl
import pytest

from tests.stage.odd_stages import LastDigitStage
from tests.stage.stages import BytesStage
from tools.errors import UserError
from tools.stage.runner import RunOptions, run_stage
from tools.table import expand_inputs, merge_tables, read_table, write_table

ROWS = 7


@pytest.fixture
def meta(tmp_path) -> Path:
    """Seven files, f0 to f6; f3 stands twice."""
    names = [f"f{i}" for i in (0, 1, 2, 3, 3, 4, 5, 6)]
    for name in names:
        (tmp_path / name).write_bytes(bytes([1, int(name[1]), 2]))
    table = pl.DataFrame({"path": [str(tmp_path / n) for n in names], "id": names})
    return write_table(table, tmp_path / "meta.csv")


@pytest.fixture
def run(meta, monkeypatch):
    def run(rank=0, world=1, stage=None, output=None, **options):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        options = RunOptions(num_workers=0, progress=False, **options)
        return run_stage(stage or LastDigitStage(), meta, output=output, options=options)

    return run


def digits(path) -> list[str | None]:
    return read_table(path)["digit"].to_list()


def test_each_run_does_the_next_rows_and_the_last_writes_what_one_run_would(run, meta):
    whole = run(output=meta.with_name("whole.csv")).output.read_bytes()
    first = run(limit=2)
    assert (digits(first.output), first.left, first.fresh, first.rows) == (["0", "1"], 6, 2, 2)
    again = run(limit=2)
    assert (digits(again.output), again.left, again.fresh) == (["0", "1", "2", "3", "3"], 3, 2)
    rest = run()
    assert (rest.reused, rest.fresh, rest.left) == (5, 3, 0)
    assert rest.output.read_bytes() == whole
    assert run().already_complete and run(limit=1).already_complete


def test_a_limit_beyond_the_table_is_a_whole_run(run):
    assert run(limit=100).left == 0
    assert run().already_complete


def test_with_other_options_what_a_limited_run_wrote_is_in_the_way(run):
    run(limit=2)
    with pytest.raises(UserError, match="is in the way, it was made with other options"):
        run(stage=LastDigitStage(bad="4"))


def test_ranks_share_the_limit(run, meta):
    whole = run(output=meta.with_name("whole.csv")).output.read_bytes()
    for rank in range(3):
        run(rank, 3, limit=4)
    merged = merge_tables(expand_inputs([str(meta.with_name("meta_digit_part*.csv"))]))
    assert merged.collect()["digit"].to_list() == ["0", "1", "2", "3", "3"]  # f3 was done, so both are
    for rank in range(3):
        run(rank, 3)
    parts = expand_inputs([str(meta.with_name("meta_digit_part*.csv"))])
    assert write_table(merge_tables(parts), meta.with_name("merged.csv")).read_bytes() == whole


def test_an_empty_share_is_no_failure(run, meta):
    for rank in range(3):
        result = run(rank, 3, limit=1)
    assert (result.rows, result.failed, result.totals.rows) == (0, 0, 1)


def test_failed_rows_beyond_the_limit_stay_in_the_table(run):
    assert run(stage=LastDigitStage(bad="246")).failed == 3
    result = run(stage=LastDigitStage(bad="246"), retry_failed=True, limit=1)
    assert (result.rows, result.failed, result.fresh, result.left) == (8, 3, 1, 0)


def test_rows_that_become_many(run, meta):
    whole = run(stage=BytesStage(), output=meta.with_name("whole.csv")).output.read_bytes()
    short = run(stage=BytesStage(), limit=3)
    assert read_table(short.output)["byte"].to_list() == ["1", "2", "1", "1", "2", "1", "2", "2"]
    assert [failure.message for failure in short.failures] == ["a zero byte"]
    assert run(stage=BytesStage()).output.read_bytes() == whole


def test_a_limit_is_at_least_one_row():
    with pytest.raises(UserError, match="limit"):
        RunOptions(limit=0)
