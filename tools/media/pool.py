"""Worker processes that may hang, crash or eat memory: whatever a file does to one, the run goes on.

The processes come from Pebble, which kills a worker whose task runs out of time and replaces one that died.
This module adds the memory limit, results through shared memory, and one error for each thing that can go
wrong. Workers are spawned, not forked: forking a process in which torch has run can hang the child.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tools.errors import MediaError, UserError
from tools.media.handover import Handover, pack

Job = tuple[Hashable, str, Any]
"""Key of the job, path of the file it is about (for error messages), argument of the function."""

_IN_FLIGHT_PER_WORKER = 3  # one in work, one ready to start, one whose result is on its way back
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
        memory_bytes: Memory that one worker may use beyond what it starts with; None for no limit.
    """

    def __init__(
        self, num_workers: int, *, timeout: float | None = None, memory_bytes: int | None = None
    ) -> None:
        self.num_workers = min(num_workers, usable_cores())
        self.timeout = timeout
        self.memory_bytes = memory_bytes
        self._pool: Any = None
        self._handover: Handover | None = None

    def __enter__(self) -> WorkerPool:
        if self.num_workers > 0:
            from pebble import ProcessPool

            self._handover = Handover()
            self._pool = ProcessPool(
                max_workers=self.num_workers,
                initializer=_start_worker,
                initargs=(os.getpid(), self.memory_bytes),
                context=multiprocessing.get_context("spawn"),
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._pool is not None:
            self._pool.stop() if kind else self._pool.close()
            self._pool.join()
        if self._handover is not None:
            self._handover.close()

    def imap_unordered(
        self, function: Callable[[Any], Any], jobs: Iterable[Job]
    ) -> Iterator[tuple[Hashable, Any]]:
        """Run ``function(argument)`` for each job; yield results as they come.

        Jobs are taken only as workers get free, so neither jobs nor results pile up in memory.

        Args:
            function: Importable by name, as everything that goes to another process.
            jobs: Key, path and argument of each.

        Yields:
            Key and result. The result is a `MediaError` where the function raised one, ran out of time
            (timeout) or memory, died (crash), or failed otherwise (internal).

        Raises:
            UserError: Workers cannot start.
        """
        if self._pool is None:
            for key, path, argument in jobs:
                yield key, _guarded(function, path, argument)
            return
        yield from self._through_workers(function, iter(jobs))

    def _through_workers(
        self, function: Callable[[Any], Any], jobs: Iterator[Job]
    ) -> Iterator[tuple[Hashable, Any]]:
        room = self.num_workers * _IN_FLIGHT_PER_WORKER
        running: dict[Any, tuple[Hashable, str]] = {}
        done: deque[Any] = deque()
        ready = threading.Semaphore(0)

        def finished(future: Any) -> None:
            done.append(future)
            ready.release()

        while True:
            while len(running) < room and (job := next(jobs, None)) is not None:
                key, path, argument = job
                future = self._pool.schedule(
                    _work, args=(function, path, argument, self._handover.folder), timeout=self.timeout
                )
                running[future] = (key, path)
                future.add_done_callback(finished)
            if not running:
                return
            while not ready.acquire(timeout=0.5):  # in steps, so that Ctrl-C is seen at once
                pass
            future = done.popleft()
            key, path = running.pop(future)
            yield key, self._result(future, path)

    def _result(self, future: Any, path: str) -> Any:
        from pebble import ProcessExpired

        try:
            return self._handover.unpack(future.result())
        except FutureTimeoutError:
            return MediaError("timeout", path, f"took longer than {self.timeout:g} s")
        except ProcessExpired as error:
            return MediaError("crash", path, f"the worker process died ({_cause(error.exitcode)})")
        except BrokenProcessPool:
            raise UserError(
                "worker processes cannot start: a script that starts them must do so under "
                "`if __name__ == '__main__':`; or use num_workers=0"
            ) from None


def _work(function: Callable[[Any], Any], path: str, argument: Any, folder: str) -> Any:
    return pack(_guarded(function, path, argument), folder)


def _guarded(function: Callable[[Any], Any], path: str, argument: Any) -> Any:
    """The function's result, or the error that stands for it."""
    try:
        return function(argument)
    except MediaError as error:
        return error
    except MemoryError:
        return MediaError("memory", path, "needed more memory than one worker may use")
    except Exception as error:  # told to the user by file, kind and message
        if os.environ.get("TOOLS_DEBUG") == "1":
            traceback.print_exc()
        return MediaError("internal", path, f"{type(error).__name__}: {error}")


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        try:
            return signal.Signals(-exitcode).name
        except ValueError:
            return f"signal {-exitcode}"
    return f"exit code {exitcode}"


def _start_worker(parent: int, memory_bytes: int | None) -> None:
    """First thing in a new worker: die with the parent, leave Ctrl-C to it, mind the memory limit."""
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by numpy and cv2 when they are imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)
    if memory_bytes is not None:
        limit = _address_space() + memory_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(
            resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
        )


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
        return int(pages) * resource.getpagesize()
    except OSError:
        return 0
