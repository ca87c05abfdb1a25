"""Matching rows: compared with counters of Python's, on random tables with repeated and empty cells."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from tools.report.chain.matching import match, read_keys
from tools.table import scan_table, write_table


def keys_of(**columns):
    return read_keys(pl.LazyFrame(columns), "t")


@pytest.mark.parametrize("seed", range(20))
def test_lost_and_new_rows_are_those_of_counters(seed):
    rng = np.random.default_rng(seed)
    pool = [None, "", *map(str, range(int(rng.integers(3, 60))))]
    before = [pool[i] for i in rng.integers(0, len(pool), rng.integers(1, 80))]
    after = [pool[i] for i in rng.integers(2, len(pool), rng.integers(1, 80))] + [before[0] or "0"]
    lengths = rng.random(len(before))
    found = match(keys_of(path=before, duration=lengths), keys_of(path=after))
    count_before, count_after = (Counter(cell or "" for cell in cells) for cells in (before, after))
    if not count_before.keys() & count_after.keys() - {""}:
        assert found is None
        return
    # The rows that stay are the first of each cell, as datautil keeps them.
    seen, lost = Counter(), []
    for cell in (cell or "" for cell in before):
        lost.append(seen[cell] >= count_after[cell])
        seen[cell] += 1
    assert found.lost.tolist() == lost
    assert found.lost.sum() == (count_before - count_after).total()
    assert found.new == (count_after - count_before).total()
    assert len(before) - found.lost.sum() + found.new == len(after)


def test_clips_are_matched_with_their_videos():
    videos = keys_of(path=["a.mp4", "b.mp4", "c.mp4", None], id=["a", "b", "c", "d"])
    clips = keys_of(
        path=["a_0.mp4", "a_1.mp4", "x_0.mp4"], id=["a_0", "a_1", "c"], source=["a.mp4"] * 2 + [None]
    )
    found = match(videos, clips)
    assert (found.column, found.before) == ("source", "path")
    assert found.lost.tolist() == [False, True, True, True] and found.new == 1 and found.kept == 1


def test_paths_count_before_ids_and_ids_where_paths_were_rewritten():
    before = keys_of(path=["/v/1.mp4", "/v/2.mp4"], id=["1", "2"])
    assert match(before, keys_of(path=["/v/2.mp4", "/w/1.mp4"], id=["2", "1"])).lost.tolist() == [True, False]
    assert match(before, keys_of(path=["2.mp4"], id=["2"])).lost.tolist() == [True, False]
    resized = keys_of(path=["r/2.mp4"], original_path=["/v/2.mp4"], id=["9"])
    assert match(before, resized).column == "original_path"


def test_a_table_that_adds_many_rows_is_matched_by_path():
    before = keys_of(path=[f"a/{i}" for i in range(10)], id=[str(i) for i in range(10)])
    after = keys_of(
        path=[f"a/{i}" for i in range(10)] + [f"b/{i}" for i in range(500)],
        id=[str(i % 10) for i in range(510)],
    )
    found = match(before, after)
    assert (found.column, found.lost.sum(), found.new) == ("path", 0, 500)


def test_nothing_in_common_and_nothing_at_all():
    some = keys_of(path=["a"], id=["1"])
    assert match(some, keys_of(path=["b"], id=["2"])) is None
    assert match(some, keys_of(other=["a"])) is None
    emptied = match(some, keys_of(path=[], id=[]))
    assert emptied.lost.tolist() == [True] and emptied.new == 0
    assert match(keys_of(path=[]), some).new == 1
    assert match(keys_of(path=[None]), keys_of(path=[""])) is None  # an empty cell is no key to agree in


def test_formats_have_the_same_keys(tmp_path):
    table = pl.DataFrame({"path": ["a", "ü b", None], "id": ["007", "7", "None"]})
    csv, parquet = (
        read_keys(scan_table(write_table(table, tmp_path / f"t.{e}")), "t") for e in ("csv", "parquet")
    )
    for name in ("path", "id"):
        np.testing.assert_array_equal(csv.hashes[name], parquet.hashes[name])
    assert len(set(csv.hashes["id"].tolist())) == 3
    assert csv.hashes["path"][2] == 0 and np.isnan(csv.seconds).all()
