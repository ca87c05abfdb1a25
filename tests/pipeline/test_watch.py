"""A chain that waits for files: new ones go through alone, what it writes itself does not set it off."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import make_video
from tools.pipeline.chain import open_chain
from tools.pipeline.document import read_document
from tools.pipeline.watch import look, watched
from tools.table import read_table

ROOT = Path(__file__).resolve().parents[2]

CHAIN = """
[[step]]
name = "videos"
run = "convert video 'new videos'"

[[step]]
name = "cut"
run = "cut"
options = { save-dir = "clips", num-workers = 1, quiet = true }

[[step]]
name = "clips"
run = "convert video clips"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder to watch, and the chain beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chain.toml").write_text(CHAIN)
    (tmp_path / "new videos").mkdir()
    return tmp_path / "new videos"


def gray(path: Path, level: int) -> Path:
    return make_video(path, pictures=[np.full((64, 64, 3), level, np.uint8)] * 12)


def test_new_files_go_through_alone(folder, tmp_path):
    started = subprocess.Popen(
        [sys.executable, "-m", "tools.pipeline", "chain.toml", "--watch", "--every", "0.2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "told").open("w"),
        text=True,
    )
    assert started.stdout is not None
    gray(folder / ".half.mp4", 30).rename(folder / "a.mp4")  # while it waits for the first one
    assert started.stdout.readline() == "meta/clips.csv\n"
    first = Path("clips/a_scene-0.mp4").stat().st_mtime_ns
    gray(folder / ".half.mp4", 200).rename(folder / "b.mp4")
    assert started.stdout.readline() == "meta/clips.csv\n"
    assert read_table("meta/clips.csv")["relpath"].to_list() == ["a_scene-0.mp4", "b_scene-0.mp4"]
    assert Path("clips/a_scene-0.mp4").stat().st_mtime_ns == first
    time.sleep(1)  # it wrote tables and clips, which are not what it waits for
    started.terminate()
    assert started.stdout.read() == "" and started.wait() == 143
    assert (tmp_path / "told").read_text().count("2 rows: 2 done (1 by an earlier run)") == 1


def test_what_is_watched_is_where_the_chain_begins(folder):
    Path("clips").mkdir()
    assert watched(open_chain(read_document("chain.toml"))) == [Path("new videos")]
    assert look([folder]) == {}
    (folder / "a.mp4").write_text("abc")
    (folder / ".b.mp4").write_text("half")
    (folder / "round").symlink_to(folder)
    ((path, (size, _)),) = look([folder]).items()
    assert (path, size) == (str(folder / "a.mp4"), 3)


def test_there_has_to_be_something_to_watch(folder):
    folder.rmdir()
    assert watched(open_chain(read_document("chain.toml"))) == []
    run = subprocess.run(
        [sys.executable, "-m", "tools.pipeline", "chain.toml", "--watch"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "--watch: no step begins with a folder or file that is there" in run.stderr
