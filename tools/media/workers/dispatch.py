"""One run of jobs through worker processes: who is given what, whose worker died, and what that says.

Pebble kills a worker whose job runs out of time and replaces one that died. What it does not see is looked
for here, by the notes that workers leave about the jobs they are at: deaths that Pebble misses, a time limit
that it did not keep, and a pool in which nobody takes jobs any more.

A death says something about a file only when it is clear that the file was its cause. A job whose worker was
killed from outside, or died in a way that is not known, is done once more when nothing else is in work.
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
from tools.media.workers.notes import Notes, verdict, was_killed
from tools.media.workers.shared_memory import Packed

if TYPE_CHECKING:
    from tools.media.workers.pool import WorkerPool

Job = tuple[Hashable, str, Any]
"""Key of the job, path of the file it is about (for error messages), argument of the function."""

NOT_YET: Any = object()
"""Stands among jobs for one that is not there yet: the pool goes on, and asks for the next a little later."""

ASK_AGAIN = 0.02
"""Seconds after which jobs are asked for that were not there yet."""

_IN_FLIGHT_PER_WORKER = 3  # one in work, one ready to start, one whose result is on its way back
_REPEATS = 5  # times that a job is done again because it was lost and may not have been the reason
_LOOK_EVERY = 0.5  # seconds; also how late Ctrl-C is seen at most
_GRACE = 5.0  # seconds after the time limit; Pebble gives a worker 3 s to end before it kills it
_PATIENCE = 60.0  # seconds in which nobody takes a job; doubled each time that new workers take none either
_STARTS = 10  # times that workers may be killed before one of them takes a job
_STALLS = 4  # times that workers are started anew because nobody takes a job

_AGAIN: Any = object()  # in the place of the result of a job that is done once more


@dataclass
class _Run:
    """A job that was handed to the workers.

    Attributes:
        number: Of this attempt.
        job: What is done.
        alone: Whether nothing else is in work meanwhile.
        since: When it was first seen in work, `time.monotonic`.
    """

    number: int
    job: Job
    alone: bool
    since: float | None = None


class Dispatch:
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
        assert owner._handover is not None, "made when the pool was entered"
        self._handover = owner._handover
        self._notes = Notes(self._handover.folder)
        self._running: dict[Any, _Run] = {}  # by future
        self._done: deque[Any] = deque()
        self._ready = threading.Semaphore(0)
        self._again: deque[Job] = deque()  # jobs to hand in once more
        self._suspects: deque[Job] = deque()  # jobs to do once more when nothing else is in work
        self._numbers = 0
        self._looked = time.monotonic()
        self._dead: set[Any] = set()
        self._stopped: set[int] = set()  # workers that were killed here
        self._quiet = 0  # looks at which nobody was at work
        self._stalls = 0  # times that the pool was started anew for that
        self._repeated: Counter[Hashable] = Counter()  # jobs that were lost, though it was not shown by whom
        self._progress = owner.has_worked  # since the pool was started last
        self._vain = 0  # times that all workers were killed before they took a job
        self._deaths = len(owner._context.ended())  # of workers, when the pool was started last
        self._waits = False  # the next job is not there yet

    def results(self) -> Iterator[tuple[Hashable, Any]]:
        """Yield key and result of each job as they come."""
        while True:
            self._fill()
            if not (self._running or self._again or self._suspects or self._waits):
                return
            yield from self._look()
            self._take_back()
            if self._ready.acquire(timeout=ASK_AGAIN if self._waits else _LOOK_EVERY):
                future = self._done.popleft()
                if future in self._running:
                    yield from self._finish(future)
            else:
                self._idle()

    def _fill(self) -> None:
        """Give workers jobs, as far as there is room."""
        if any(run.alone for run in self._running.values()):
            return
        self._waits = False
        while len(self._running) < self._room:
            job = self._again.popleft() if self._again else next(self._jobs, None)
            if job is None or job is NOT_YET:
                self._waits = job is NOT_YET
                break
            if not self._hand_in(job, self._again):
                return
        if not self._running and self._suspects:
            self._hand_in(self._suspects.popleft(), self._suspects)

    def _hand_in(self, job: Job, queue: deque[Job]) -> bool:
        """Submit a job; if the pool is broken put it back, and when no other job is left start a new pool."""
        if self._submit(job, alone=queue is self._suspects):
            return True
        queue.appendleft(job)
        if self._running:
            return False
        self._restart()
        return True

    def _submit(self, job: Job, *, alone: bool) -> bool:
        """Hand a job to the pool; False when the pool is broken."""
        number, self._numbers = self._numbers, self._numbers + 1
        task = worker.Task(
            number,
            self._function,
            job[1],
            pickle.dumps(job[2]),
            self._handover.folder,
            self._owner.memory_bytes,
        )
        try:
            future = self._owner._pool.schedule(worker.run, args=(task,), timeout=self._owner.timeout)
        except RuntimeError:
            return False
        self._running[future] = _Run(number, job, alone)
        future.add_done_callback(self._note)
        return True

    def _note(self, future: Any) -> None:
        self._done.append(future)
        self._ready.release()

    def _restart(self) -> None:
        """Put a new pool in the place of one that broke: all its workers died at a time without work."""
        ended = self._owner._context.ended()
        killed = any(was_killed(code) for _, code in ended[self._deaths :])
        self._vain = 0 if self._progress else self._vain + 1
        if self._vain == _STARTS:
            raise UserError(
                "worker processes are killed before they take a job; if the system is short of memory, start "
                "fewer (--num-workers)"
            )
        if self._vain and not killed:
            worker.check_open_files()
            raise UserError(
                "worker processes cannot start; a script that defines what they do must start them under "
                "`if __name__ == '__main__':`, or work with num_workers=0"
            )
        self._progress = False
        self._owner._stop()
        self._deaths = len(self._owner._context.ended())
        self._owner._start()

    def _finish(self, future: Any) -> Iterator[tuple[Hashable, Any]]:
        """Yield the result of a job, or put the job back."""
        from pebble import ProcessExpired

        run = self._running.pop(future)
        key, path, _ = run.job
        self._dead.discard(future)
        broken = future.cancelled() or isinstance(future.exception(), BrokenProcessPool)
        pid = self._notes.worker(run.number) if broken else None
        gone = broken and self._notes.is_gone(run.number)
        was_started, was_finished = self._notes.clear(run.number)
        self._progress |= was_started
        try:
            result = future.result()
            if isinstance(result, Packed):
                result = self._handover.unpack(result)
        except FutureTimeoutError:
            result = _AGAIN if was_finished and self._repeat(run) else self._timed_out(path)
        except ProcessExpired as error:
            result = self._judge(run, error.pid, error.exitcode, blameless=was_finished or not was_started)
        except (BrokenProcessPool, CancelledError):
            # Pebble gives up when a worker dies before it has read which job that worker had taken.
            if not (was_started and gone):
                self._put_back(run)
                return
            if (code := self._owner._context.exit_code(pid)) is not None:
                result = self._judge(run, pid, code, blameless=was_finished)
            elif self._repeat(run, suspect=not was_finished):
                return
            else:
                result = MediaError("crash", path, "the worker process died whenever it began this file")
        except Exception as error:  # the result arrived, but cannot be unpacked
            result = disk_error(path, error, ALWAYS) or MediaError(
                "internal", path, f"{type(error).__name__}: {error}"
            )
        if result is not _AGAIN:
            yield self._told(key, result)

    def _told(self, key: Hashable, result: Any) -> tuple[Hashable, Any]:
        self._progress = self._owner.has_worked = True
        self._quiet = self._stalls = 0
        return key, result

    def _timed_out(self, path: str) -> MediaError:
        self._handover.sweep()
        return MediaError("timeout", path, f"took longer than {self._owner.timeout:g} s")

    def _judge(self, run: _Run, pid: int | None, exitcode: int | None, *, blameless: bool) -> Any:
        """What the death of its worker means for a job: a `MediaError`, or `_AGAIN`.

        Args:
            run: The job.
            pid: Of the worker.
            exitcode: Of the worker; None when it is not known.
            blameless: Whether the worker was not at this job any more, or not yet.
        """
        self._handover.sweep()
        if exitcode == worker.RETIRED:
            self._put_back(run)
            return _AGAIN
        # Pebble may blame a job whose worker died on the next one, or was killed here for the one before.
        if (blameless or pid in self._stopped) and self._repeat(run):
            return _AGAIN
        if (not exitcode or was_killed(exitcode)) and not run.alone:
            self._suspects.append(run.job)
            return _AGAIN
        failure = verdict(run.job[1], exitcode)
        limit = self._owner.memory_bytes
        if failure.kind == "crash" and limit is not None and limit < worker.IMPORTS:
            why = f"{failure.message}; it may use too little memory for what it imports"
            return MediaError("memory", failure.path, why)
        return failure

    def _look(self) -> Iterator[tuple[Hashable, Any]]:
        """See what workers are at, and yield the jobs of those that Pebble has lost or did not stop.

        It takes exit code 0 for a proper end, and misses a worker that dies just as it takes a job.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        self._quiet += bool(self._running)
        gone = set()
        for future, run in list(self._running.items()):
            if future.done():
                self._quiet = 0
            elif self._notes.is_gone(run.number):
                gone.add(future)
            elif pid := self._notes.at_work(run.number):
                self._quiet = 0
                run.since = run.since or now
                limit = self._owner.timeout
                if limit is not None and now - run.since > limit + _GRACE:
                    self._stop(future, pid)
                    yield self._told(run.job[0], self._timed_out(run.job[1]))
        lost = gone & self._dead  # gone at the last look too: no result is on its way any more
        self._dead = gone
        for future in lost:
            if future in self._running and not future.done():
                yield from self._lose(future)
        if self._quiet * _LOOK_EVERY >= _PATIENCE * 2**self._stalls:
            self._begin_anew()

    def _lose(self, future: Any) -> Iterator[tuple[Hashable, Any]]:
        """Judge a job whose worker is gone without Pebble's knowledge."""
        run = self._running.pop(future)
        pid = self._notes.worker(run.number)
        _, was_finished = self._notes.clear(run.number)
        self._progress = True
        future.cancel()
        result = self._judge(run, pid, self._owner._context.exit_code(pid), blameless=was_finished)
        if result is not _AGAIN:
            yield self._told(run.job[0], result)

    def _stop(self, future: Any, pid: int) -> None:
        """Kill a worker that Pebble should have stopped."""
        self._notes.clear(self._running.pop(future).number)
        self._stopped.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        future.cancel()

    def _begin_anew(self) -> None:
        """Put a new pool in the place of one in which nobody takes jobs.

        A worker that is killed while it holds the lock on the pipe between the processes never gives it back.
        """
        if self._stalls == _STALLS:
            raise UserError(
                f"worker processes take no work, though they were started anew {_STALLS} times; the machine "
                "may be out of memory or of processes"
            )
        self._stalls += 1
        self._quiet = 0
        for run in self._running.values():
            self._notes.clear(run.number)
            self._put_back(run)
        self._running.clear()
        self._owner._stop()
        self._owner._start()

    def _take_back(self) -> None:
        """Put jobs back that reached a pool just as it broke: Pebble never ends their futures."""
        if self._owner._pool.active:
            return
        for future, run in list(self._running.items()):
            if not future.done():
                del self._running[future]
                self._progress |= self._notes.clear(run.number)[0]
                self._put_back(run)

    def _put_back(self, run: _Run) -> None:
        (self._suspects if run.alone else self._again).append(run.job)

    def _repeat(self, run: _Run, *, suspect: bool = False) -> bool:
        """Put a lost job back, unless that was done too often: one may kill its worker every time."""
        key = run.job[0]
        self._repeated[key] += 1
        if self._repeated[key] > _REPEATS:
            return False
        if suspect:
            self._suspects.append(run.job)
        else:
            self._put_back(run)
        return True
