"""An export of files at addresses: what comes of the same files on this machine, cut or as they are."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.export.test_export import numbers_in, write_table
from tests.media.fetching.http_server import serve
from tests.support import make_video, run_command
from tools.datasets.datautil import main as datautil
from tools.export.__main__ import main

LTX = ("--for", "ltx-2@ltx-trainer", "--frames", 17, "--sizes", "256x160", "--num-workers", 0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    heard = make_video(folder / "a.mp4", 48, size=(320, 192), fps=24, audio="sine")
    silent = make_video(folder / "b.mp4", 30, size=(320, 192), fps=30)
    return heard, silent


@pytest.fixture
def server(videos):
    heard, silent = videos
    with serve({"/v/a.mp4": heard.read_bytes(), "/get": silent.read_bytes()}) as server:
        yield server


def measured(table: Path, paths: list[str]) -> Path:
    """A table of files and captions, measured by datautil."""
    write_table(table, [(path, f"Clip {number}.") for number, path in enumerate(paths)], ("path", "text"))
    done = run_command(datautil, table, "--info", "--num-workers", 0)
    assert done.returncode == 0, done.stderr
    return table.with_name("m_info.csv")


def clips(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "clips").iterdir())}


def test_clips_are_those_of_the_same_files_here(server, videos, tmp_path):
    """Cut, with sound, whatever the address looks like; the names come from it, without its query."""
    (tmp_path / "here").mkdir()
    here = measured(tmp_path / "here" / "m.csv", [str(path) for path in videos])
    table = measured(tmp_path / "m.csv", [f"{server.url}/v/a.mp4?sign=1.mp4", f"{server.url}/get?id=7"])
    assert run_command(main, here, *LTX, "-o", tmp_path / "here" / "out").returncode == 0
    done = run_command(main, table, *LTX, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = {"a.mp4": "a.mp4", "b.mp4": "get.mp4"}
    expected = clips(tmp_path / "here" / "out")
    assert clips(tmp_path / "out") == {names[name]: content for name, content in expected.items()}
    rows = list(csv.DictReader((tmp_path / "out_clips.csv").open()))
    assert [(row["source"], row["has_audio"]) for row in rows] == [
        (f"{server.url}/v/a.mp4?sign=1.mp4", "true"), (f"{server.url}/get?id=7", "false"),
    ]  # fmt: skip
    listed = json.loads((tmp_path / "out" / "dataset_clips.json").read_text())
    assert [clip["source_path"] for clip in listed] == [row["source"] for row in rows]
    asked = len(server.seen)
    assert "complete already" in run_command(main, table, *LTX, "-o", tmp_path / "out").stderr
    assert all(wanted == "bytes=0-0" for wanted in server.seen[asked:])  # only whether they have changed


def test_keep_source_copies_what_it_downloads(server, videos, tmp_path):
    """Also from a cache, whose files belong to others: no links to them, and readable by all."""
    table = measured(tmp_path / "m.csv", [f"{server.url}/v/a.mp4"])
    words = (*LTX, "--keep-source", "--cache", tmp_path / "cache")
    for out in ("first", "second"):
        done = run_command(main, table, *words, "-o", tmp_path / out)
        assert done.returncode == 0, done.stderr
        made = tmp_path / out / "clips" / "a.mp4"
        assert made.read_bytes() == videos[0].read_bytes()
        assert made.stat().st_nlink == 1
        assert made.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert numbers_in(made) == list(range(48))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_cannot_be_fetched_is_listed_with_its_address(server, tmp_path):
    paths = [f"{server.url}/v/a.mp4", f"{server.url}/gone.mp4"]
    table = write_table(
        tmp_path / "m.csv",
        [(path, 320, 192, 48, 24, "A dog.") for path in paths],
        ("path", "width", "height", "num_frames", "fps", "text"),
    )
    done = run_command(main, table, *LTX, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out_clips.failures.csv").open() as file:
        failures = [(row["path"], row["kind"]) for row in csv.DictReader(file)]
    assert failures == [(paths[1], "missing")]
    assert [path.name for path in sorted((tmp_path / "out" / "clips").iterdir())] == ["a.mp4"]
