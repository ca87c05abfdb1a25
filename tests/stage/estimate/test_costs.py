"""What rows cost: from columns in whichever form, from the sizes of files, from nothing. By hand."""

import math

import numpy as np
import polars as pl
import pytest

from tools.stage.estimate.costs import CODEC_FACTORS, are_known, file_sizes, file_state, row_costs


def test_frames_pixels_and_codec():
    table = pl.DataFrame(
        {"num_frames": [10, 20, 20], "resolution": [100, 100, 100], "codec": ["h264", "av1", "HEVC"]}
    )
    assert row_costs(table).tolist() == [1000, 2000, 2000 * CODEC_FACTORS["hevc"]]
    assert are_known(table)


@pytest.mark.parametrize(
    "columns",
    [
        {"num_frames": ["50", "100"], "height": ["3", "3"], "width": ["4", "4"]},
        {"num_frames": [50.0, 100.0], "resolution": [12, 12]},
        {"duration": [2.0, 4.0], "height": [3, 3], "width": [4, 4]},
        {"num_frames": [None, "100"], "duration": ["2", "x"], "resolution": ["12", "12"]},
    ],
)
def test_text_numbers_and_other_columns_say_the_same(columns):
    assert row_costs(pl.DataFrame(columns)).tolist() == [600, 1200]


def test_sizes_of_files_take_the_place_of_columns(tmp_path):
    for name, size in (("a", 30), ("b", 10), ("c", 20)):
        (tmp_path / name).write_bytes(bytes(size))
    table = pl.DataFrame({"path": [str(tmp_path / name) for name in "abc"]})
    assert row_costs(table, file_sizes(table)).tolist() == [30, 10, 20]
    assert not are_known(table) and are_known(table.with_columns(filesize=pl.lit(1.5)))
    # Where some rows have columns, sizes are taken in their unit: here 5 for each byte.
    half = table.with_columns(num_frames=pl.Series([15, None, 10]), resolution=pl.Series([10, None, 10]))
    assert row_costs(half, file_sizes(half)).tolist() == [150, 50, 100]


@pytest.mark.parametrize("odd", ["nan", "-3", "inf", "", "many", None])
def test_what_is_no_number_is_unknown(odd):
    table = pl.DataFrame({"num_frames": ["1", "3", "9", odd], "resolution": ["2"] * 4})
    assert row_costs(table).tolist() == [2, 6, 18, 6]  # the middle of the known ones
    assert not are_known(table)


def test_rows_of_which_nothing_is_known_cost_the_same():
    table = pl.DataFrame(
        {"path": ["s3://bucket/a.mp4", None, "/no/such/file", "a\0b"], "num_frames": [0] * 4}
    )
    assert np.isnan(file_sizes(table)).all()
    assert row_costs(table, file_sizes(table)).tolist() == [1] * 4
    assert row_costs(pl.DataFrame({"text": ["a", "b"]})).tolist() == [1, 1]
    assert row_costs(table.with_columns(resolution=pl.lit(5))).tolist() == [1] * 4  # all are broken
    assert row_costs(table.clear()).tolist() == []


def test_the_state_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    size, changed = file_state(str(tmp_path / "a"))
    assert (size, changed) == (3, (tmp_path / "a").stat().st_mtime_ns)
    assert [file_state(odd) for odd in (None, math.nan, "", 7.5, "s3://a/b")] == [[]] * 5
