"""A pool of worker processes that may hang, crash or run out of memory without ending the run.

A worker has a connection of its own, over which it is given jobs, and memory that it shares with this process
alone, which has its results and shows what it is at. So nothing that one worker holds when it is killed, no
lock and no queue, is missed by the others; `dispatch` decides who does what, and what a death means. Workers
are spawned, not forked: forking a process in which torch has run can hang the child. But a command may have
forked the first ones before anything has run (`ahead`).
"""

from __future__ import annotations

import errno
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from tools.base.cpu import allowed_cores
from tools.base.disk import system_message
from tools.base.log import LOG
from tools.base.temporary_files import TemporaryFolder
from tools.errors import DiskError, UserError
from tools.media.workers import ahead, worker
from tools.media.workers.dispatch import NOT_READY, POLL_SECONDS, Dispatch, Job
from tools.media.workers.spawning import end_if_starting
from tools.media.workers.worker_process import WorkerProcess

_NO_ROOM = {  # for a process, or its descriptors; and what to do
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "the machine has too many open files",
    errno.EAGAIN: "raise the limit on processes (ulimit -u)",
    errno.ENOMEM: "the machine is short of memory",
}
_SPARE = 20  # descriptors: a few of a worker, the files of a run

__all__ = ["NOT_READY", "Job", "WorkerPool", "usable_cores"]


def usable_cores() -> int:
    """Cores that this process may use, shared out among the ranks that `torchrun` started on this machine."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, allowed_cores() // max(1, ranks))


def threads_each(workers: int, jobs: int) -> int:
    """Threads of each of several workers that share the cores; 0 workers are this process alone."""
    cores = usable_cores()
    return max(1, cores // max(1, min(workers or 1, cores, jobs)))


class WorkerPool:
    """A pool of worker processes with limits; a context manager that kills them on exit.

    Args:
        num_workers: How many, at most `usable_cores`. 0 runs the function in this process, without any limit,
            for debugging.
        timeout: Seconds that one job may take; None for no limit.
        memory_bytes: Address space that one job may use beyond what its worker has when the job starts;
            None for no limit.

    Attributes:
        is_active: Whether the pool was entered and not left.
        has_worked: Whether a job has finished: then workers can start here, and others can replace them.
        processes: Those that run; they are started when there are jobs for them, and stay.
    """

    def __init__(
        self, num_workers: int, *, timeout: float | None = None, memory_bytes: int | None = None
    ) -> None:
        self.num_workers = min(num_workers, usable_cores())
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self.has_worked = False
        self.processes: list[WorkerProcess] = []
        self.is_active = False
        self._imports_script = False
        self._next_number = 0
        self._starter: ThreadPoolExecutor | None = None
        self._folder: TemporaryFolder | None = None  # of the workers: what a killed one leaves is removed

    def __enter__(self) -> WorkerPool:
        if self.num_workers > 0:
            end_if_starting()
            with suppress(OSError, DiskError):  # reported by jobs that need temporary files
                self._folder = TemporaryFolder(tempfile.gettempdir())
            self._starter = ThreadPoolExecutor(max_workers=1)
        self.is_active = True
        return self

    def __exit__(self, *error: object) -> None:
        self.is_active = False
        self.stop()
        ahead.drop()
        if self._starter is not None:
            self._starter.shutdown()
        if self._folder is not None:
            self._folder.close()

    @property
    def temporary(self) -> str | None:
        """Folder for temporary files of the workers."""
        return self._folder and str(self._folder.path)

    def start_process(self) -> WorkerProcess | None:
        """Start one more worker, or take one that was started ahead; None if the system has no room for it.

        The pool then goes on with those that there are, and says so.

        Raises:
            UserError: The system refuses the first one.
        """
        assert self._starter is not None, "the pool was not entered"
        try:
            process = ahead.take()
            if process is None:
                if self.processes:
                    _check_descriptors(self.processes[-1].connection.fileno())
                process = self._spawned()
        except OSError as error:
            if self.processes and error.errno in _NO_ROOM:
                self.num_workers = len(self.processes)
                why = f"{system_message(error)}; {_NO_ROOM[error.errno]}"
                LOG.warning("only %d worker processes: %s", self.num_workers, why)
                return None
            worker.check_open_files()
            raise UserError(f"worker processes cannot start: {system_message(error)}") from error
        self.processes.append(process)
        return process

    def _spawned(self) -> WorkerProcess:
        assert self._starter is not None
        try:
            return WorkerProcess.spawned(self._starter, imports_script=self._imports_script)
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            # The system refuses the thread, as it would the process. What waits for it must not start later.
            self._starter.shutdown(wait=False, cancel_futures=True)
            self._starter = ThreadPoolExecutor(max_workers=1)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def numbers(self, count: int) -> range:
        """Numbers for so many jobs, which no other job of the pool has."""
        self._next_number += count
        return range(self._next_number - count, self._next_number)

    def import_script_for(self, function: bytes) -> None:
        """Make workers import the main script if a pickled function is defined there."""
        if b"__main__" in function and not self._imports_script:
            self.stop()
            self._imports_script = True

    def stop(self) -> None:
        """Kill the workers, whatever they are at; a further run starts new ones."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.end()
        self.processes.clear()

    def imap_unordered(
        self,
        function: Callable[[Any], Any],
        jobs: Iterable[Job],
        *,
        idle: Callable[[], None] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Run ``function(argument)`` for each job; yield results as they come.

        Jobs are read only as workers become free, so neither jobs nor results pile up in memory.

        Args:
            function: Importable by name, as everything that goes to another process.
            jobs: Key, path and argument of each; `NOT_READY` while the next one is not ready.
            idle: Called at least twice a second while there is no result to yield.

        Yields:
            Key and result. The result is a `MediaError` if the function raised one, exceeded the time limit
            (timeout) or the memory limit (memory), if its worker died (crash) or was killed from outside
            twice (killed), or if it failed in another way (internal).

        Raises:
            UserError: Workers cannot start, or the function raised one.
        """
        if self.num_workers == 0:
            results = (
                (key, worker.call_guarded(partial(function, a), path)) for key, path, a in _ready(jobs)
            )
        else:
            results = Dispatch(self, function, iter(jobs), idle or (lambda: None)).results()
        for key, result in results:
            if isinstance(result, UserError):
                raise result
            yield key, result


def _check_descriptors(last: int) -> None:
    """Make sure that this process may open some files beside those of one more worker.

    Args:
        last: The descriptor that was given last; the system gives the lowest one that is free.

    Raises:
        OSError: As the system would.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and last + _SPARE > limit:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _ready(jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if job is NOT_READY:
            time.sleep(POLL_SECONDS)
        else:
            yield job
