"""The order of copies, from known values."""

from __future__ import annotations

import polars as pl
import pytest

from tools.columns import COLUMNS
from tools.errors import UserError
from tools.scoring.dedup.criteria import KEEP, KNOWN, LESS_IS_BETTER, check_keep
from tools.scoring.dedup.fingerprint import About
from tools.scoring.dedup.ranking import rank


def about(height: int = 720, width: int = 1280, frames: int = 100, **more: object) -> About:
    return About(height, width, frames, True, **more)


def order(known: list[About | None], keep: tuple[str, ...] = KEEP, **columns: list) -> list[int]:
    return rank(pl.DataFrame({"path": [str(i) for i in range(len(known))], **columns}), known, keep)


def test_size_comes_first_then_length():
    known = [about(360, 640), about(frames=50), about(frames=500), about(1080, 1920, 10), None]
    assert order(known) == [3, 2, 1, 0, 4]


def test_bars_are_no_pixels():
    letterboxed = about(960, 1280, box=(0.0, 1.0, 0.125, 0.875))  # 1280 x 720 of picture
    assert order([letterboxed, about(800, 1280)]) == [1, 0]
    assert order([letterboxed, about(720, 1280, num_bytes=1)]) == [1, 0]


@pytest.mark.parametrize("column", ["sharpness", "quality", "aes"])
def test_more_is_better(column):
    assert order([about()] * 3, (column,), **{column: ["2.5", "10", None]}) == [1, 0, 2]


@pytest.mark.parametrize("column", ["niqe", "blockiness"])
def test_less_is_better(column):
    assert order([about()] * 4, (column,), **{column: ["2.5", "10", None, "nan"]})[:2] == [0, 1]


def test_a_few_frames_more_are_not_more():
    known = [about(frames=300), about(frames=301, num_bytes=10), about(frames=299, num_bytes=20)]
    assert order(known) == [2, 1, 0]
    assert order([about(frames=300), about(frames=150)]) == [0, 1]  # half the frame rate
    # a copy of less than two seconds has to lie in the other as a whole
    assert order([about(frames=30, num_bytes=9), about(frames=31)]) == [1, 0]


def test_what_is_not_as_long_by_a_tenth_is_shorter():
    for frames in range(60, 400):
        longer = round(frames * 1.1 + 1)
        assert order([about(frames=frames, num_bytes=9), about(frames=longer)]) == [1, 0]


def test_the_place_in_the_table_is_the_last_resort():
    known = [about(num_bytes=5)] * 3
    assert order(known) == [0, 1, 2]
    assert order([about(360, 640), about()], ("first", "resolution")) == [0, 1]


def test_criteria_are_columns_or_known():
    assert set(KEEP) | LESS_IS_BETTER <= {*KNOWN, *COLUMNS}
    check_keep(KEEP, ["path"])
    check_keep(["filesize", "beauty"], ["path", "beauty"])
    with pytest.raises(UserError, match="no such column"):
        check_keep(["beauty"], ["path"])
