"""Dispatch jobs to worker processes, and decide what the death of a worker means for its job.

A worker gets several jobs at once if they are short, and gives each result back as it comes. It shows which
job it is at, so its death costs that job alone: results of earlier ones are in the shared memory, later ones
are given to others, as are those that wait behind a job that takes long.

A file is blamed for a death only if it is clearly the cause. A job whose worker was killed from outside, or
died for an unknown reason, is run again with no other job in progress.
"""

from __future__ import annotations

import pickle
import selectors
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError, UserError
from tools.media.workers import worker
from tools.media.workers.batch_size import BatchSize
from tools.media.workers.exit_codes import was_killed, worker_death_error
from tools.media.workers.shared_memory import unpack
from tools.media.workers.worker_process import Result, WorkerProcess

if TYPE_CHECKING:
    from tools.media.workers.pool import WorkerPool

Job = tuple[Hashable, str, Any]
"""Key of the job, path of its file (for error messages), argument of the function."""

NOT_READY: Any = object()
"""Yielded in place of a job that is not ready yet: the pool goes on, and polls for the next one."""

POLL_SECONDS = 0.02
"""Seconds between polls for jobs that were not ready."""

_CHECK_SECONDS = 0.5  # between checks of time limits
_PAUSE_SECONDS = 5.0  # a wait that takes so much is one of a process that was suspended
_SLOW_SECONDS = 0.5  # after which others take the jobs that wait behind one
_MOST_BYTES = 1 << 20  # of arguments that it is given at once
_BYTES_AHEAD = 16 << 10  # of arguments that a busy worker is given: they wait in the socket
_STALL_SECONDS = 60.0  # that a worker may take to start; doubled after each round that does not
_MAX_STALLS = 4  # such rounds
_MAX_STARTS = 10  # times in a row that workers may be killed while they start


@dataclass
class _Attempt:
    """A job that was given to a worker; alone if no other may be in progress meanwhile."""

    job: Job
    alone: bool


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
        self._function = pickle.dumps(function)
        pool.import_script_for(self._function)
        self._jobs, self._idle = jobs, idle
        self._size = BatchSize()
        self._queue: deque[Job] = deque()  # to be given to a worker before others
        self._suspects: deque[Job] = deque()  # to be run again with no other in progress
        self._done: deque[tuple[Hashable, Any]] = deque()
        self._waiting = False  # the next job is not ready yet
        self._alone = False  # a suspect is running
        self._last_check = self._resumed = time.monotonic()
        self._failed_starts = self._stalls = 0
        self._selector = selectors.DefaultSelector()

    def results(self) -> Iterator[tuple[Hashable, Any]]:
        """Yield key and result of each job as they come."""
        for process in self._pool.processes:
            self._selector.register(process.connection, selectors.EVENT_READ, process)
        try:
            while True:
                self._fill()
                while self._done:
                    yield self._done.popleft()
                if not (self._running() or self._queue or self._suspects or self._waiting):
                    return
                self._wait()
        finally:
            self._selector.close()
            if self._running():  # the caller wants no more
                self._pool.stop()

    def _running(self) -> bool:
        return any(process.jobs for process in self._pool.processes)

    def _fill(self) -> None:
        """Give jobs to workers that are free or soon will be, and start workers for further jobs."""
        if self._alone:
            return
        self._waiting = False
        for process in sorted(self._pool.processes, key=lambda process: len(process.jobs)):
            if process.is_ready:
                self._give(process)
        self._start_processes()
        if self._suspects and not self._queue and not self._running():
            self._give_suspect()

    def _give(self, process: WorkerProcess) -> None:
        """Give a worker as many jobs as it should have."""
        most = self._size.jobs
        is_busy = bool(process.jobs)
        if is_busy and (most == 1 or process.is_slow or len(process.jobs) > most // 2):
            return
        jobs: list[Job] = []
        arguments: list[bytes] = []
        limit = _BYTES_AHEAD if is_busy else _MOST_BYTES
        while len(jobs) < most and limit > 0 and (job := self._next_job()) is not None:
            argument = pickle.dumps(job[2])
            limit -= len(argument)
            if limit < 0 and is_busy:
                self._queue.appendleft(job)
                break
            jobs.append(job)
            arguments.append(argument)
        self._send(process, jobs, arguments)

    def _give_suspect(self) -> None:
        ready = next((process for process in self._pool.processes if process.is_ready), None)
        if ready is not None:
            job = self._suspects.popleft()
            self._send(ready, [job], [pickle.dumps(job[2])], alone=True)
        elif not self._pool.processes:
            self._start_process()

    def _send(
        self, process: WorkerProcess, jobs: list[Job], arguments: list[bytes], *, alone: bool = False
    ) -> None:
        if not jobs:
            return
        pool = self._pool
        numbers = pool.numbers(len(jobs))
        process.jobs.update(zip(numbers, (_Attempt(job, alone) for job in jobs), strict=True))
        self._alone = alone
        sent = [
            worker.SentJob(number, job[1], argument)
            for number, job, argument in zip(numbers, jobs, arguments, strict=True)
        ]
        if not process.send(worker.Batch(self._function, pool.memory_bytes, pool.temporary, sent)):
            self._bury(process)

    def _next_job(self) -> Job | None:
        """The next job; None if there is none now."""
        return self._queue.popleft() if self._queue or self._has_queued(1) else None

    def _has_queued(self, count: int) -> bool:
        """Read jobs until so many are in the queue; whether there are."""
        while len(self._queue) < count and not self._waiting:
            job = next(self._jobs, None)
            if job is None:
                break
            if job is NOT_READY:
                self._waiting = True
            else:
                self._queue.append(job)
        return len(self._queue) >= count

    def _start_processes(self) -> None:
        """Start workers while there are jobs for which there is none."""
        processes = self._pool.processes
        free = sum(not process.jobs for process in processes)
        while len(processes) < self._pool.num_workers and self._has_queued(free + 1):
            self._start_process()
            free += 1

    def _start_process(self) -> None:
        process = self._pool.start_process()
        if process is not None:
            self._selector.register(process.connection, selectors.EVENT_READ, process)

    def _wait(self) -> None:
        """Wait until a worker has something to say, but not for long."""
        begun = time.monotonic()
        events = self._selector.select(POLL_SECONDS if self._waiting else _CHECK_SECONDS)
        now = time.monotonic()
        if now - begun > _PAUSE_SECONDS or now - self._last_check > max(
            _PAUSE_SECONDS, self._pool.timeout or 0.0
        ):
            # Ctrl-Z, a scheduler or a container has suspended the run: no job is to blame for that time.
            self._resumed = now
        for key, _ in events:
            self._receive(key.data)
        if now - self._last_check >= _CHECK_SECONDS:
            self._last_check = now
            for process in list(self._pool.processes):
                self._check(process, now)
        if not events:
            self._idle()

    def _receive(self, process: WorkerProcess) -> None:
        if process not in self._pool.processes:  # buried since
            return
        try:
            self._finish(process, process.receive())
            self._failed_starts = self._stalls = 0
            return
        except (EOFError, OSError):
            pass
        except ValueError:  # the shared memory is damaged
            process.kill()
        self._bury(process)

    def _finish(self, process: WorkerProcess, results: Iterable[Result]) -> None:
        """Take results of a worker."""
        for number, seconds, packed in results:
            attempt = process.jobs.pop(number, None)
            if attempt is None:  # it was revoked
                continue
            self._alone = False
            if packed.pickled == worker.REVOKED:
                self._requeue(attempt)
                continue
            key, path, _ = attempt.job
            try:
                result = unpack(packed)
            except Exception as error:
                result = disk_error(path, error, ALWAYS) or MediaError(
                    "internal", path, f"{type(error).__name__}: {error}"
                )
            self._done.append((key, result))
            if process.has_worked:
                self._size.note(seconds)
            process.has_worked = self._pool.has_worked = True
            process.is_slow = False

    def _check(self, process: WorkerProcess, now: float) -> None:
        """Check whether a worker is alive, and for how long it has been at its job."""
        if process.has_ended():
            self._bury(process)
        elif not process.is_ready:
            if now - max(process.since, self._resumed) > _STALL_SECONDS * 2**self._stalls:
                self._restart_stalled()
        elif process.jobs:
            number, since = process.current()
            since = max(since, self._resumed)
            limit = self._pool.timeout
            if number is None or now - since < min(_SLOW_SECONDS, limit or _SLOW_SECONDS):
                return
            if limit is not None and now - since > limit:
                process.kill()
                self._bury(process, expired=number)
            else:
                self._relieve(process)

    def _relieve(self, process: WorkerProcess) -> None:
        """Take the results of a worker whose present job takes long, and the jobs behind it."""
        process.is_slow = True
        waiting = process.revoke_waiting() if len(process.jobs) > 1 else []
        with suppress(ValueError):
            self._finish(process, process.take())
        for number in waiting:
            if (attempt := process.jobs.pop(number, None)) is not None:
                self._requeue(attempt)

    def _bury(self, process: WorkerProcess, *, expired: int | None = None) -> None:
        """Take what a dead worker has left, and decide what its death means for its jobs.

        Args:
            process: The worker, which has ended or is about to.
            expired: The job for which it was killed here, because of the time limit.
        """
        if process not in self._pool.processes:
            return
        self._pool.processes.remove(process)
        self._selector.unregister(process.connection)
        was_ready = process.is_ready
        results, code, last = process.end()
        self._finish(process, results)
        for number, attempt in process.jobs.items():
            path = attempt.job[1]
            if number != last or expired not in (None, last):
                self._requeue(attempt)
            elif expired == last:
                limit = self._pool.timeout
                self._done.append(
                    (attempt.job[0], MediaError("timeout", path, f"took longer than {limit:g} s"))
                )
            elif (not code or was_killed(code)) and not attempt.alone:
                self._suspects.append(attempt.job)
            else:
                self._done.append((attempt.job[0], self._blame(path, code)))
        if process.jobs:
            process.jobs.clear()
            self._alone = False
        if not was_ready:
            self._count_failed_start(code)

    def _requeue(self, attempt: _Attempt) -> None:
        (self._suspects if attempt.alone else self._queue).append(attempt.job)

    def _blame(self, path: str, code: int | None) -> MediaError:
        failure = worker_death_error(path, code)
        limit = self._pool.memory_bytes
        if failure.kind == "crash" and limit is not None and limit < worker.IMPORTS:
            why = f"{failure.message}; the memory limit may be too low for its imports"
            return MediaError("memory", failure.path, why)
        return failure

    def _count_failed_start(self, code: int | None) -> None:
        """A worker died before it was ready.

        Raises:
            UserError: Workers cannot start.
        """
        self._failed_starts += 1
        if code is not None and was_killed(code):
            if self._failed_starts < _MAX_STARTS:
                return
            raise UserError(
                "worker processes are killed before they take a job; if the system is short of memory, use "
                "fewer (--num-workers)"
            )
        if self._failed_starts > self._pool.has_worked:
            worker.check_open_files()
            raise UserError(
                "worker processes cannot start; a script that defines the function they run must start them "
                "under `if __name__ == '__main__':`, or use num_workers=0"
            )

    def _restart_stalled(self) -> None:
        """Kill the workers that have not started for long; others are started in their place.

        Raises:
            UserError: That was done too often.
        """
        if self._stalls == _MAX_STALLS:
            raise UserError(
                f"worker processes take no jobs, even after {_MAX_STALLS} restarts; the machine may be out "
                "of memory or of processes"
            )
        self._stalls += 1
        for process in [process for process in self._pool.processes if not process.is_ready]:
            process.kill()
            self._bury(process)
