"""What is being written stays, and what a killed process has left is removed."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tools.base.temporary_files import (
    TemporaryFolder,
    remove_left_folders,
    remove_strays,
    rewriting,
    temporary_file,
    temporary_folder,
    write_whole,
)

ROOT = Path(__file__).resolve().parents[2]

_BEFORE = """
import os, signal, sys
from pathlib import Path
from tools.base import temporary_files
from tools.base.temporary_files import *
folder = Path(sys.argv[1])
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, code: str) -> None:
    """Run code that kills its process."""
    assert started(folder, code).wait() == -signal.SIGKILL


def started(folder: Path, code: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", f"{_BEFORE}{code}", str(folder)]
    return subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_a_file_has_its_own_name_when_it_is_renamed_and_none_before(tmp_path):
    path = tmp_path / "a.csv"
    before = os.umask(0o027)
    try:
        with temporary_file(path, ".csv") as first, temporary_file(path, ".csv") as second:
            assert first != second and first.suffix == ".csv" and first.name.startswith(".")
            first.write_text("1")
            first.replace(path)
    finally:
        os.umask(before)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_files_that_killed_processes_left_are_removed_and_others_stay(tmp_path):
    killed(tmp_path, "with temporary_file(folder / 'a.csv', '.csv'): die()")
    killed(tmp_path, "with temporary_file(folder / 'b.csv', '.csv'): die()")
    (tmp_path / ".a.csv.of_the_user").touch()
    with temporary_file(tmp_path / "a.csv", ".csv") as mine:
        remove_strays(tmp_path, lambda name: name.startswith(".a.csv"))
        left = {p.name.partition(".tmp")[0][:7] for p in tmp_path.iterdir()}
        assert mine.exists() and left == {mine.name[:7], ".a.csv.", ".b.csv."}
        assert len(list(tmp_path.iterdir())) == 3
    remove_strays(tmp_path, lambda name: True)
    assert [p.name for p in tmp_path.iterdir()] == [".a.csv.of_the_user"]


def test_another_version_of_a_file_is_no_leftover_while_it_is_written(tmp_path):
    path = tmp_path / "a.json"
    with temporary_file(path) as temporary:
        temporary.write_text("lines")
        with rewriting(temporary) as new:
            new.write_text("list")
            with temporary_file(path):  # another run, which removes what it takes for leftovers
                pass
        assert temporary.read_text() == "list" and not new.exists()
        with pytest.raises(OSError, match="full"), rewriting(temporary):
            raise OSError("full")
        assert temporary.read_text() == "list"
    assert not list(tmp_path.iterdir())


def test_a_small_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, b"old")
    killed(tmp_path, "temporary_files.publish = die; write_whole(folder / 'a.json', b'new')")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2
    write_whole(path, b"2")
    assert path.read_bytes() == b"2" and len(list(tmp_path.iterdir())) == 1


def test_several_processes_write_one_small_file(tmp_path):
    code = "for n in range(150): write_whole(folder / 'a', bytes([n]) * 20000)"
    writers = [started(tmp_path, code) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == bytes([149]) * 20000


_KILLED_AS_IT_REMOVES = """
made = TemporaryFolder(folder)
for name in "abxyz": (made.path / name).touch()
removed = []
sys.addaudithook(lambda event, _: event == "os.remove" and (removed.append(0), len(removed) > {at} and die()))
made.close()
"""


@pytest.mark.parametrize(
    ("code", "is_young"),
    [
        ("made = TemporaryFolder(folder); (made.path / 'x').touch(); die()", False),
        (_KILLED_AS_IT_REMOVES.format(at=1), False),
        (_KILLED_AS_IT_REMOVES.format(at=2), False),
        (_KILLED_AS_IT_REMOVES.format(at=3), False),
        ("temporary_files.fcntl.flock = die; TemporaryFolder(folder)", True),
        ("Path.rename = die; TemporaryFolder(folder)", True),
    ],
)
def test_folders_of_killed_processes_are_removed(tmp_path, code, is_young):
    killed(tmp_path, code)
    (left,) = tmp_path.iterdir()
    mine = TemporaryFolder(tmp_path)
    assert left.exists() == is_young  # it may belong to a process that is about to lock it
    os.utime(left if is_young else tmp_path, (0, 0))
    os.utime(mine.path, (0, 0))
    remove_left_folders(tmp_path)
    assert list(tmp_path.iterdir()) == [mine.path]
    mine.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_on_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", no_locks)
    mine = TemporaryFolder(tmp_path)
    remove_left_folders(tmp_path)
    assert mine.path.is_dir()
    mine.close()
    assert not list(tmp_path.iterdir())


def test_folders_of_other_software_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "vidsieve-mine").mkdir()
    (tmp_path / "vidsieve-mine" / "video.mp4").touch()
    (tmp_path / "vidsieve-mine" / "lock").touch()
    (tmp_path / "vidsieve-captions").mkdir()
    (tmp_path / "vidsieve-file").touch()
    (tmp_path / "vidsieve-tmp-12345678").symlink_to(tmp_path / "vidsieve-mine")
    before = sorted(tmp_path.rglob("*"))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path and folder.is_dir()
    assert sorted(tmp_path.rglob("*")) == before
