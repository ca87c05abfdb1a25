"""What is known of workers: the notes that they leave about their jobs, and how they ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tools.errors import MediaError
from tools.media.workers.shared_memory import process_exists
from tools.media.workers.worker import done_marker, marker

_FROM_OUTSIDE = frozenset(
    (
        signal.SIGKILL,  # the system, when memory runs out, or a person
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGXCPU,  # a limit of the batch system on the process, not on the file
    )
)
"""Signals that a process does not get by what it does itself."""


class Notes:
    """What is known of jobs by their numbers.

    Args:
        folder: `tools.media.workers.shared_memory.SharedMemory.folder`, where workers leave their notes.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def worker(self, number: int) -> int | None:
        """The process that took a job; None when nobody has started on it."""
        try:
            pid = marker(self._folder, number).read_text()
        except FileNotFoundError:
            return None
        return int(pid) if pid.isdecimal() else None

    def is_gone(self, number: int) -> bool:
        """Whether the process that took a job is there no more."""
        pid = self.worker(number)
        return pid is not None and not _is_child(pid)

    def at_work(self, number: int) -> int | None:
        """The process that took a job and has not finished it."""
        return None if done_marker(self._folder, number).exists() else self.worker(number)

    def clear(self, number: int) -> tuple[bool, bool]:
        """Remove the notes about a job; whether it had been started and whether it had been finished."""
        return _removed(marker(self._folder, number)), _removed(done_marker(self._folder, number))


def _removed(file: Path) -> bool:
    """Remove a file; whether it was there."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def _is_child(pid: int) -> bool:
    """Whether a process is there and is one of ours: numbers of processes come round again."""
    if not process_exists(pid):
        return False
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:  # a system without /proc
        return True
    return int(parent) == os.getpid()


def was_killed(exitcode: int) -> bool:
    """Whether a process with this exit code was killed from outside."""
    return -exitcode in _FROM_OUTSIDE


def verdict(path: str, exitcode: int | None) -> MediaError:
    """What is said of a file whose worker died, after all doubts.

    Args:
        path: The file.
        exitcode: Of the worker; None when it is not known.
    """
    if not exitcode:
        return MediaError("crash", path, "the worker process ended in the middle of its work")
    if was_killed(exitcode):
        return MediaError(
            "killed",
            path,
            f"the worker process was killed from outside twice ({_cause(exitcode)}), the second time with "
            "nothing else in work; the system may be short of memory; the next run tries again",
        )
    return MediaError("crash", path, f"the worker process died ({_cause(exitcode)})")


def _cause(exitcode: int) -> str:
    """An exit code in words: SIGSEGV, exit code 3."""
    if exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"
