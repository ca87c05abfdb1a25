"""What the exit code of a worker says about the file that it was at."""

from __future__ import annotations

import signal

from tools.errors import MediaError

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
