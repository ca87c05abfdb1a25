"""Keys that do not fit into the buffer are matched as Polars matches them in memory."""

import random

import numpy as np
import polars as pl
import pytest

from tests.table.small_buffers import shrink_buffers
from tools.table.external_join import FOUND, first_rows, join_rows, key_numbers, rows_in
from tools.table.row_files import RowFiles, map_pieces, rows_where

DRAWN = random.Random(1)
ODD = [None, "", "é", "a\nb", "007", "x" * 30]
SIZES = [(0, 0), (0, 300), (200, 0), (500, 400), (1, 1), (300, 5)]


@pytest.fixture(autouse=True)
def _small_buffer(monkeypatch):
    shrink_buffers(monkeypatch, 300, 400)


def keys(rows):
    return pl.Series([DRAWN.choice([*ODD, *map(str, range(200))]) for _ in range(rows)], dtype=pl.String)


def tables(mine, theirs):
    """Two tables with a path in common."""
    texts = [None if i % 7 == 0 else "é" * (i % 5) for i in range(theirs)]
    one = pl.DataFrame({"path": keys(mine), "v": range(mine)}, schema_overrides={"v": pl.Int64})
    other = {"path": keys(theirs), "w": range(theirs), "t": texts}
    return one, pl.DataFrame(other, schema_overrides={"w": pl.Int64, "t": pl.String})


@pytest.mark.parametrize("rows", [0, 1, 60, 500])
def test_the_first_of_each_text(tmp_path, rows):
    table = tables(rows, 0)[0]
    expected = table.select(pl.col("path").is_first_distinct() | pl.col("path").is_null()).to_series()
    found = first_rows(table.lazy().filter(pl.col("v") >= 0), "path", tmp_path)
    assert found.tolist() == expected.to_list()
    assert rows_where(table.lazy(), found).collect(engine="streaming").equals(table.filter(expected))


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_equal_texts_have_equal_numbers(tmp_path, rows):
    table = tables(rows, 0)[0]
    numbers = key_numbers(table.lazy(), pl.col("path"), tmp_path)
    pairs = set(zip(table["path"].to_list(), numbers.tolist(), strict=True))
    assert len(pairs) == table["path"].n_unique() == len(set(numbers.tolist()))
    assert {number for path, number in pairs if path is None} <= {0}


@pytest.mark.parametrize(("mine", "theirs"), SIZES)
def test_rows_that_another_table_has(tmp_path, mine, theirs):
    one, other = tables(mine, theirs)
    found = rows_in(one.lazy(), other.lazy(), "path", tmp_path)
    assert isinstance(found, np.ndarray) == (theirs >= 300)
    expected = one["path"].is_in(other["path"].drop_nulls().implode()).fill_null(False)
    if isinstance(found, pl.DataFrame):
        found = one["path"].is_in(found["path"].drop_nulls().implode()).fill_null(False)
    assert list(found) == expected.to_list()


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize(("mine", "theirs"), SIZES)
def test_joined_as_in_memory(tmp_path, mine, theirs, keep, engine):
    one, other = tables(mine, theirs)
    distinct = pl.col("path").is_first_distinct() if keep == "first" else pl.col("path").is_last_distinct()
    once = other.filter(distinct | pl.col("path").is_null())
    found = once.with_columns(pl.lit(True).alias(FOUND))
    expected = one.join(found, on="path", how="left", maintain_order="left")

    joined = join_rows(one.lazy().filter(pl.col("v") >= 0), other.lazy(), "path", tmp_path, keep)
    assert joined.repeated == theirs - once.height
    assert joined.frame.collect(engine=engine).equals(expected)
    rest = once.join(one, on="path", how="anti", maintain_order="left")
    assert joined.rest.collect(engine=engine).equals(rest)
    # In part.
    assert joined.frame.select(pl.len()).collect(engine=engine).item() == mine
    assert joined.frame.head(9).collect(engine=engine).equals(expected.head(9))
    assert joined.frame.select("v").collect(engine=engine).equals(expected.select("v"))
    even = pl.col("w") % 2 == 0
    few = joined.frame.filter(even).select("t").collect(engine=engine)
    assert few.equals(expected.filter(even).select("t"))


def test_nothing_is_written_when_the_result_is_read(tmp_path, monkeypatch):
    """Polars may read it in several threads at once."""
    one, other = tables(500, 400)
    joined = join_rows(one.lazy(), other.lazy(), "path", tmp_path)
    files = set(tmp_path.rglob("*.arrow"))
    monkeypatch.delattr(RowFiles, "_write")
    assert joined.frame.collect().height == 500
    assert files == set(tmp_path.rglob("*.arrow")) != set()


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_a_function_of_pieces(tmp_path, rows):
    table = tables(rows, 0)[0]
    sizes = []

    def doubled(piece):
        sizes.append(piece.height)
        return piece.with_columns(w=pl.col("v") * 2)

    made = map_pieces(table.lazy(), doubled, tmp_path)
    expected = table.with_columns(w=pl.col("v") * 2)
    assert made.collect(engine="streaming").equals(expected)
    assert made.head(75).select("w").collect().equals(expected.head(75).select("w"))
    assert made.filter(pl.col("w") > 700).collect().equals(expected.filter(pl.col("w") > 700))
    assert sum(sizes) == rows
    assert (len(sizes) > 3) == (rows == 500)
    del made
    assert not list(tmp_path.rglob("*.arrow"))
