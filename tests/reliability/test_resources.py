"""Clocks that jump, files that appear late, two runs at once, read-only folders: see docs/reliability.md.

What is right is what the same commands make where nothing is wrong.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.reliability.shims import ROOT, finish, outcome, run, shim, start
from tests.support import make_video
from tools import cli
from tools.base.locks import is_locked
from tools.datasets import analyze, convert, datautil
from tools.export.write_folder import turn
from tools.report import __main__ as report

__all__ = ["shim"]

CRC = ["tests.stage.stages", "meta.csv", "--num-workers"]
MERGE = ["tools.datasets.datautil", "meta_crc_part*.csv", "--output", "merged.csv"]
EXPORT = ["tools.export", "meta.csv", "--for", "webdataset", "-o", "data", "--num-workers", "0"]


@pytest.fixture
def folder(tmp_path):
    """A table of six files, of which one is missing."""
    for number in range(5):
        (tmp_path / f"{number}.bin").write_bytes(bytes([number]))
    pl.DataFrame({"path": [f"{number}.bin" for number in range(6)]}).write_csv(tmp_path / "meta.csv")
    (tmp_path / "video.mp4").touch()
    return tmp_path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A table of two videos for an export, and the exported folder."""
    base = tmp_path_factory.mktemp("videos")
    source = base / "source"
    source.mkdir()
    for number in range(2):
        make_video(source / f"{number}.mp4", 9, size=(32, 32), fps=8)
    columns = {"num_frames": [9, 9], "fps": [8.0, 8.0], "width": [32, 32], "height": [32, 32]}
    table = {"path": ["0.mp4", "1.mp4"], "text": ["A cat.", "A dog."], **columns}
    pl.DataFrame(table).write_csv(source / "meta.csv")
    shutil.copytree(source, base / "expected")
    code, said = run([*EXPORT, "--output", "a.csv"], base / "expected")
    assert code == 0, said
    return base


def exported(folder):
    """What a trainer reads; the manifest has the command line, which differs here."""
    return {name: found for name, found in outcome(folder / "data").items() if name != "dataset.json"}


def test_a_clock_that_jumps_by_a_year_at_every_look_changes_nothing(folder, shim):
    """Forward and back: no time limit passes, no number is negative, and all is up to date afterwards."""
    assert run([*CRC, "1"], folder)[0] == 0
    expected = outcome(folder)
    shutil.rmtree(folder / ".vidsieve")
    for made in folder.glob("meta_crc*"):
        made.unlink()
    jumping = {"LD_PRELOAD": shim, "SHIM_CLOCK": 31536000}
    code, said = run([*CRC, "1", "--timeout", "100"], folder, **jumping)
    assert (code, outcome(folder)) == (0, expected), said
    assert not re.search(r"-\d+(\.\d+)? (s|min|h|rows)", said)
    code, said = run([*CRC, "1"], folder, **jumping)
    assert code == 0 and outcome(folder) == expected
    assert "already" in said or "5 rows" in said


def test_parts_that_appear_late_are_missed_by_name(folder, shim):
    assert run([*CRC, "0"], folder)[0] == 0
    expected = (folder / "meta_crc.csv").read_bytes()
    (folder / "meta_crc.csv").unlink()
    (folder / "meta_crc.failures.csv").unlink()
    shutil.rmtree(folder / ".vidsieve")
    late = {"LD_PRELOAD": shim, "SHIM_LATE": folder}
    assert run([*CRC, "0"], folder, rank=(0, 2))[0] == 0
    assert run([*CRC, "0"], folder, rank=(1, 2), **late, SHIM_MARK=1)[0] == 0
    code, said = run(MERGE, folder, **late)
    assert (code, (folder / "merged.csv").exists()) == (2, False)
    assert "meta_crc_part1.csv: missing, 1 of 2 parts are there" in said
    assert run(MERGE, folder)[0] == 0
    assert (folder / "merged.csv").read_bytes() == expected
    assert run([*CRC, "0"], folder, **late)[0] == 0  # alone: what it cannot see it does again
    assert (folder / "meta_crc.csv").read_bytes() == expected


def test_ranks_that_do_not_see_each_other_leave_the_manifest_to_who_does(videos, shim):
    folder = videos / "late"
    shutil.copytree(videos / "source", folder)
    late = {"LD_PRELOAD": shim, "SHIM_LATE": folder}
    words = [*EXPORT, "--output", "a.csv"]
    for rank in (1, 0):
        code, said = run(words, folder, rank=(rank, 2), **late, SHIM_MARK=1)
        assert code == 0, said
        assert "a.csv: parts of other ranks are not there; the last rank to end writes" in said
        assert not (folder / "data" / "dataset.json").exists()
    code, said = run(words, folder)
    assert code == 0, said
    assert exported(folder) == exported(videos / "expected")


def test_two_exports_at_once_to_one_folder_end_right(videos):
    folder = videos / "two"
    shutil.copytree(videos / "source", folder)
    running = [start([*EXPORT, "--output", name], folder) for name in ("a.csv", "b.csv")]
    for process in running:
        code, said = finish(process)
        assert code == 0, said
    assert exported(folder) == exported(videos / "expected")


@pytest.mark.parametrize("beside", [".vidsieve", "data"])
def test_an_export_waits_for_the_other_unless_that_is_killed(tmp_path, beside):
    """The lock is that of a file: network file systems lock no folders."""
    for name in (".vidsieve", "data"):
        (tmp_path / name).mkdir()
    if beside == "data":  # nothing can be written beside the folder
        (tmp_path / "data" / ".vidsieve.tables").touch()
    code = "with turn(Path('data')): print(flush=True); time.sleep(100)"
    words = [
        sys.executable,
        "-c",
        f"import time\nfrom pathlib import Path\nfrom tools.export.write_folder import turn\n{code}",
    ]
    with subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.read(1) == b"\n"
        (lock,) = (path for path in tmp_path.rglob("*.lock") if path.is_file())
        assert (lock.parent.name, is_locked(lock)) == (beside, True)
        holder.kill()
    with turn(tmp_path / "data"):
        assert is_locked(lock)
    assert not is_locked(lock)


def test_of_two_equal_runs_at_once_one_is_refused(folder):
    running = start([*CRC, "1", "--hold", "3.bin"], folder)
    try:
        while not list(folder.glob(".vidsieve/meta_crc.csv/rank0.jsonl")):
            assert running.poll() is None
        code, said = run([*CRC, "0"], folder)
        assert (code, said) == (2, "error: meta_crc.csv: the same command is running already (rank0)\n")
    finally:
        running.kill()
        running.communicate()


@contextmanager
def read_only(folder: Path):
    """Mount a folder over itself, without the right to write."""
    libc, name = ctypes.CDLL(None, use_errno=True), os.fsencode(folder)
    bind, remount, only_read = 4096, 32, 1  # linux/mount.h
    if libc.mount(name, name, None, bind, None):
        pytest.skip(f"nothing can be mounted here (root can): {os.strerror(ctypes.get_errno())}")
    try:
        assert libc.mount(name, name, None, bind | remount | only_read, None) == 0
        yield
    finally:
        libc.umount2(name, 2)  # MNT_DETACH


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (datautil.main, ["meta.csv", "--sort", "path"]),
        (datautil.main, ["meta.csv", "--shard", "2"]),
        (datautil.main, ["meta.csv", "--info", "--num-workers", "0"]),
        (convert.main, ["video", ".", "--output", "found.csv"]),
        (analyze.main, ["meta.csv", "--json", "summary.json"]),
        (analyze.main, ["meta.csv", "--save-img", "report"]),
        (report.main, ["meta.csv"]),
    ],
)
def test_a_read_only_folder_is_told_in_one_line(folder, monkeypatch, capsys, main, words):
    before = sorted(folder.rglob("*"))
    monkeypatch.chdir(folder)
    with read_only(folder):
        monkeypatch.chdir(folder)  # the one that is mounted
        with pytest.raises(SystemExit) as ended:
            cli.run(lambda: main(words))
        told = capsys.readouterr().err.splitlines()
        said = [line for line in told if line.startswith("error:")]
    monkeypatch.chdir("/")
    assert (ended.value.code, len(said)) == (1, 1)
    assert "Read-only file system; make it writable, or write elsewhere" in said[0]
    assert main is not datautil.main or told == said  # before any file of the table is opened
    assert sorted(folder.rglob("*")) == before
