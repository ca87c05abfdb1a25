"""A worker process as its parent sees it: how it is started, what it was given, and what came back."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any

from tools.media.workers import worker
from tools.media.workers.shared_memory import PackedResult, SharedMemory
from tools.media.workers.spawning import new_process

_SEND_SECONDS = 60  # that a worker may let its parent wait before it takes a batch
_END_SECONDS = 5.0  # that a process may take to end after it was killed

Result = tuple[int, float, PackedResult]
"""Number of a job, seconds that it took, and its result."""


class WorkerProcess:
    """A worker process: `spawned`, or `forked`.

    Attributes:
        jobs: What it was given and has not given back, by number, in its order.
        is_ready: Whether it has started and takes jobs.
        has_worked: Whether it has done a job: the first takes longer, because modules are imported.
        is_slow: Whether its present job has been running for long.
        since: When it was started, by `time.monotonic`.
    """

    def __init__(self, start: Callable[[Connection, SharedMemory, Connection], Any]) -> None:
        self.jobs: dict[int, Any] = {}
        self.is_ready = self.has_worked = self.is_slow = False
        self.since = time.monotonic()
        self._memory = SharedMemory()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self._memory.close()
            raise
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self.connection = Connection(ours.detach())
        try:
            with Connection(theirs.detach()) as other_end:
                self._process = start(other_end, self._memory, self.connection)
        except BaseException:
            self.connection.close()
            self._memory.close()
            raise

    @classmethod
    def spawned(cls, starter: ThreadPoolExecutor, *, imports_script: bool) -> WorkerProcess:
        """Start a worker as a new Python process.

        Args:
            starter: A thread that lives as long as the worker is to live: Linux kills the worker with it.
            imports_script: Whether it imports the main script.

        Raises:
            OSError: It cannot be started.
        """

        def start(other_end: Connection, memory: SharedMemory, _: Connection) -> Any:
            process = new_process(
                worker.main, (other_end, memory, os.getpid()), imports_script=imports_script
            )
            starter.submit(_spawn, process).result()
            return process

        return cls(start)

    @classmethod
    def forked(cls, begin: Callable[[], object]) -> WorkerProcess:
        """Start a worker as a copy of this process, which has one thread; see `tools.media.workers.ahead`.

        Args:
            begin: Called first in the copy.

        Raises:
            OSError: It cannot be started.
        """

        def start(other_end: Connection, memory: SharedMemory, own_end: Connection) -> Any:
            def run(parent: int) -> None:
                own_end.close()
                begin()
                worker.forget_handlers()
                worker.main(other_end, memory, parent)

            process = ForkProcess(target=run, args=(os.getpid(),), daemon=True)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, worker.ENDING_SIGNALS)
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return process

        return cls(start)

    def send(self, batch: worker.Batch) -> bool:
        """Send jobs; return whether the worker takes them, and False if it is dead."""
        try:
            self.connection.send_bytes(pickle.dumps(batch))
        except OSError:
            return False
        return True

    def receive(self) -> Iterator[Result]:
        """Results that came with one message; the first message says that the worker is ready.

        Raises:
            EOFError: The worker has ended.
            OSError: Likewise.
            ValueError: See `SharedMemory.take`.
        """
        message = self.connection.recv_bytes()
        self.is_ready = True
        if message:
            number, seconds, pickled = pickle.loads(message)
            yield number, seconds, PackedResult(pickled, [])
        yield from self._memory.take()

    def take(self) -> Iterator[Result]:
        """Results of which no message has come yet.

        Raises:
            ValueError: See `SharedMemory.take`.
        """
        return self._memory.take()

    def current(self) -> tuple[int | None, float]:
        """Number of the present job, None if there is none, and since when it has been running."""
        return self._memory.current()

    def revoke_waiting(self) -> list[int]:
        """Take back the jobs after the present one.

        Returns:
            Numbers of jobs that the worker will not begin, if their results have not come by now.
        """
        present, _ = self.current()
        waiting = [number for number in self.jobs if present is None or number > present]
        if waiting:
            self._memory.revoke(waiting[0], waiting[-1])
            time.sleep(0.001)  # one that the worker began before it could see this can be seen here
            present, _ = self.current()
        return [number for number in waiting if present is None or number > present]

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.exitcode is not None

    def kill(self) -> None:
        """Kill the process, without waiting for its end."""
        self._process.kill()

    def end(self) -> tuple[list[Result], int | None, int | None]:
        """Wait for the end of a process that has ended or was killed.

        Returns:
            Results that it left, its exit code if known, and the number of the job in which it died, if any.
        """
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(_END_SECONDS)
        results: list[Result] = []
        with suppress(EOFError, OSError, ValueError):
            results += self._memory.take()
            while self.connection.poll():
                results += self.receive()
        number, _ = self.current()
        code = self._process.exitcode
        self.let_go()
        return results, code, number

    def let_go(self) -> None:
        """Close what this process shares with the worker."""
        self.connection.close()
        self._memory.close()


def _spawn(process: Any) -> None:
    """Start a process in which Ctrl-C is blocked until it ignores it: the parent deals with that."""
    # The tracker of semaphores must not end with a closed terminal: multiprocessing would print tracebacks.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before | worker.BLOCKED_SIGNALS)
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
