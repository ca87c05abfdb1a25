"""Who gets which rows: shares of equal work, the same for every rank, whatever happens to files meanwhile.

The idle time at the end is that of a simulation: each worker takes the next row when it is free.
"""

import heapq
import itertools
import json

import numpy as np
import polars as pl
import pytest

from tests.stage.stages import CrcStage
from tools.stage.dealing import deal, longest_first, rows_of_rank
from tools.stage.ledger import row_key
from tools.stage.runner import RunOptions, run_stage
from tools.stage.shards import Shard
from tools.table import expand_inputs, merge_tables, read_table, write_table

ROWS = 2000


def skewed(kind):
    rng = np.random.default_rng(7)
    return {
        "pareto": rng.pareto(1.6, ROWS) + 1,
        "lognormal": rng.lognormal(3, 1.4, ROWS),
        "few films": np.where(rng.random(ROWS) < 0.02, 300.0, 1.0) * rng.uniform(0.5, 1.5, ROWS),
        "sorted": np.sort(rng.lognormal(0, 1.2, ROWS)),
    }[kind]


def idle(shares, seconds, workers):
    """The part of the time of all workers in which they have nothing to do, while others work."""
    ends = []
    for rows in shares:
        free = [0.0] * workers
        for row in rows:
            heapq.heappush(free, heapq.heappop(free) + seconds[row])
        ends += free
    return 1 - sum(ends) / len(ends) / max(ends)


def dealt(costs, world):
    ranks = deal(costs, world)
    shares = [np.flatnonzero(ranks == rank) for rank in range(world)]
    return [rows[longest_first(costs[rows])] for rows in shares]


@pytest.mark.parametrize("kind", ["pareto", "lognormal", "few films", "sorted"])
@pytest.mark.parametrize(("world", "workers"), [(1, 8), (2, 1), (4, 2), (8, 1)])
def test_at_the_end_nobody_works_alone(kind, world, workers):
    costs = skewed(kind)
    assert idle(dealt(costs, world), costs, workers) < 0.05
    assert idle(dealt(costs, world), costs / costs.mean() + 1, workers) < 0.05
    # A stage that reads three frames of each takes as long for every row.
    assert idle(dealt(costs, world), np.ones(ROWS), workers) < 0.06


def test_in_turn_it_would_be_worse():
    costs = skewed("sorted")
    in_turn = [np.arange(rank, ROWS, 8) for rank in range(8)]
    assert idle(in_turn, costs, 2) > 0.05 > 4 * idle(dealt(costs, 8), costs, 2)


@pytest.mark.parametrize("world", [2, 3, 7])
def test_each_row_goes_to_one_rank_and_equal_ones_in_turn(world):
    ranks = deal(skewed("lognormal"), world)
    assert sorted(set(ranks.tolist())) == list(range(world))
    assert deal(np.ones(10), world).tolist() == [row % world for row in range(10)]
    assert deal(np.ones(0), world).tolist() == []


def test_neighbours_that_cost_the_same_stay_neighbours():
    costs = np.array([1.0, 5.0, 5.0, 5.0, 1.0])
    assert longest_first(costs).tolist() == [1, 2, 3, 0, 4]


@pytest.fixture
def meta(tmp_path, monkeypatch):
    """2,000 rows of which the table says how long they are; files are few, as what is in them is not seen."""
    (tmp_path / "f").write_bytes(b"1")
    frames = np.rint(skewed("pareto") * 100).astype(int)
    table = pl.DataFrame(
        {"path": [str(tmp_path / "f")] * ROWS, "id": [f"{i:04}" for i in range(ROWS)], "num_frames": frames}
    )
    return write_table(table.with_columns(resolution=pl.lit(1)), tmp_path / "meta.csv")


def run(meta, monkeypatch, rank=0, world=1, **options):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))
    return run_stage(CrcStage(), meta, options=RunOptions(num_workers=0, progress=False, **options))


def test_ranks_of_a_real_run_have_equal_work_and_make_the_same_table(meta, monkeypatch):
    whole = run(meta, monkeypatch).output.read_bytes()
    for rank in range(4):
        run(meta, monkeypatch, rank, 4)
    parts = expand_inputs([str(meta.with_name("meta_crc_part*.csv"))])
    work = [read_table(part)["num_frames"].cast(pl.Int64).sum() for part in parts]
    assert 1 - np.mean(work) / max(work) < 0.01
    assert write_table(merge_tables(parts), meta.with_name("merged.csv")).read_bytes() == whole


def test_a_real_run_begins_with_a_sample_and_goes_on_from_the_longest(meta, monkeypatch):
    run(meta, monkeypatch)
    frames = read_table(meta)["num_frames"].cast(pl.Int64).to_list()
    rows = read_table(meta).select("path", "id").iter_rows(named=True)
    places = {row_key(row): number for number, row in enumerate(rows)}
    ledger = (meta.parent / ".vidsieve" / "meta_crc.csv" / "rank0.jsonl").read_text().splitlines()
    numbers = [places[json.loads(line)["row"]] for line in ledger]
    assert sorted(numbers) == list(range(ROWS))
    order = [frames[number] for number in numbers[30:]]
    assert order == sorted(order, reverse=True)
    assert idle([numbers], np.array(frames, float), 8) < 0.05


@pytest.fixture
def files(tmp_path):
    """Forty files of other sizes, and a table that says nothing of them."""
    sizes = np.rint(skewed("lognormal")[:40] * 10).astype(int)
    for i, size in enumerate(sizes):
        (tmp_path / f"f{i}").write_bytes(bytes([i]) * size)
    return write_table(
        pl.DataFrame({"path": [str(tmp_path / f"f{i}") for i in range(40)]}), tmp_path / "meta.csv"
    )


def test_a_file_that_grows_between_two_ranks_is_done_once(files, monkeypatch):
    run(files, monkeypatch, 0, 3)
    largest = max(files.parent.glob("f*"), key=lambda file: file.stat().st_size)
    smallest = min(files.parent.glob("f*"), key=lambda file: file.stat().st_size)
    smallest.write_bytes(bytes(largest.stat().st_size * 5))
    largest.write_bytes(b"")
    for rank in (1, 2):
        run(files, monkeypatch, rank, 3)
    parts = expand_inputs([str(files.with_name("meta_crc_part*.csv"))])
    merged = merge_tables(parts).collect()
    assert merged["path"].to_list() == read_table(files)["path"].to_list()


@pytest.mark.parametrize(("before", "after"), [(3, 2), (1, 3), (4, 1)])
def test_a_run_that_is_cut_off_goes_on_with_other_ranks(files, monkeypatch, before, after):
    whole = run_stage(
        CrcStage(),
        files,
        output=files.with_name("whole.csv"),
        options=RunOptions(num_workers=0, progress=False),
    ).output.read_bytes()
    for rank in range(before):
        run(files, monkeypatch, rank, before, limit=12)
    for rank in range(after):
        result = run(files, monkeypatch, rank, after)
        assert result.reused
    output = result.output
    if after > 1:
        parts = expand_inputs([str(files.with_name("meta_crc_part*.csv"))])
        output = write_table(merge_tables(parts), files.with_name("merged.csv"))
    assert output.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"", b"abc", None])
def test_what_was_written_down_is_not_trusted(files, damage):
    table, state = read_table(files), files.parent / "state"
    shares = [rows_of_rank(Shard(r, 3), table, state, "name", read_only=False) for r in range(3)]
    assert sorted(itertools.chain(*shares)) == list(range(40))
    (file,) = state.glob("*.dealt")
    data = file.read_bytes()
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:] if damage is None else damage)
    assert [list(rows_of_rank(Shard(r, 3), table, state, "name", read_only=False)) for r in range(3)] == [
        list(share) for share in shares
    ]
    assert file.read_bytes() == data


def test_a_dry_run_writes_nothing_down(files, tmp_path):
    share = rows_of_rank(Shard(0, 3), read_table(files), tmp_path / "state", "name", read_only=True)
    assert 0 < len(share) < 40 and not (tmp_path / "state").exists()
