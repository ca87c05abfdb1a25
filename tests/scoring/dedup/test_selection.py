"""The order of rows by infos values, and which of several copies is kept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tools.columns import COLUMNS
from tools.errors import UserError
from tools.scoring.dedup.candidates import Candidates
from tools.scoring.dedup.fingerprint import FileInfo
from tools.scoring.dedup.selection import (
    FILE_CRITERIA,
    KEEP,
    LESS_IS_BETTER,
    Match,
    check_keep,
    check_numbers,
    rank,
    select_duplicates,
)


def info(height: int = 720, width: int = 1280, frames: int = 100, **more: object) -> FileInfo:
    return FileInfo(height, width, frames, True, **more)


def order(infos: list[FileInfo | None], keep: tuple[str, ...] = KEEP, **columns: list) -> list[int]:
    return rank(pl.DataFrame({"path": [str(i) for i in range(len(infos))], **columns}), infos, keep)


def test_size_comes_first_then_length():
    infos = [info(360, 640), info(frames=50), info(frames=500), info(1080, 1920, 10), None]
    assert order(infos) == [3, 2, 1, 0, 4]


def test_bars_do_not_count_as_pixels():
    letterboxed = info(960, 1280, box=(0.0, 1.0, 0.125, 0.875))  # 1280 x 720 of picture
    assert order([letterboxed, info(800, 1280)]) == [1, 0]
    assert order([letterboxed, info(720, 1280, num_bytes=1)]) == [1, 0]


@pytest.mark.parametrize("column", ["sharpness", "quality", "aes"])
def test_more_is_better(column):
    assert order([info()] * 3, (column,), **{column: ["2.5", "10", None]}) == [1, 0, 2]


@pytest.mark.parametrize("column", ["niqe", "blockiness"])
def test_less_is_better(column):
    assert order([info()] * 4, (column,), **{column: ["2.5", "10", None, "nan"]})[:2] == [0, 1]


def test_a_few_frames_more_are_not_more():
    infos = [info(frames=300), info(frames=301, num_bytes=10), info(frames=299, num_bytes=20)]
    assert order(infos) == [2, 1, 0]
    assert order([info(frames=300), info(frames=150)]) == [0, 1]  # half the frame rate
    # a copy of less than two seconds has to lie in the other as a whole
    assert order([info(frames=30, num_bytes=9), info(frames=31)]) == [1, 0]


def test_what_is_not_as_long_by_a_tenth_is_shorter():
    for frames in range(60, 400):
        longer = round(frames * 1.1 + 1)
        assert order([info(frames=frames, num_bytes=9), info(frames=longer)]) == [1, 0]


def test_the_order_of_the_table_decides_last():
    infos = [info(num_bytes=5)] * 3
    assert order(infos) == [0, 1, 2]
    assert order([info(360, 640), info()], ("first", "resolution")) == [0, 1]


def test_criteria_are_columns_or_known():
    assert set(KEEP) | LESS_IS_BETTER <= {*FILE_CRITERIA, *COLUMNS}
    check_keep(KEEP, ["path"])
    check_keep(["filesize", "beauty"], ["path", "beauty"])
    with pytest.raises(UserError, match="no such column"):
        check_keep(["beauty"], ["path"])


@pytest.mark.parametrize("cells", [["a", "b", ""], [[1.0], [2.0], None], [{"x": 1}, None, None]])
def test_a_column_without_numbers_is_no_criterion(cells):
    table = pl.DataFrame(
        {"mine": cells, "aes": ["nan", "", "x"], "none": ["", None, " "], "code": ["7", "x", ""]}
    )
    check_numbers(table, ["code", "none", "aes", "resolution"])
    with pytest.raises(UserError, match="--keep mine"):
        check_numbers(table, ["code", "mine"])


def chain(similarities: dict[tuple[int, int], float]) -> tuple[Candidates, object]:
    pairs = sorted(similarities)
    later, earlier = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    candidates = Candidates(later, earlier, np.zeros(len(pairs), np.int64))
    return candidates, lambda one, other, views: similarities.get((one, other), 0.0)


def test_not_all_of_a_chain_are_copies_of_its_first():
    # each is like the one before and unlike the one before that
    pairs, similarities = chain({(1, 0): 0.95, (2, 1): 0.95, (3, 2): 0.95, (4, 3): 0.95})
    assert select_duplicates(pairs, similarities, 0.9) == {1: Match(0, 0.95), 3: Match(2, 0.95)}


def test_a_copy_of_a_copy_is_compared_with_the_kept_row():
    pairs, _ = chain({(1, 0): 0.95, (2, 1): 0.99})
    compared = []

    def similarity(later, earlier, views):
        compared.append((later, earlier))
        return {(1, 0): 0.95, (2, 0): 0.92}[later, earlier]

    assert select_duplicates(pairs, similarity, 0.9) == {1: Match(0, 0.95), 2: Match(0, 0.92)}
    assert compared == [(1, 0), (2, 0)]


def test_the_most_similar_of_several_is_the_match():
    pairs, similarities = chain({(2, 0): 0.91, (2, 1): 0.96, (1, 0): 0.2})
    assert select_duplicates(pairs, similarities, 0.9) == {2: Match(1, 0.96)}
