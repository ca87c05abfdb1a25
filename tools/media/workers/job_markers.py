"""Markers that workers write for their jobs, and what the exit code of a worker says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tools.errors import MediaError
from tools.media.workers.shared_memory import process_exists
from tools.media.workers.worker import finished_marker, started_marker

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
"""Signals that a process does not cause by itself."""


class JobMarkers:
    """Which jobs, by their numbers, were started and finished, and by which process.

    Args:
        folder: `tools.media.workers.shared_memory.SharedMemory.folder`, where workers write the markers.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def pid(self, number: int) -> int | None:
        """Process id of the worker that started a job; None if none has."""
        try:
            pid = started_marker(self._folder, number).read_text()
        except FileNotFoundError:
            return None
        return int(pid) if pid.isdecimal() else None

    def has_exited(self, number: int) -> bool:
        """Whether the worker that started a job has exited."""
        pid = self.pid(number)
        return pid is not None and not _is_child(pid)

    def running(self, number: int) -> int | None:
        """Process id of the worker that started a job and has not finished it."""
        return None if finished_marker(self._folder, number).exists() else self.pid(number)

    def clear(self, number: int) -> tuple[bool, bool]:
        """Remove the markers of a job; return whether it was started, and whether it was finished."""
        started, finished = started_marker(self._folder, number), finished_marker(self._folder, number)
        return _remove(started), _remove(finished)


def _remove(file: Path) -> bool:
    """Remove a file; return whether it existed."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def _is_child(pid: int) -> bool:
    """Whether a process exists and is a child of this one: process ids are reused."""
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


def worker_death_error(path: str, exitcode: int | None) -> MediaError:
    """The error of a file that is blamed for the death of its worker.

    Args:
        path: The file.
        exitcode: Exit code of the worker; None if unknown.
    """
    if not exitcode:
        return MediaError("crash", path, "the worker process exited in the middle of its job")
    if was_killed(exitcode):
        return MediaError(
            "killed",
            path,
            f"the worker process was killed from outside twice ({_cause(exitcode)}), the second time with "
            "no other job in progress; the system may be short of memory; the next run tries again",
        )
    return MediaError("crash", path, f"the worker process died ({_cause(exitcode)})")


def _cause(exitcode: int) -> str:
    """An exit code for messages: SIGSEGV, exit code 3."""
    if exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"
