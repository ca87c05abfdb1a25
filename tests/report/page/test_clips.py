"""The clips of a page: which rows get a picture, what the page carries of them, and links to their files."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.page_support import page_data
from tests.support import make_video
from tools.report.__main__ import main
from tools.report.page.clips import choose_clips, draw_clips, link_to, page_clips
from tools.report.page.contents import read_contents
from tools.stage.run_options import RunOptions
from tools.table import write_table

HERE = RunOptions(num_workers=0)
NAMES = [
    "a.mp4",
    "a b.mp4",
    "50%25.mp4",
    "x#y?z&.mp4",
    "é漢.mp4",
    "javascript:alert(1)",
    "\"'<b>.mp4",
    "-a",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", ["r.html", "out/r.html", "out/a/b c/r.html", "out/a/b/c/d/r.html"])
def test_a_link_leads_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, page: str
) -> None:
    """What urllib makes of the link, seen from the page, is the file, for relative and absolute paths."""
    monkeypatch.chdir(tmp_path)
    for path in (f"clips/{name}", name, str(tmp_path / "clips" / name)):
        link = link_to(path, Path(page))
        assert link is not None
        assert link.startswith(("./", "../", "file:///"))
        address = urllib.parse.urlsplit(urllib.parse.urljoin((tmp_path / page).as_uri(), link))
        assert address.scheme == "file"
        assert urllib.request.url2pathname(address.path) == str(tmp_path / path)


def test_a_link_is_relative_only_near_the_page(tmp_path: Path) -> None:
    clips, page = str(tmp_path / "data" / "clips" / "a.mp4"), tmp_path / "data" / "r.html"
    assert link_to(clips, page) == "./clips/a.mp4"
    assert link_to(clips, tmp_path / "data" / "out" / "r.html") == "../clips/a.mp4"
    assert link_to(clips, tmp_path / "w" / "x" / "y" / "r.html") == Path(clips).as_uri()
    assert link_to("/etc/hosts", page) == "file:///etc/hosts"


@pytest.mark.parametrize("path", ["", "s3://b/a.mp4", "https://h/a.mp4", "javascript://%0aalert(1)", "a\0b"])
def test_what_is_no_file_of_this_machine_has_no_link(tmp_path: Path, path: str) -> None:
    assert link_to(path, tmp_path / "r.html") is None


def _contents(rows: int, **columns: object):
    frame = pl.DataFrame({"path": [f"{row}.mp4" for row in range(rows)], **columns})
    return read_contents(frame.lazy())


def test_clips_that_are_least_sure_have_a_picture() -> None:
    rng = np.random.default_rng(3)
    unsure = rng.random(2000)
    contents = _contents(2000, aes=rng.normal(5, 1, 2000), suitability_std=unsure)
    chosen = choose_clips(contents, 300)
    assert 250 <= len(chosen) <= 300  # some are chosen for both reasons
    assert np.all(np.diff(chosen) > 0)
    assert set(np.argsort(-unsure)[:50]) <= set(chosen)
    ends = np.argsort(contents.filters[0].values)
    assert {ends[0], ends[-1]} <= set(chosen)
    assert np.array_equal(chosen, choose_clips(contents, 300))


def test_a_small_table_has_a_picture_of_each_row() -> None:
    assert choose_clips(_contents(7, aes=np.arange(7.0))).tolist() == list(range(7))
    assert choose_clips(_contents(7, aes=np.arange(7.0)), 0).size == 0
    assert choose_clips(read_contents(pl.LazyFrame({"aes": [1.0, 2.0]}))).size == 0


def test_pictures_are_jpegs_of_as_many_frames(tmp_path: Path) -> None:
    make_video(tmp_path / "a b.mp4", 12)
    paths = [str(tmp_path / "a b.mp4"), str(tmp_path / "gone.mp4"), ""]
    clips = draw_clips(None, paths, tmp_path / "r.html", rows=[5, 9, 11], options=HERE, frames=3)
    found = clips.shown[5]
    image = Image.open(io.BytesIO(base64.b64decode(found["jpeg"])))
    assert image.size == (found["frames"] * found["width"], found["height"])
    assert (found["frames"], found["link"]) == (3, "./a%20b.mp4")
    assert clips.shown[9] == {"failure": "missing: no such file", "link": "./gone.mp4"}
    assert "link" not in clips.shown[11]
    assert clips.note.startswith("2 of 3 clips have no picture")


class _Scripts(HTMLParser):
    """Counts script elements, as a browser would find them."""

    count = 0

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.count += tag == "script"


def test_a_path_cannot_end_the_element_that_it_stands_in(tmp_path: Path) -> None:
    counts = []
    for name in ("plain.mp4", "</script><script>window.broken=1</script>"):
        table, page = tmp_path / "meta.csv", tmp_path / "r.html"
        write_table(pl.DataFrame({"path": [name, "b.mp4"], "aes": [1.0, 2.0]}), table)
        main([str(table), "-o", str(page)])
        parser = _Scripts()
        parser.feed(page.read_text())
        counts.append(parser.count)
        assert set(json.loads(page_data(page)["sprites"])) == {"0", "1"}
    assert counts[0] == counts[1]


@pytest.mark.parametrize("flags", [["--no-sprites"], ["--clips", "0"]])
def test_no_video_is_read_where_no_pictures_are_wanted(tmp_path: Path, flags: list[str]) -> None:
    make_video(tmp_path / "a.mp4", 4)
    table, page = tmp_path / "meta.csv", tmp_path / "r.html"
    write_table(pl.DataFrame({"path": [str(tmp_path / "a.mp4")], "aes": [1.0]}), table)
    main([str(table), "-o", str(page), *flags])
    data = page_data(page)
    assert json.loads(data["sprites"]) == {}
    assert "--no-sprites" in json.loads(data["about"])["clips"]["note"]
    assert not (tmp_path / ".vidsieve").exists()


def test_clips_of_a_sample_are_those_of_its_rows(tmp_path: Path) -> None:
    """Rows of the page are numbered from 0, whatever rows of the table they are."""
    frame = pl.DataFrame({"path": [f"{row}.mp4" for row in range(500)], "aes": np.arange(500.0)})
    contents = read_contents(frame.lazy(), most_rows=100, seed=1)
    page = tmp_path / "r.html"
    clips = page_clips(contents, tmp_path / "m.csv", page, 30, options=HERE)
    assert len(clips.shown) == 30
    for row, shown in clips.shown.items():
        assert shown["link"] == link_to(contents.texts["path"][row], page)
    assert clips.note.startswith("No file could be read")
