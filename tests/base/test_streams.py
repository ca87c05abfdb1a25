"""Standard streams that end before the command, as a pager or a terminal may: the work goes on."""

import functools
import os
import pty
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

WORK = """
import os, subprocess, sys
from contextlib import suppress
from pathlib import Path
from tools import cli

def main():
    print("begun", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "import sys; print('a program', file=sys.stderr)"])
    print("more", file=sys.stderr, flush=True)
    with open("result", "w") as file:
        with suppress(OSError):
            os.write(2, b"a library writes to number 2")
        file.write(f"done {file.fileno() > 2}")

cli.run(main)
"""


@contextmanager
def nobody_at_the_other_end(pair):
    """One end of a connection, after the other was closed."""
    other, ours = pair()
    os.close(other)
    yield ours
    os.close(ours)


def socket_pair():
    return tuple(end.detach() for end in socket.socketpair())


@contextmanager
def full_disk():
    with Path("/dev/full").open("w") as file:
        yield file


LOST_PIPE, LOST_SOCKET, LOST_TERMINAL = (
    functools.partial(nobody_at_the_other_end, pair) for pair in (os.pipe, socket_pair, pty.openpty)
)


def run(code, folder, stderr=subprocess.PIPE, **options):
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=stderr,
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("lost", [LOST_PIPE, LOST_TERMINAL, full_disk])
def test_messages_that_nobody_can_take_do_not_end_the_work(tmp_path, lost):
    with lost() as stderr:
        done = run(WORK, tmp_path, stderr)
    assert (done.returncode, (tmp_path / "result").read_text()) == (0, "done True")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_file_takes_the_number_of_a_stream_that_was_closed(tmp_path, number):
    done = run(WORK, tmp_path, preexec_fn=lambda: os.close(number))
    assert (done.returncode, (tmp_path / "result").read_text()) == (0, "done True")


def test_output_that_was_closed_takes_what_is_printed(tmp_path):
    code = "import sys\nfrom tools import cli\ncli.run(lambda: print(sys.stdout.isatty(), flush=True))"
    done = run(code, tmp_path, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", rb"\xe4 \u2026"), ("latin-1", b"\xe4 \\u2026"), ("ascii:replace", b"? ?")],
)
def test_letters_that_the_output_lacks_are_numbers(tmp_path, encoding, written):
    code = "from tools import cli\ncli.run(lambda: print('\xe4 \u2026'))"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONIOENCODING", encoding)
        done = run(code, tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, written + b"\n", b"")


def test_a_pipe_that_breaks_elsewhere_is_an_error(tmp_path):
    """Of a program that was to take data, for example: nothing may look as if it were done."""
    code = "from tools import cli\ndef main(): raise BrokenPipeError(32, 'Broken pipe')\ncli.run(main)"
    done = run(code, tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr.count(b"error: BrokenPipeError")) == (1, 1)


@pytest.mark.parametrize("lost", [LOST_PIPE, LOST_SOCKET, LOST_TERMINAL])
def test_work_goes_on_when_nobody_reads_the_output_any_more(tmp_path, lost):
    """As behind head, or less: nothing is left undone, and the exit code is that of the work."""
    code = """
from pathlib import Path
from tools import cli

def main():
    for _ in range(1000):
        print("x" * 1000)
    print("end", flush=True)
    Path("result").touch()
    return 3

cli.run(main)
"""
    with lost() as stdout:
        done = run(code, tmp_path, stdout=stdout)
    assert (done.returncode, done.stderr, (tmp_path / "result").exists()) == (3, b"", True)


def test_a_full_disk_under_the_output_is_an_error(tmp_path):
    code = "from tools import cli\ncli.run(lambda: print('x' * 100_000, flush=True))"
    with full_disk() as stdout:
        done = run(code, tmp_path, stdout=stdout)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left on device" in done.stderr
