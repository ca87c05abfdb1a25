"""Rows as clips: cells of all kinds, worked by hand."""

import math

import polars as pl
import pytest

from tools.errors import UserError
from tools.export.clips import clips
from tools.export.trainers.judgement import Clip, unusable
from tools.table import read_table


def test_a_table_of_all_kinds_of_cells(tmp_path):
    path = tmp_path / "meta with spaces.csv"
    path.write_text(
        "path,width,height,num_frames,fps,text,has_audio,aes\n"
        'a.mp4,640,360,81,23.976,"two\nlines",True,5\n'
        "b.mp4,640.0,360,,nan,,,\n"
        "c.mp4,x,-3,inf,30,NA,false,\n"
    )
    first, second, third = clips(read_table(path), path)
    assert first == Clip("a.mp4", 640, 360, 81, 23.976, "two\nlines", True)
    assert (second.width, second.num_frames, second.caption, second.has_audio) == (640, 0, None, False)
    assert math.isnan(second.fps)
    assert third == Clip("c.mp4", 0, 0, 0, 30.0, "NA", False)
    assert unusable(second)
    assert unusable(third)


def test_without_captions_and_sound():
    table = pl.DataFrame({"path": ["a.mp4"], "width": [64], "height": [48], "num_frames": [9], "fps": [25.0]})
    assert list(clips(table, "meta.parquet")) == [Clip("a.mp4", 64, 48, 9, 25.0)]


def test_another_column_of_captions_and_true_booleans():
    table = pl.DataFrame(
        {
            "path": ["a.mp4", "b.mp4"],
            "width": [64, 64],
            "height": [48, 48],
            "num_frames": [9, 9],
            "fps": [25, 25],
            "short": ["A dog.", ""],
            "has_audio": [True, None],
        }
    )
    found = list(clips(table, "meta.parquet", caption="short"))
    assert [clip.caption for clip in found] == ["A dog.", None]
    assert [clip.has_audio for clip in found] == [True, False]


def test_no_rows():
    table = pl.DataFrame(schema=dict.fromkeys(("path", "width", "height", "num_frames", "fps"), pl.String))
    assert list(clips(table, "meta.csv")) == []


def test_a_missing_column_is_named():
    with pytest.raises(UserError, match=r"meta\.csv: no column 'num_frames'"):
        list(clips(pl.DataFrame({"path": ["a.mp4"], "width": [1], "height": [1]}), "meta.csv"))
    table = pl.DataFrame({"path": ["a.mp4"], "width": [64], "height": [48], "num_frames": [9], "fps": [25.0]})
    with pytest.raises(UserError, match="no column 'caption'"):
        list(clips(table, "meta.csv", caption="caption"))


@pytest.mark.parametrize("name", ["path", "mine"])
def test_lists_are_refused(name):
    table = pl.DataFrame({"path": ["a.mp4"], "width": [64], "height": [48], "num_frames": [9], "fps": [25.0]})
    table = table.with_columns(mine=pl.lit("A dog.")).with_columns(pl.concat_list(name).alias(name))
    with pytest.raises(UserError, match=f"meta.csv: column '{name}' holds lists"):
        list(clips(table, "meta.csv", caption="mine"))
