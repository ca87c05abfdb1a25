"""A table that does not fit into the buffer is sorted as Python's own stable sort sorts it."""

import random

import polars as pl
import pytest

from tools.table import external_sort as module
from tools.table import row_files
from tools.table.external_sort import external_sort, sample_of
from tools.table.row_files import batches_of


@pytest.fixture(autouse=True)
def _small_buffer(monkeypatch):
    monkeypatch.setattr(module, "_BUFFER", 4000)
    monkeypatch.setattr(module, "_LARGEST_BUFFER", 8000)
    monkeypatch.setattr(row_files, "_BATCH", 70)


def sorted_by_python(keys, descending):
    """Numbers of rows in order: Python's sort is stable, and empty keys come last."""
    filled = [i for i, key in enumerate(keys) if key is not None]
    # A reversed stable sort keeps equal keys in their order, too.
    filled.sort(key=lambda i: keys[i], reverse=descending)
    return filled + [i for i, key in enumerate(keys) if key is None]


DRAWN = random.Random(3)
KEYS = {
    "numbers": [DRAWN.choice([None, DRAWN.random(), -1.5, 7.0]) for _ in range(2000)],
    "few values": [DRAWN.choice([1, 1, 1, 2, None]) for _ in range(2000)],
    "one value": [5] * 1500,
    "nothing": [None] * 1500 + [1],
    "texts": [DRAWN.choice(["", "é", "a", "Z", "010", None, str(DRAWN.random())]) for _ in range(2000)],
    "few rows": [3, 1, 2],
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", KEYS)
def test_sorted_as_by_python(tmp_path, name, descending):
    keys = KEYS[name]
    frame = pl.LazyFrame({"key": keys, "row": range(len(keys)), "text": ["x" * 20] * len(keys)})
    sample, rows = sample_of(batches_of(frame.select("key")))
    assert rows == len(keys)
    result = external_sort(frame, pl.col("key"), sample["key"], rows, tmp_path, descending=descending)
    expected = sorted_by_python(keys, descending)
    assert result.collect(engine="streaming")["row"].to_list() == expected
    # Read again, in part, and filtered.
    assert result.head(9).collect(engine="streaming")["row"].to_list() == expected[:9]
    few = result.filter(pl.col("row") % 7 == 0).select("row").collect(engine="streaming")
    assert few["row"].to_list() == [i for i in expected if i % 7 == 0]
    assert result.select(pl.len()).collect(engine="streaming").item() == len(keys)


def test_rows_go_through_files_that_are_removed(tmp_path):
    frame = pl.LazyFrame({"key": KEYS["numbers"]})
    sample, rows = sample_of(batches_of(frame))
    result = external_sort(frame, pl.col("key"), sample["key"], rows, tmp_path)
    files = list(tmp_path.rglob("*.arrow"))
    assert len(files) > 5  # by the size of the buffer, most of the table was written
    del result
    assert not list(tmp_path.rglob("*.arrow"))
