"""Sprites of the rows of a table: drawn once, found again, and every row with a sprite or a reason."""

import http.server
import os
import shutil
import sys
import threading
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tools.errors import UserError
from tools.report.sprites import make_sprites
from tools.report.sprites.cache import NAME
from tools.stage.run_options import RunOptions

HERE = RunOptions(num_workers=0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Two clips, a name with spaces, a clip without pictures, and a text file that calls itself a clip."""
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "a.mp4", 12)
    make_video(folder / "b c.mp4", 2)
    (folder / "text.mp4").write_text("not a video")
    return folder


@pytest.fixture
def table(tmp_path) -> Path:
    return tmp_path / "meta.csv"


def rows_of(clips: Path, *names: str) -> list[dict]:
    return [{"path": str(clips / name), "id": name} for name in names]


def test_every_row_has_a_sprite_or_a_reason(clips, table):
    names = ("a.mp4", "text.mp4", "b c.mp4", "gone.mp4", "a.mp4")
    rows = [*rows_of(clips, *names), {"path": None}, {"id": "no path"}]
    made = make_sprites(table, rows, options=HERE)
    assert {place: s.frames for place, s in made.sprites.items()} == {0: 4, 2: 2, 4: 4}
    assert made.sprites[0] == made.sprites[4]
    assert {place: f.kind for place, f in made.failures.items()} == {
        1: "unreadable",
        3: "missing",
        5: "bad_value",
        6: "bad_value",
    }
    assert made.failures[1].path == str(clips / "text.mp4")
    assert made.drawn == 5, "the clip of two rows is drawn once, as are two empty cells"


def test_a_frame_of_polars_and_workers(clips, table):
    """In worker processes, with the same result as in this one."""
    rows = rows_of(clips, "a.mp4", "text.mp4")
    made = make_sprites(table, pl.DataFrame(rows), options=RunOptions(num_workers=1))
    assert made.sprites == make_sprites(None, rows, options=HERE).sprites
    assert list(made.failures) == [1]


def test_a_second_report_draws_nothing(clips, table, tmp_path, monkeypatch):
    rows = rows_of(clips, "a.mp4", "text.mp4", "b c.mp4", "gone.mp4")
    first = make_sprites(table, rows, options=HERE)
    assert first.drawn == 4
    assert (tmp_path / ".vidsieve" / NAME).is_file()
    again = make_sprites(table, rows, options=HERE)
    assert again.drawn == 1, "only the file that was not there is looked for again"
    assert again.sprites == first.sprites
    assert {i: str(f) for i, f in again.failures.items()} == {i: str(f) for i, f in first.failures.items()}
    # A later step of the chain, from another folder, with other paths to the same files.
    monkeypatch.chdir(clips)
    later = make_sprites(tmp_path / "meta_aes.parquet", [{"path": "text.mp4"}, {"path": "a.mp4"}])
    assert (later.drawn, later.sprites) == (0, {1: first.sprites[0]})
    assert later.failures[0].path == "text.mp4" and later.failures[0].message == first.failures[1].message


def test_what_is_drawn_otherwise_or_was_changed_is_drawn_again(clips, table, tmp_path):
    clip = tmp_path / "x.mp4"
    shutil.copy(clips / "a.mp4", clip)
    rows = [{"path": str(clip)}]
    first = make_sprites(table, rows, options=HERE)
    assert make_sprites(table, rows, frames=3, options=HERE).drawn == 1
    assert make_sprites(table, rows, height=60, options=HERE).drawn == 1
    assert make_sprites(table, rows, options=HERE).drawn == 0
    os.utime(clip, (1_000_000_000, 1_000_000_000))
    assert make_sprites(table, rows, options=HERE).drawn == 1
    make_video(clip, 2)
    changed = make_sprites(table, rows, options=HERE)
    assert changed.drawn == 1 and changed.sprites[0].frames == 2 != first.sprites[0].frames


def test_without_a_place_for_the_cache_sprites_are_drawn(clips, table, tmp_path, caplog):
    (tmp_path / ".vidsieve").write_text("in the way")
    for _ in range(2):
        caplog.clear()
        made = make_sprites(table, rows_of(clips, "a.mp4", "b c.mp4"), options=HERE)
        assert (made.drawn, len(made.sprites)) == (2, 2)
        assert len(caplog.records) == 1
    assert [file.name for file in tmp_path.iterdir()] == [".vidsieve"]


def test_no_table_keeps_nothing(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_sprites(None, rows_of(clips, "a.mp4"), options=HERE).sprites.keys() == {0}
    assert make_sprites("meta.csv", []).sprites == {}
    assert not list(tmp_path.iterdir())


def test_clips_at_addresses(clips, table, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(clips)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    rows = [
        {"path": f"{address}/a.mp4"},
        {"path": f"{address}/gone.mp4"},
        {"path": (clips / "a.mp4").as_uri()},
    ]
    try:
        made = make_sprites(table, rows, options=HERE)
    finally:
        server.shutdown()
        server.server_close()
    assert made.sprites[0] == made.sprites[2]
    assert made.failures[1].kind == "missing" and made.failures[1].path == rows[1]["path"]
    assert make_sprites(table, rows[:1], options=HERE).drawn == 0, "the server is not asked again"


def test_a_storage_whose_package_is_missing_costs_its_own_rows(clips, table, monkeypatch, caplog):
    """None in `sys.modules` is how Python marks a module that cannot be imported."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    rows = [{"path": "s3://bucket/a.mp4"}, {"path": "s3://bucket/b.mp4"}, *rows_of(clips, "a.mp4")]
    made = make_sprites(table, rows, options=HERE)
    assert list(made.sprites) == [2]
    assert {place: failure.path for place, failure in made.failures.items()} == {
        0: "s3://bucket/a.mp4",
        1: "s3://bucket/b.mp4",
    }
    (record,) = caplog.records
    assert "package s3fs is not installed: pip install" in record.getMessage()


def test_a_report_that_draws_nothing_removes_what_a_killed_one_left(clips, table, tmp_path, monkeypatch):
    make_sprites(table, rows_of(clips, "a.mp4"), options=HERE)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "vidsieve-tmp-kil1edon"
    left.mkdir()
    (left / "lock").touch()
    assert make_sprites(table, rows_of(clips, "a.mp4"), options=HERE).drawn == 0
    assert not left.exists()


def test_an_interrupted_report_keeps_what_was_finished(clips, table, monkeypatch):
    """As Ctrl-C does, when the second file is being drawn."""
    from tools.report.sprites.draw import SpriteStage

    prepare = SpriteStage.prepare

    def interrupted(self, row, frames):
        if row["path"].endswith("b c.mp4"):
            raise KeyboardInterrupt
        return prepare(self, row, frames)

    rows = rows_of(clips, "text.mp4", "b c.mp4")
    monkeypatch.setattr(SpriteStage, "prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_sprites(table, rows, options=HERE)
    monkeypatch.undo()
    assert make_sprites(table, rows, options=HERE).drawn == 1


def test_an_unsupported_option_is_one_line(clips, table):
    with pytest.raises(UserError, match=r"Invalid frames \(9\)"):
        make_sprites(table, rows_of(clips, "a.mp4"), frames=9)
