"""The pictures open and show what is in the table; the page needs no other file."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from tools.errors import UserError
from tools.report.summary import summarize
from tools.report.summary.html import write_report
from tools.report.summary.plots import draw_plots
from tools.table import scan_table

pytest.importorskip("matplotlib", reason="plots need the extra vidsieve[report]")


def summary_of(tmp_path, header, rows):
    path = tmp_path / "meta.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return summarize(scan_table(path))


def ink(png, colour, tolerance=12):
    """Where a picture has a colour, as a bool array."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return (np.abs(pixels - np.array(colour)) <= tolerance).all(axis=2)


def test_a_picture_for_each_column_that_has_something_to_show(tmp_path):
    rows = [f"{i}.mp4,{i},{i * 10},{720},{1280},static,a caption,,{i}" for i in range(1, 40)]
    summary = summary_of(tmp_path, "path,aes,num_frames,height,width,cmotion,text,flow,$x_1$🎬", rows)
    names = [name for name, _ in draw_plots(summary, "video")]
    assert names == [
        "video_aes.png",
        "video_num_frames.png",
        "video_height.png",
        "video_width.png",
        "video__x_1_.png",
        "video_text_characters.png",
        "video_cmotion.png",
        "video_sizes.png",
    ]


def test_bars_of_a_histogram_are_as_high_as_their_counts(tmp_path):
    # ocr 0: 30 rows, 1: 20, 2: 10; the fill of the bars must stand 3 : 2 : 1.
    rows = [f"{i}.mp4,{0 if i < 30 else 1 if i < 50 else 2}" for i in range(60)]
    (_, png), *_ = draw_plots(summary_of(tmp_path, "path,ocr", rows), "video")
    columns = ink(png, (0x9E, 0xCA, 0xE1)).sum(axis=0)
    filled = np.flatnonzero(columns > 0)
    thirds = np.array_split(columns[filled[0] : filled[-1] + 1], 3)
    heights = [np.median(third) for third in thirds]
    assert heights[0] / heights[2] == pytest.approx(3, rel=0.05)
    assert heights[1] / heights[2] == pytest.approx(2, rel=0.05)


def test_names_that_differ_in_signs_only_get_files_of_their_own(tmp_path):
    rows = [f"{i}.mp4,{i},{i},{i}" for i in range(5)]
    names = [name for name, _ in draw_plots(summary_of(tmp_path, "path,a b,a/b,A_B", rows), "image")]
    assert names == ["image_a_b.png", "image_a_b-2.png", "image_A_B-3.png"]


def test_many_sizes_labels_in_any_script_and_one_row_can_be_drawn(tmp_path):
    labels = ("动 $\\alpha$", "_")
    rows = [f"{i}.mp4,{100 + i},{3000 - i},{labels[i % 2]}" for i in range(200)]
    assert len(list(draw_plots(summary_of(tmp_path, "path,height,width,cmotion", rows), "video"))) == 4
    assert len(list(draw_plots(summary_of(tmp_path, "path,height,width,aes", ["a.mp4,1,1,5"]), "video"))) == 4


def test_the_page_holds_its_pictures_and_escapes_what_it_shows(tmp_path):
    summary = summary_of(
        tmp_path, "path,aes,cmotion", [f"{i}.mp4,{i},<script>alert(1)</script>" for i in range(9)]
    )
    page, pictures = write_report(tmp_path / "a/b", "<meta> & co.csv", summary.overview, {"video": summary})
    html = page.read_text(encoding="utf-8")
    assert "&lt;meta&gt; &amp; co.csv" in html and "<script" not in html
    shown = [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]
    assert shown == [path.read_bytes() for path in pictures] and len(shown) == 2
    assert "src=" not in re.sub(r'src="data:[^"]+"', "", html)
    assert {path.name for path in page.parent.iterdir()} == {"report.html", *(p.name for p in pictures)}


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    summary = summary_of(tmp_path, "path,aes", ["a.mp4,1"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file: cannot write the report"):
        write_report(tmp_path / "file", "t", summary.overview, {"video": summary})
