"""Dispatch jobs to worker processes, and decide what the death of a worker means for its job.

Pebble kills a worker whose job exceeds the time limit and replaces one that died. What it misses is detected
here from the markers that workers write for their jobs: deaths that Pebble does not notice, a time limit that
it did not enforce, and a pool whose workers no longer take jobs.

A file is blamed for a death only if it is clearly the cause. A job whose worker was killed from outside, or
died for an unknown reason, is run again with no other job in progress.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError, UserError
from tools.media.workers import worker
from tools.media.workers.job_markers import JobMarkers, was_killed, worker_death_error
from tools.media.workers.shared_memory import PackedResult

if TYPE_CHECKING:
    from tools.media.workers.pool import WorkerPool

Job = tuple[Hashable, str, Any]
"""Key of the job, path of its file (for error messages), argument of the function."""

NOT_READY: Any = object()
"""Yielded in place of a job that is not ready yet: the pool goes on, and polls for the next one."""

POLL_SECONDS = 0.02
"""Seconds between polls for jobs that were not ready."""

_RUNNING_PER_WORKER = 3  # one running, one ready to start, one whose result is on its way back
_MAX_RETRIES = 5  # retries of a job that was lost, possibly not by its own fault
_CHECK_SECONDS = 0.5  # also the longest delay until Ctrl-C is noticed
_GRACE = 5.0  # seconds after the time limit; Pebble gives a worker 3 s to end before it kills it
_STALL_SECONDS = 60.0  # seconds without any job taken; doubled at each restart that does not help
_MAX_STARTS = 10  # times that all workers may be killed before one of them takes a job
_MAX_STALLS = 4  # restarts of workers that take no jobs

_RETRY: Any = object()  # instead of a result: the job is run again


@dataclass
class _Attempt:
    """A job that was submitted to the workers.

    Attributes:
        number: Number of the attempt.
        job: The job.
        alone: Whether no other job is in progress meanwhile.
        since: When it was first seen running, `time.monotonic`.
    """

    number: int
    job: Job
    alone: bool
    since: float | None = None


class Dispatch:
    """One run of `WorkerPool.imap_unordered` through worker processes."""

    def __init__(
        self,
        pool: WorkerPool,
        function: Callable[[Any], Any],
        jobs: Iterator[Job],
        idle: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._memory = pool.shared_memory
        self._function = pickle.dumps(function)
        pool.import_script_for(self._function)
        self._jobs, self._idle = jobs, idle
        self._max_running = pool.num_workers * _RUNNING_PER_WORKER
        self._markers = JobMarkers(self._memory.folder)
        self._running: dict[Any, _Attempt] = {}  # by future
        self._done: deque[Any] = deque()
        self._ready = threading.Semaphore(0)
        self._queue: deque[Job] = deque()  # jobs to submit again
        self._suspects: deque[Job] = deque()  # jobs to run again with no other in progress
        self._next_number = 0
        self._last_check = time.monotonic()
        self._exited: set[Any] = set()  # futures whose worker was gone at the last check
        self._killed: set[int] = set()  # workers that were killed here
        self._idle_checks = 0  # checks in a row that found no job running
        self._stalls = 0  # restarts of the pool for that
        self._retries: Counter[Hashable] = Counter()  # of jobs that were lost for an unknown reason
        self._progress = pool.has_worked  # since the last start of the pool
        self._failed_starts = 0  # in a row, without a job taken
        self._deaths = len(pool.context.ended())  # of workers, at the last start of the pool
        self._waiting = False  # the next job is not ready yet

    def results(self) -> Iterator[tuple[Hashable, Any]]:
        """Yield key and result of each job as they come."""
        while True:
            self._fill()
            if not (self._running or self._queue or self._suspects or self._waiting):
                return
            yield from self._check_workers()
            self._requeue_stranded()
            if self._ready.acquire(timeout=POLL_SECONDS if self._waiting else _CHECK_SECONDS):
                future = self._done.popleft()
                if future in self._running:
                    yield from self._finish(future)
            else:
                self._idle()

    def _fill(self) -> None:
        """Submit jobs up to the limit."""
        if any(attempt.alone for attempt in self._running.values()):
            return
        self._waiting = False
        while len(self._running) < self._max_running:
            job = self._queue.popleft() if self._queue else next(self._jobs, None)
            if job is None or job is NOT_READY:
                self._waiting = job is NOT_READY
                break
            if not self._submit_or_restart(job, self._queue):
                return
        if not self._running and self._suspects:
            self._submit_or_restart(self._suspects.popleft(), self._suspects)

    def _submit_or_restart(self, job: Job, queue: deque[Job]) -> bool:
        """Submit a job; if the pool is broken requeue it, and restart the pool once no other job is left."""
        if self._submit(job, alone=queue is self._suspects):
            return True
        queue.appendleft(job)
        if self._running:
            return False
        self._restart()
        return True

    def _submit(self, job: Job, *, alone: bool) -> bool:
        """Submit a job to the pool; False if the pool is broken."""
        number, self._next_number = self._next_number, self._next_number + 1
        _, path, argument = job
        folder, limit = self._memory.folder, self._pool.memory_bytes
        task = worker.Task(number, self._function, path, pickle.dumps(argument), folder, limit)
        try:
            future = self._pool.schedule(task)
        except RuntimeError:
            return False
        self._running[future] = _Attempt(number, job, alone)
        future.add_done_callback(self._on_done)
        return True

    def _on_done(self, future: Any) -> None:
        self._done.append(future)
        self._ready.release()

    def _restart(self) -> None:
        """Replace a broken pool: all its workers died while no job was running."""
        ended = self._pool.context.ended()
        killed = any(was_killed(code) for _, code in ended[self._deaths :])
        self._failed_starts = 0 if self._progress else self._failed_starts + 1
        if self._failed_starts == _MAX_STARTS:
            raise UserError(
                "worker processes are killed before they take a job; if the system is short of memory, use "
                "fewer (--num-workers)"
            )
        if self._failed_starts and not killed:
            worker.check_open_files()
            raise UserError(
                "worker processes cannot start; a script that defines the function they run must start them "
                "under `if __name__ == '__main__':`, or use num_workers=0"
            )
        self._progress = False
        self._pool.restart()
        self._deaths = len(self._pool.context.ended())

    def _finish(self, future: Any) -> Iterator[tuple[Hashable, Any]]:
        """Yield the result of a job, or requeue it."""
        from pebble import ProcessExpired

        attempt = self._running.pop(future)
        key, path, _ = attempt.job
        self._exited.discard(future)
        broken = future.cancelled() or isinstance(future.exception(), BrokenProcessPool)
        pid = self._markers.pid(attempt.number) if broken else None
        exited = broken and self._markers.has_exited(attempt.number)
        was_started, was_finished = self._markers.clear(attempt.number)
        self._progress |= was_started
        try:
            result = future.result()
            if isinstance(result, PackedResult):
                result = self._memory.unpack(result)
        except FutureTimeoutError:
            result = _RETRY if was_finished and self._retry(attempt) else self._timed_out(path)
        except ProcessExpired as error:
            result = self._judge(attempt, error.pid, error.exitcode, innocent=was_finished or not was_started)
        except (BrokenProcessPool, CancelledError):
            # Pebble breaks the pool if a worker dies before Pebble has read which job that worker took.
            if not (was_started and exited):
                self._requeue(attempt)
                return
            if (code := self._pool.context.exit_code(pid)) is not None:
                result = self._judge(attempt, pid, code, innocent=was_finished)
            elif self._retry(attempt, suspect=not was_finished):
                return
            else:
                result = MediaError("crash", path, "the worker process died each time it started this file")
        except Exception as error:  # the result arrived, but cannot be unpacked
            result = disk_error(path, error, ALWAYS) or MediaError(
                "internal", path, f"{type(error).__name__}: {error}"
            )
        if result is not _RETRY:
            yield self._finished(key, result)

    def _finished(self, key: Hashable, result: Any) -> tuple[Hashable, Any]:
        self._progress = self._pool.has_worked = True
        self._idle_checks = self._stalls = 0
        return key, result

    def _timed_out(self, path: str) -> MediaError:
        self._memory.remove_unfinished()
        return MediaError("timeout", path, f"took longer than {self._pool.timeout:g} s")

    def _judge(self, attempt: _Attempt, pid: int | None, exitcode: int | None, *, innocent: bool) -> Any:
        """Decide what the death of its worker means for a job: a `MediaError`, or `_RETRY`.

        Args:
            attempt: The job.
            pid: Process id of the worker.
            exitcode: Exit code of the worker; None if unknown.
            innocent: Whether the job had not started yet or was finished already.
        """
        self._memory.remove_unfinished()
        if exitcode == worker.RETIRED:
            self._requeue(attempt)
            return _RETRY
        # Pebble may blame a job whose worker died in the next one, or was killed here for the one before.
        if (innocent or pid in self._killed) and self._retry(attempt):
            return _RETRY
        if (not exitcode or was_killed(exitcode)) and not attempt.alone:
            self._suspects.append(attempt.job)
            return _RETRY
        failure = worker_death_error(attempt.job[1], exitcode)
        limit = self._pool.memory_bytes
        if failure.kind == "crash" and limit is not None and limit < worker.IMPORTS:
            why = f"{failure.message}; the memory limit may be too low for its imports"
            return MediaError("memory", failure.path, why)
        return failure

    def _check_workers(self) -> Iterator[tuple[Hashable, Any]]:
        """Check which jobs are running, and yield results for those that Pebble has lost or did not stop.

        Pebble takes exit code 0 for a normal end, and misses a worker that dies just as it takes a job.
        """
        now = time.monotonic()
        if now - self._last_check < _CHECK_SECONDS:
            return
        self._last_check = now
        self._idle_checks += bool(self._running)
        exited = set()
        for future, attempt in list(self._running.items()):
            if future.done():
                self._idle_checks = 0
            elif self._markers.has_exited(attempt.number):
                exited.add(future)
            elif pid := self._markers.running(attempt.number):
                self._idle_checks = 0
                attempt.since = attempt.since or now
                limit = self._pool.timeout
                if limit is not None and now - attempt.since > limit + _GRACE:
                    self._kill(future, pid)
                    yield self._finished(attempt.job[0], self._timed_out(attempt.job[1]))
        lost = exited & self._exited  # at the last check too, so no result is on its way
        self._exited = exited
        for future in lost:
            if future in self._running and not future.done():
                yield from self._handle_lost(future)
        if self._idle_checks * _CHECK_SECONDS >= _STALL_SECONDS * 2**self._stalls:
            self._restart_stalled()

    def _handle_lost(self, future: Any) -> Iterator[tuple[Hashable, Any]]:
        """Judge a job whose worker exited unnoticed by Pebble."""
        attempt = self._running.pop(future)
        pid = self._markers.pid(attempt.number)
        _, was_finished = self._markers.clear(attempt.number)
        self._progress = True
        future.cancel()
        result = self._judge(attempt, pid, self._pool.context.exit_code(pid), innocent=was_finished)
        if result is not _RETRY:
            yield self._finished(attempt.job[0], result)

    def _kill(self, future: Any, pid: int) -> None:
        """Kill a worker that Pebble should have stopped."""
        self._markers.clear(self._running.pop(future).number)
        self._killed.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        future.cancel()

    def _restart_stalled(self) -> None:
        """Replace a pool whose workers take no jobs.

        A worker that is killed while it holds the lock of the pipe to the parent never releases it.
        """
        if self._stalls == _MAX_STALLS:
            raise UserError(
                f"worker processes take no jobs, even after {_MAX_STALLS} restarts; the machine may be out "
                "of memory or of processes"
            )
        self._stalls += 1
        self._idle_checks = 0
        for attempt in self._running.values():
            self._markers.clear(attempt.number)
            self._requeue(attempt)
        self._running.clear()
        self._pool.restart()

    def _requeue_stranded(self) -> None:
        """Requeue jobs that were submitted just as the pool broke: Pebble never completes their futures."""
        if self._pool.is_active:
            return
        for future, attempt in list(self._running.items()):
            if not future.done():
                del self._running[future]
                self._progress |= self._markers.clear(attempt.number)[0]
                self._requeue(attempt)

    def _requeue(self, attempt: _Attempt) -> None:
        (self._suspects if attempt.alone else self._queue).append(attempt.job)

    def _retry(self, attempt: _Attempt, *, suspect: bool = False) -> bool:
        """Requeue a lost job, unless it was lost too often: it may kill its worker every time."""
        key = attempt.job[0]
        self._retries[key] += 1
        if self._retries[key] > _MAX_RETRIES:
            return False
        if suspect:
            self._suspects.append(attempt.job)
        else:
            self._requeue(attempt)
        return True
