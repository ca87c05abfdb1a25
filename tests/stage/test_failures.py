"""Failures files: rows by the name that their table gives them, and no stray pieces of killed runs."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stage.odd_stages import LastDigitStage
from tests.support import make_video
from tools.base.temporary_files import temporary_file
from tools.datasets import datautil, save_first_frame
from tools.failures import __main__ as failures
from tools.scene_cut import cut
from tools.scoring.technical import inference as technical
from tools.stage.runner import RunOptions, run_stage
from tools.table import is_failures_file, read_table

ROOT = Path(__file__).resolve().parents[2]
TYPED = ["./v/bad.mp4", "v//bad.mp4", "v/../v/empty.mp4", "./gone.mp4", "v/./dir.mp4", "./v//it's bad.mp4"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v" / "dir.mp4").mkdir(parents=True)
    for name, data in (("bad.mp4", b"x" * 99), ("it's bad.mp4", b"x" * 99), ("empty.mp4", b"")):
        (tmp_path / "v" / name).write_bytes(data)
    make_video(tmp_path / "v" / "good.mp4", 20, size=(96, 64))
    (tmp_path / "meta.csv").write_text("\n".join(["path", *TYPED, "./v//good.mp4"]) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words", "table"),
    [
        (technical, [], "meta_technical"),
        (cut, ["--save_dir", "clips"], "meta_clips"),
        (save_first_frame, ["--img-dir", "new"], "meta_first-frame"),
        (datautil, ["--info"], "meta_info"),
    ],
    ids=["technical", "cut", "first_frame", "info"],
)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_failures_have_the_names_of_the_table(command, words, table, workers, here, capsys):
    assert command.main(["meta.csv", *words, "--num-workers", workers, "--quiet"]) == 0
    assert read_table(f"{table}.failures.csv")["path"].to_list() == TYPED


def test_so_has_the_line_that_says_that_nothing_was_done(here, capsys):
    (here / "none.csv").write_text("path\n./v//bad.mp4\n")
    assert technical.main(["none.csv", "--num-workers", "0"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "every row failed, the first: ./v//bad.mp4: unreadable: " in last
    (command,) = re.findall(r"what to do: python -m tools\.failures (.*)$", last)
    failures.main([command])
    assert "unreadable 1: no decoder recognises the file" in capsys.readouterr().out


WRITES_AND_DIES = """
import os, signal
import polars as pl
pl.LazyFrame.collect = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
from pathlib import Path
from tools.errors import MediaError
from tools.stage.failures import write_failures
write_failures([MediaError("empty", "a", "b")], Path("meta_digit.failures.csv"))
"""


def killed_while_writing(folder: Path) -> Path:
    """A piece of a failures file that a killed run has left."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", WRITES_AND_DIES], cwd=folder, env=env, timeout=600)
    assert ended.returncode == -signal.SIGKILL
    (stray,) = folder.glob(".meta_digit.failures.csv.*")
    return stray


def test_the_next_run_removes_a_piece_of_a_list(tmp_path):
    (tmp_path / "f1").touch()
    (tmp_path / "meta.csv").write_text(f"path\n{tmp_path / 'f1'}\n")
    options = RunOptions(num_workers=0, progress=False)
    stray = killed_while_writing(tmp_path)
    run_stage(LastDigitStage(), tmp_path / "meta.csv", options=options)
    assert not stray.exists()
    stray.touch()  # also when there is nothing else to do
    other = tmp_path / ".meta_digit.failures.csv"
    other.write_text("the user's own")
    assert run_stage(LastDigitStage(), tmp_path / "meta.csv", options=options).already_complete
    assert not stray.exists() and other.exists()


def test_datautil_leaves_what_another_is_writing(here):
    path = here / "meta_info.failures.csv"
    left = here / ".meta_info.failures.csv.abc.tmp.csv"
    left.touch()
    with temporary_file(path, ".csv") as written:
        datautil.main(["meta.csv", "--info", "--num-workers", "0"])
        assert written.exists() and not left.exists()


def test_a_users_own_file_of_that_name_stays(here):
    own = here / "meta_info.failures.csv"
    own.write_text("path,kind,message\nmine,empty,of my own\n")
    arguments = ["meta.csv", "--info", "--num-workers", "0"]
    before = (here / "meta.csv").read_text()
    datautil.main(arguments)
    assert own.read_text() == "path,kind,message\nmine,empty,of my own\n"
    listed = here / "meta_info.failures-2.csv"
    kinds = read_table(listed)["kind"].to_list()
    assert kinds and is_failures_file(listed)
    datautil.main(arguments)  # the same list again, and no third one
    assert read_table(listed)["kind"].to_list() == kinds
    assert sorted(p.name for p in here.glob("*.failures*")) == [own.name, listed.name][::-1]
    # Without failures the list of the earlier run goes, and the user's file stays.
    (here / "meta.csv").write_text("path\n" + str(make_video(here / "good.mp4", 3)) + "\n")
    datautil.main(arguments)
    assert own.exists() and not listed.exists()
    (here / "meta.csv").write_text(before)
    own.unlink()
    datautil.main(arguments)
    assert own.exists() and not listed.exists()
    own.write_text(own.read_text() + "a,b,a line of the user's own\n")
    datautil.main(arguments)
    assert "own" in own.read_text() and listed.exists()


@pytest.mark.logs_errors
def test_a_stage_leaves_a_users_own_list(tmp_path):
    (tmp_path / "f1").touch()
    (tmp_path / "meta.csv").write_text(f"path\n{tmp_path / 'f1'}\n")
    options = RunOptions(num_workers=0, progress=False)
    own = tmp_path / "meta_digit.failures.csv"
    own.write_text("my own\n")
    done = run_stage(LastDigitStage(), tmp_path / "meta.csv", options=options)
    assert done.failures_file is None and own.read_text() == "my own\n"
    (tmp_path / "meta.csv").write_text(f"path\n{tmp_path / 'f1'}\n{tmp_path / 'none'}\n")
    done = run_stage(LastDigitStage(), tmp_path / "meta.csv", options=replace(options, overwrite=True))
    assert own.read_text() == "my own\n"
    assert done.failures_file == tmp_path / "meta_digit.failures-2.csv"
    again = run_stage(LastDigitStage(), tmp_path / "meta.csv", options=options)
    assert again.already_complete and again.failures_file == done.failures_file
