"""SIGTERM and SIGHUP end a command as Ctrl-C does: one line, nothing left behind, and it goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.support import make_video
from tools import cli
from tools.table import read_table, write_table

ROWS = 8


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals")
    make_video(folder / "a.mp4", 60, audio="sine")
    rows = {"path": [str(folder / "a.mp4")] * ROWS, "id": [str(i) for i in range(ROWS)]}
    return write_table(pl.DataFrame(rows), folder / "meta.csv")


def processes_with(text: str) -> list[str]:
    """Processes that have a text in their environment and are no zombies."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "to_group", "engine", "code"),
    [
        (signal.SIGTERM, False, "ffmpeg", 143),
        (signal.SIGTERM, True, "pyav", 143),
        (signal.SIGHUP, True, "pyav", 129),
    ],
)
def test_a_signal_ends_a_command_and_leaves_nothing_behind(meta, tmp_path, number, to_group, engine, code):
    """To the command alone, as by `kill`; to all of its processes, as by `timeout`, Slurm or a terminal."""
    out, temporary = tmp_path / "out.csv", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "tools.scene_cut.cut", str(meta), "--output", str(out)]
    command += ["--save_dir", str(tmp_path / "clips"), "--quiet", "--engine", engine]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "clips").glob("*.mp4")) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(temporary.iterdir())
    assert not [path for path in Path("/dev/shm").glob("vidsieve-*") if _is_held_by(path, running.pid)]
    (os.killpg if to_group else os.kill)(running.pid, number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code
    name = signal.Signals(number).name
    assert said == f"error: interrupted by {name}; run the same command again to go on\n"
    assert list(temporary.iterdir()) == []
    assert list(tmp_path.rglob("*.part")) == []
    until = time.monotonic() + 10
    while (left := processes_with(f"TMPDIR={temporary}")) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert read_table(out).height == ROWS


def _is_held_by(folder: Path, pid: int) -> bool:
    """Whether a process has the lock of a folder open."""
    links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return folder / "lock" in links


def test_a_silenced_hang_up_stays_silent(tmp_path):
    """As `nohup` starts commands."""
    code = "import os, signal; from tools import cli; cli.run(lambda: os.kill(os.getpid(), signal.SIGHUP))"
    silenced = subprocess.run(["nohup", sys.executable, "-c", code], capture_output=True, timeout=60, cwd=".")
    heard = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (silenced.returncode, heard.returncode) == (0, 129)


def test_a_second_signal_does_not_interrupt_the_cleaning_up():
    code = """
import os, signal
from tools import cli

def main():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        print("clean")

cli.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (143, "clean\n")


@pytest.mark.parametrize(("rank", "says"), [({}, True), ({"TORCHELASTIC_RUN_ID": "x"}, False)])
def test_a_rank_that_torchrun_ends_says_nothing(rank, says):
    """torchrun ends the ranks when one fails, which has said why."""
    code = "import os, signal; from tools import cli; cli.run(lambda: os.kill(os.getpid(), signal.SIGTERM))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, env={**os.environ, **rank}
    )
    assert (done.returncode, bool(done.stderr)) == (143, says)


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells a process of its parent's end")
def test_a_rank_ends_with_a_torchrun_that_is_killed(tmp_path):
    rank = "import time; from tools import cli; cli.run(lambda: print(1, flush=True) or time.sleep(60))"
    launcher = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {rank!r}])"
    environment = {**os.environ, "TORCHELASTIC_RUN_ID": "x"}
    words = [sys.executable, "-c", launcher]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as launched:
        assert launched.stdout is not None and launched.stdout.readline() == "1\n"
        launched.kill()
        assert launched.stdout.read() == ""  # until the rank has closed it
    assert launched.returncode == -signal.SIGKILL


def test_handlers_are_those_of_before_once_a_command_has_ended():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(SystemExit):
        cli.run(lambda: 0)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_ctrl_c_has_its_own_code(capsys):
    def main() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; run the same command again to go on\n"


def test_a_second_ctrl_c_as_python_exits_shows_no_traceback():
    code = """
import atexit, os, signal
from tools import cli

def main():
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)

cli.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGINT  # 130 for a shell
    assert done.stderr == "error: interrupted; run the same command again to go on\n"
