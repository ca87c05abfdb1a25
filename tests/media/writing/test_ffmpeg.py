"""The ffmpeg program when the system, or a person, kills it."""

import signal
import subprocess
import sys

import imageio_ffmpeg
import pytest

from tools.media.writing.ffmpeg_program import FfmpegError, FfmpegKilled, run_ffmpeg

SCRIPT = """#!/bin/sh
echo x >> {log}
[ $(wc -l < {log}) -gt {kills} ] || kill -{sent} $$
exec {ffmpeg} "$@"
"""


@pytest.fixture
def program(tmp_path):
    """The program, the first runs of which are sent a signal, and the log with a line for each run."""

    def make(kills, sent):
        made, log = tmp_path / "ffmpeg", tmp_path / "log"
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        made.write_text(SCRIPT.format(log=log, kills=kills, sent=sent, ffmpeg=ffmpeg))
        made.chmod(0o755)
        return str(made), log

    return make


def picture(path, encoder="png"):
    return ["-f", "lavfi", "-i", "color=size=16x16:duration=0.04", "-c:v", encoder, str(path)]


@pytest.mark.parametrize("sent", ["KILL", "TERM", "HUP"])
def test_killed_once_it_runs_again(program, tmp_path, sent):
    made, log = program(1, sent)
    run_ffmpeg(made, picture(tmp_path / "a.png"))
    assert (log.read_text().count("x"), (tmp_path / "a.png").exists()) == (2, True)


def test_killed_twice_it_is_said(program, tmp_path):
    made, log = program(5, "KILL")
    with pytest.raises(FfmpegKilled, match="killed from outside twice"):
        run_ffmpeg(made, picture(tmp_path / "a.png"))
    assert log.read_text().count("x") == 2


@pytest.mark.parametrize(("kills", "encoder"), [(5, "png"), (0, "no_such_encoder")])
def test_what_fails_by_itself_is_not_run_again(program, tmp_path, kills, encoder):
    made, log = program(kills, "SEGV")
    with pytest.raises(FfmpegError) as told:
        run_ffmpeg(made, picture(tmp_path / "a.png", encoder))
    assert type(told.value) is FfmpegError
    assert log.read_text().count("x") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the signal of a parent's death is Linux's")
def test_a_program_whose_parent_died_while_it_was_started_does_not_run():
    """The hook runs in a grandchild, so the parent that it is to die with is not the one that made it."""
    script = (
        "import os, signal; from tools.base.signals import ending_with_parent\n"
        "hook = ending_with_parent(signal.SIGKILL)\n"
        "if not (child := os.fork()):\n"
        "    if not (grandchild := os.fork()): hook(); os._exit(0)\n"
        "    os._exit(os.WTERMSIG(os.waitpid(grandchild, 0)[1]))\n"
        "own = os.fork() or (hook(), os._exit(0))\n"
        "print(os.WEXITSTATUS(os.waitpid(child, 0)[1]), os.waitpid(own, 0)[1])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == [str(int(signal.SIGKILL)), "0"], ran.stderr
