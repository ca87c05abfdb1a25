"""Worker processes that may hang, crash or eat memory: whatever a file does to one, the run goes on.

The processes come from Pebble, which kills a worker whose task runs out of time and replaces one that died.
This module adds the memory limit and results through shared memory; `dispatch` adds one error for
each thing that can go wrong, and notices what Pebble does not. Workers are spawned, not forked: forking a
process in which torch has run can hang the child.
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
from tools.media.workers.dispatch import ASK_AGAIN, NOT_YET, Dispatch, Job
from tools.media.workers.shared_memory import SharedMemory
from tools.media.workers.spawning import WorkerContext, end_if_starting

__all__ = ["NOT_YET", "Job", "WorkerPool", "usable_cores"]

_END_WITHIN = 15.0  # seconds for Pebble to stop its workers and threads


def usable_cores() -> int:
    """Cores that this process may use, shared out among the ranks that `torchrun` started on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, cores // max(1, ranks))


class WorkerPool:
    """A pool of guarded workers; a context manager that kills them when it is left.

    Args:
        num_workers: How many; never more than `usable_cores`, more would only take turns. 0 runs the function
            in this process, without any guard, for debugging.
        timeout: Seconds that one job may take; None for no limit.
        memory_bytes: Address space that one job may take beyond what its worker has when the job starts;
            None for no limit.
    """

    def __init__(
        self, num_workers: int, *, timeout: float | None = None, memory_bytes: int | None = None
    ) -> None:
        self.num_workers = min(num_workers, usable_cores())
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self.has_worked = False  # workers can start here, then; if they die later, others can take over
        self._pool: Any = None
        self._context = WorkerContext()
        self._handover: SharedMemory | None = None
        self._temporary: TemporaryFolder | None = (
            None  # so that a worker that is killed leaves no temporary files
        )

    def __enter__(self) -> WorkerPool:
        if self.num_workers > 0:
            end_if_starting()
            self._handover = SharedMemory()
            with suppress(OSError, DiskError):  # who needs temporary files will tell
                self._temporary = TemporaryFolder(tempfile.gettempdir())
            self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        for own in (self._handover, self._temporary):
            if own is not None:
                own.close()

    @property
    def is_active(self) -> bool:
        """Whether jobs can be handed in: the pool was entered, not left, and has not broken since."""
        return self._pool is not None and self._pool.active if self.num_workers > 0 else True

    def _start(self) -> None:
        from pebble import ProcessPool

        _start_tracker()
        self._pool = ProcessPool(
            max_workers=self.num_workers,
            initializer=worker.start,
            initargs=(os.getpid(), self._temporary and str(self._temporary.path)),
            context=self._context,
        )

    def let_workers_import(self, function: bytes) -> None:
        """Have workers import the script where a pickled function is defined in it, and else not."""
        imports = b"__main__" in function
        if imports and not self._context.imports_script and self.has_worked:
            self._stop()
            self._start()
        self._context.imports_script |= imports

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            # Results are all in by now, and workers die with us: a pool that will not end is left behind.
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

        Jobs are taken only as workers get free, so neither jobs nor results pile up in memory.

        Args:
            function: Importable by name, as everything that goes to another process.
            jobs: Key, path and argument of each; `NOT_YET` where the next one must be waited for.
            idle: Called twice a second or more often while there is no result to yield.

        Yields:
            Key and result. The result is a `MediaError` where the function raised one, ran out of time
            (timeout) or memory, died (crash), was killed from outside twice (killed), or failed otherwise
            (internal).

        Raises:
            UserError: Workers cannot start, or the function raised one.
        """
        if self._pool is None:
            results = ((key, worker.guarded(partial(function, a), path)) for key, path, a in _there(jobs))
        else:
            results = Dispatch(self, function, iter(jobs), idle or _nothing).results()
        for key, result in results:
            if isinstance(result, UserError):
                raise result
            yield key, result


def _start_tracker() -> None:
    """Start the process by which multiprocessing tracks semaphores so that a hang-up of a terminal spares it.

    It ends with this process; gone before, it would be missed with pages of tracebacks.
    """
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _there(jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if job is NOT_YET:
            time.sleep(ASK_AGAIN)
        else:
            yield job


def _nothing() -> None:
    pass
