"""A pool of worker processes that may hang, crash or run out of memory without ending the run.

The processes come from Pebble, which kills a worker whose job exceeds the time limit and replaces one that
died. This module adds the memory limit and results through shared memory; `dispatch` adds one kind of error
for each kind of failure, and detects what Pebble misses. Workers are spawned, not forked: forking a process
in which torch has run can hang the child.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from tools.base.temporary_folder import TemporaryFolder
from tools.errors import DiskError, UserError
from tools.media.workers import worker
from tools.media.workers.dispatch import NOT_READY, POLL_SECONDS, Dispatch, Job
from tools.media.workers.shared_memory import SharedMemory
from tools.media.workers.spawning import WorkerContext, end_if_starting

__all__ = ["NOT_READY", "Job", "WorkerPool", "usable_cores"]

_END_WITHIN = 15.0  # seconds for Pebble to stop its workers and threads


def usable_cores() -> int:
    """Cores that this process may use, shared out among the ranks that `torchrun` started on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, cores // max(1, ranks))


class WorkerPool:
    """A pool of worker processes with limits; a context manager that kills them on exit.

    Args:
        num_workers: How many, at most `usable_cores`. 0 runs the function in this process, without any limit,
            for debugging.
        timeout: Seconds that one job may take; None for no limit.
        memory_bytes: Address space that one job may use beyond what its worker has when the job starts;
            None for no limit.

    Attributes:
        has_worked: Whether a job has finished: then workers can start here, and others can replace them.
        context: Starts the processes, and knows how they ended.
    """

    def __init__(
        self, num_workers: int, *, timeout: float | None = None, memory_bytes: int | None = None
    ) -> None:
        self.num_workers = min(num_workers, usable_cores())
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self.has_worked = False
        self.context = WorkerContext()
        self._pool: Any = None
        self._memory: SharedMemory | None = None
        self._temporary: TemporaryFolder | None = None  # of the workers: what a killed one leaves is removed

    def __enter__(self) -> WorkerPool:
        if self.num_workers > 0:
            end_if_starting()
            self._memory = SharedMemory()
            with suppress(OSError, DiskError):  # reported by jobs that need temporary files
                self._temporary = TemporaryFolder(tempfile.gettempdir())
            self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        for folder in (self._memory, self._temporary):
            if folder is not None:
                folder.close()

    @property
    def is_active(self) -> bool:
        """Whether jobs can be submitted: the pool was entered, not left, and is not broken."""
        return self._pool is not None and self._pool.active if self.num_workers > 0 else True

    @property
    def shared_memory(self) -> SharedMemory:
        """The folder for results of a pool that was entered."""
        assert self._memory is not None, "there is none without workers"
        return self._memory

    def schedule(self, task: worker.Task) -> Any:
        """Submit a job.

        Returns:
            Pebble's future of the result.

        Raises:
            RuntimeError: The pool is broken.
        """
        return self._pool.schedule(worker.run, args=(task,), timeout=self.timeout)

    def restart(self) -> None:
        """Replace the workers by new ones."""
        self._stop()
        self._start()

    def _start(self) -> None:
        from pebble import ProcessPool

        _start_tracker()
        self._pool = ProcessPool(
            max_workers=self.num_workers,
            initializer=worker.start,
            initargs=(os.getpid(), self._temporary and str(self._temporary.path)),
            context=self.context,
        )

    def import_script_for(self, function: bytes) -> None:
        """Make workers import the main script if a pickled function is defined there."""
        needed = b"__main__" in function
        if needed and not self.context.imports_script and self.has_worked:
            self.restart()
        self.context.imports_script |= needed

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            # All results are in, and workers die with this process: a pool that does not end is abandoned.
            ending = threading.Thread(target=self._pool.join, daemon=True)
            ending.start()
            ending.join(_END_WITHIN)

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
        if self._pool is None:
            results = (
                (key, worker.call_guarded(partial(function, a), path)) for key, path, a in _ready(jobs)
            )
        else:
            results = Dispatch(self, function, iter(jobs), idle or (lambda: None)).results()
        for key, result in results:
            if isinstance(result, UserError):
                raise result
            yield key, result


def _start_tracker() -> None:
    """Start multiprocessing's tracker of semaphores with SIGHUP blocked: closing a terminal must not end it.

    It ends with this process; if it ended earlier, multiprocessing would print pages of tracebacks.
    """
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready(jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if job is NOT_READY:
            time.sleep(POLL_SECONDS)
        else:
            yield job
