"""Worker processes that may hang, crash or eat memory: whatever a file does to one, the run goes on.

The processes come from Pebble, which kills a worker whose task runs out of time and replaces one that died.
This module adds the memory limit, results through shared memory, and one error for each thing that can go
wrong; and it notices the deaths that Pebble does not. Workers are spawned, not forked: forking a process in
which torch has run can hang the child.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from tools.errors import MediaError, UserError
from tools.media import worker
from tools.media.handover import Handover, Parcel, process_exists
from tools.media.spawning import WorkerContext, end_if_starting

Job = tuple[Hashable, str, Any]
"""Key of the job, path of the file it is about (for error messages), argument of the function."""

NOT_YET: Any = object()
"""Stands among jobs for one that is not there yet: the pool goes on, and asks for the next a little later."""

_IN_FLIGHT_PER_WORKER = 3  # one in work, one ready to start, one whose result is on its way back
_END_WITHIN = 15.0  # seconds for Pebble to stop its workers and threads
_REPEATS = 5  # times that a job is done again because it was lost and may not have been the reason
_LOOK_EVERY = 0.5  # seconds; also how late Ctrl-C is seen at most
_ASK_AGAIN = 0.02  # seconds, for jobs that were not there yet


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
        self._handover: Handover | None = None

    def __enter__(self) -> WorkerPool:
        if self.num_workers > 0:
            end_if_starting()
            self._handover = Handover()
            self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        if self._handover is not None:
            self._handover.close()

    @property
    def is_active(self) -> bool:
        """Whether jobs can be handed in: the pool was entered, not left, and has not broken since."""
        return self._pool is not None and self._pool.active if self.num_workers > 0 else True

    def _start(self) -> None:
        from pebble import ProcessPool

        self._pool = ProcessPool(
            max_workers=self.num_workers,
            initializer=worker.start,
            initargs=(os.getpid(),),
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
    ) -> Iterator[tuple[Hashable, Any]]:
        """Run ``function(argument)`` for each job; yield results as they come.

        Jobs are taken only as workers get free, so neither jobs nor results pile up in memory.

        Args:
            function: Importable by name, as everything that goes to another process.
            jobs: Key, path and argument of each; `NOT_YET` where the next one must be waited for.
            idle: Called twice a second or more often while there is no result to yield.

        Yields:
            Key and result. The result is a `MediaError` where the function raised one, ran out of time
            (timeout) or memory, died (crash), or failed otherwise (internal).

        Raises:
            UserError: Workers cannot start, or the function raised one.
        """
        if self._pool is None:
            results = ((key, worker.guarded(partial(function, a), path)) for key, path, a in _there(jobs))
        else:
            results = _Dispatch(self, function, iter(jobs), idle or _nothing).results()
        for key, result in results:
            if isinstance(result, UserError):
                raise result
            yield key, result


class _Dispatch:
    """One run of `WorkerPool.imap_unordered` through worker processes."""

    def __init__(
        self,
        owner: WorkerPool,
        function: Callable[[Any], Any],
        jobs: Iterator[Job],
        idle: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._function = pickle.dumps(function)
        owner.let_workers_import(self._function)
        self._jobs = jobs
        self._idle = idle
        self._room = owner.num_workers * _IN_FLIGHT_PER_WORKER
        self._running: dict[Any, tuple[int, Job]] = {}  # future: number, job
        self._done: deque[Any] = deque()
        self._ready = threading.Semaphore(0)
        self._again: deque[Job] = deque()  # jobs that nobody has started on yet
        self._numbers = 0
        self._looked = time.monotonic()
        self._dead: set[Any] = set()
        self._repeated: Counter[Hashable] = Counter()  # jobs that were lost, though it was not shown by whom
        self._progress = owner.has_worked  # since the pool was started last
        self._waits = False  # the next job is not there yet

    def results(self) -> Iterator[tuple[Hashable, Any]]:
        while True:
            self._fill()
            if not self._running and not self._again and not self._waits:
                return
            yield from self._lost()
            self._take_back()
            if self._ready.acquire(timeout=_ASK_AGAIN if self._waits else _LOOK_EVERY):
                future = self._done.popleft()
                if future in self._running:
                    yield from self._finish(future)
            else:
                self._idle()

    def _fill(self) -> None:
        """Give workers jobs, as far as there is room."""
        self._waits = False
        while len(self._running) < self._room:
            job = self._again.popleft() if self._again else next(self._jobs, None)
            if job is None:
                return
            if job is NOT_YET:
                self._waits = True
                return
            if not self._submit(job):
                self._again.appendleft(job)
                if self._running:
                    return
                self._restart()

    def _submit(self, job: Job) -> bool:
        """Hand a job to the pool; False when the pool is broken."""
        number, self._numbers = self._numbers, self._numbers + 1
        task = worker.Task(
            number,
            self._function,
            job[1],
            pickle.dumps(job[2]),
            self._owner._handover.folder,
            self._owner.memory_bytes,
        )
        try:
            future = self._owner._pool.schedule(worker.run, args=(task,), timeout=self._owner.timeout)
        except RuntimeError:
            return False
        self._running[future] = (number, job)
        future.add_done_callback(self._note)
        return True

    def _note(self, future: Any) -> None:
        self._done.append(future)
        self._ready.release()

    def _restart(self) -> None:
        """Put a new pool in the place of one that broke: all its workers died at a time without work."""
        if not self._progress:
            raise UserError(
                "worker processes cannot start; a script that defines what they do must start them under "
                "`if __name__ == '__main__':`, or work with num_workers=0"
            )
        self._progress = False
        self._owner._stop()
        self._owner._start()

    def _finish(self, future: Any) -> Iterator[tuple[Hashable, Any]]:
        """Yield the result of a job, or put the job back."""
        from pebble import ProcessExpired

        number, job = self._running.pop(future)
        key, path, _ = job
        self._dead.discard(future)
        was_started, was_finished = self._clear_markers(number)
        try:
            result = future.result()
            if isinstance(result, Parcel):
                result = self._owner._handover.unpack(result)
        except FutureTimeoutError:
            result = MediaError("timeout", path, f"took longer than {self._owner.timeout:g} s")
            self._owner._handover.sweep()
        except ProcessExpired as error:
            # Pebble may blame a job whose worker died on the next one, before its result was read.
            if error.exitcode == worker.RETIRED:
                self._again.append(job)
                return
            if was_finished and self._may_repeat(key):
                self._again.append(job)
                return
            result = MediaError("crash", path, f"the worker process died ({_cause(error.exitcode)})")
            self._owner._handover.sweep()
        except (BrokenProcessPool, CancelledError):
            # Pebble gives up when a worker dies before it has read which job that worker had taken.
            self._progress |= was_started
            if not was_started or self._may_repeat(key):
                self._again.append(job)
                return
            result = MediaError("crash", path, "the worker process died whenever it began this file")
        except Exception as error:  # the result arrived, but cannot be unpacked
            result = MediaError("internal", path, f"{type(error).__name__}: {error}")
        self._progress = self._owner.has_worked = True
        yield key, result

    def _lost(self) -> Iterator[tuple[Hashable, Any]]:
        """Yield the jobs whose worker is gone without Pebble's knowledge.

        It takes exit code 0 for a proper end, and misses a worker that dies just as it takes a job.
        """
        if time.monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        gone = {future for future, (number, _) in self._running.items() if self._worker_gone(number)}
        for future in gone & self._dead:  # gone at the last look too: no result is on its way any more
            if future.done():
                continue
            number, job = self._running.pop(future)
            key, path, _ = job
            _, was_finished = self._clear_markers(number)
            future.cancel()
            if was_finished and self._may_repeat(key):  # only its result was lost
                self._again.append(job)
                continue
            self._progress = True
            yield key, MediaError("crash", path, "the worker process ended in the middle of its work")
        self._dead = gone

    def _take_back(self) -> None:
        """Put jobs back that reached a pool just as it broke: Pebble never ends their futures."""
        if self._owner._pool.active:
            return
        for future, (_, job) in list(self._running.items()):
            if not future.done():
                del self._running[future]
                self._again.append(job)

    def _may_repeat(self, key: Hashable) -> bool:
        """Whether a job that was lost is done once more: a bound for one that kills its worker every time."""
        self._repeated[key] += 1
        return self._repeated[key] <= _REPEATS

    def _clear_markers(self, number: int) -> tuple[bool, bool]:
        """Remove what a worker noted about a job; whether it had started and whether it had finished it."""
        folder = self._owner._handover.folder
        return _removed(worker.marker(folder, number)), _removed(worker.done_marker(folder, number))

    def _worker_gone(self, number: int) -> bool:
        try:
            pid = worker.marker(self._owner._handover.folder, number).read_text()
        except FileNotFoundError:
            return False  # nobody has started on it
        return pid.isdecimal() and not process_exists(int(pid))


def _removed(file: Path) -> bool:
    """Remove a file; whether it was there."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def _there(jobs: Iterable[Job]) -> Iterator[Job]:
    for job in jobs:
        if job is NOT_YET:
            time.sleep(_ASK_AGAIN)
        else:
            yield job


def _nothing() -> None:
    pass


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"
