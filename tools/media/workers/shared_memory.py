"""Memory that a worker process shares with its parent: what the worker is at, and a ring of its results.

Results are pickled with their arrays apart (protocol 5), and written one after the other into a ring buffer
that is used again and again; the parent copies them out. The memory has no name: when both processes have
ended, in whatever way, it is gone. It is allocated before it is used, so that lack of memory is an error that
can be handled (the result then goes through the pipe), not a signal that kills the worker.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import reduction
from typing import Any, NamedTuple

_CONTROL = mmap.ALLOCATIONGRANULARITY  # bytes of numbers before the ring
_HEAD, _TAIL, _SIZE, _JOB, _SINCE, _FIRST_REVOKED, _LAST_REVOKED = range(7)  # the numbers, 8 bytes each
_RECORD = struct.Struct("=qdqq")  # number of the job, seconds, bytes of the pickle, how many buffers
_SKIP = -1  # instead of the number of a job: the rest of the ring is not used this time
_ALIGNED = 64  # bytes; more than a record's header
_SMALLEST = 256 << 10
_SPARE = 16 << 20  # most bytes beyond one result that the ring has when results are large
_LONGEST_NAP = 0.005  # seconds


class PackedResult(NamedTuple):
    """A pickled result, and its large buffers apart from it."""

    pickled: bytes
    buffers: list[Any]


def pack(result: Any) -> PackedResult:
    """Pickle a result; its arrays are not copied."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    return PackedResult(pickled, [buffer.raw() for buffer in buffers])


def unpack(packed: PackedResult) -> Any:
    """The result; its arrays use the packed buffers."""
    return pickle.loads(packed.pickled, buffers=packed.buffers)


class SharedMemory:
    """One worker's memory. The parent creates it, and sends it to the worker as it starts.

    The worker writes with `begin`, `end` and `put`, the parent reads with `current` and `take`.

    Raises:
        OSError: There is no memory, or too many files are open.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = _anonymous_file() if file is None else file
        if file is None:
            _allocate(self._file, 0, _CONTROL)
        self._numbers = memoryview(mmap.mmap(self._file, _CONTROL)).cast("q")
        self._times = self._numbers.cast("b").cast("d")
        self._ring = memoryview(b"")
        self._head = self._tail = 0

    def __reduce__(self) -> tuple[Callable[[Any], SharedMemory], tuple[Any]]:
        return _received, (reduction.DupFd(self._file),)

    def close(self) -> None:
        """Let go of the memory."""
        os.close(self._file)
        self._ring.release()
        self._times.release()
        self._numbers.release()

    def begin(self, number: int) -> bool:
        """In the worker: a job begins, unless it was revoked.

        Returns:
            Whether it may begin.
        """
        self._times[_SINCE] = time.monotonic()
        self._numbers[_JOB] = number + 1
        return not self._numbers[_FIRST_REVOKED] <= number + 1 <= self._numbers[_LAST_REVOKED]

    def end(self) -> None:
        """In the worker: the job has ended."""
        self._numbers[_JOB] = 0

    def current(self) -> tuple[int | None, float]:
        """In the parent: the number of the worker's present job, and since when, by `time.monotonic`."""
        while True:
            number, since = self._numbers[_JOB], self._times[_SINCE]
            if number == self._numbers[_JOB]:
                return (number - 1 if number else None), since

    def revoke(self, first: int, last: int) -> None:
        """In the parent: the worker is not to begin the jobs from first to last."""
        self._numbers[_FIRST_REVOKED] = self._numbers[_LAST_REVOKED] = 0
        self._numbers[_LAST_REVOKED] = last + 1
        self._numbers[_FIRST_REVOKED] = first + 1

    def put(self, number: int, seconds: float, packed: PackedResult, on_wait: Callable[[], None]) -> bool:
        """In the worker: write a result into the ring; wait while the parent has not made room.

        Args:
            number: Number of the job.
            seconds: How long it took.
            packed: The result.
            on_wait: Called before waiting.

        Returns:
            Whether it was written; False if there is no memory.
        """
        sizes = [buffer.nbytes for buffer in packed.buffers]
        header = _RECORD.pack(number, seconds, len(packed.pickled), len(sizes))
        header += struct.pack(f"={len(sizes)}q", *sizes)
        length = _aligned(len(header) + len(packed.pickled) + sum(sizes))
        if 2 * length > len(self._ring) and not self._grow(length, on_wait):
            return False
        start = self._head % len(self._ring)
        if start + length > len(self._ring):  # a record is never in two pieces
            skipped = len(self._ring) - start
            self._wait(lambda: self._free() >= skipped + length, on_wait)
            _RECORD.pack_into(self._ring, start, _SKIP, 0, 0, 0)
            self._head += skipped
            start = 0
        else:
            self._wait(lambda: self._free() >= length, on_wait)
        end = start
        for part in (header, packed.pickled, *packed.buffers):
            begin, end = end, end + len(part)
            self._ring[begin:end] = part
        self._head += length
        self._numbers[_HEAD] = self._head
        return True

    def take(self) -> Iterator[tuple[int, float, PackedResult]]:
        """In the parent: number, seconds and result of each job in the ring.

        Raises:
            ValueError: Something has written across the ring.
        """
        while self._tail < self._numbers[_HEAD]:
            size = self._numbers[_SIZE]
            if size != len(self._ring):
                self._map(size)
            start = self._tail % size
            number, seconds, pickled, count = _RECORD.unpack_from(self._ring, start)
            if number == _SKIP:
                self._tail += size - start
                continue
            if not 0 <= 8 * count <= size - start or pickled < 0:
                raise ValueError("the shared memory of a worker is damaged")
            begin = start + _RECORD.size
            sizes = struct.unpack_from(f"={count}q", self._ring, begin)
            begin += 8 * count
            if min(sizes, default=0) < 0 or begin + pickled + sum(sizes) > size:
                raise ValueError("the shared memory of a worker is damaged")
            parts = []
            for length in (pickled, *sizes):
                parts.append(bytearray(self._ring[begin : begin + length]))
                begin += length
            self._tail += _aligned(begin - start)
            self._numbers[_TAIL] = self._tail
            yield number, seconds, PackedResult(bytes(parts[0]), parts[1:])

    def _free(self) -> int:
        return len(self._ring) - (self._head - self._numbers[_TAIL])

    def _grow(self, length: int, on_wait: Callable[[], None]) -> bool:
        """Make the ring large enough for two results, and a few more if they are small."""
        self._wait(lambda: self._head == self._numbers[_TAIL], on_wait)  # what is in it would move
        size = 2 * length + max(_SMALLEST, min(2 * length, _SPARE))
        size += -size % mmap.PAGESIZE
        try:
            _allocate(self._file, _CONTROL, size)
            self._map(size)
        except (OSError, ValueError, MemoryError):
            return False
        self._numbers[_SIZE] = size
        return True

    def _map(self, size: int) -> None:
        ring = memoryview(mmap.mmap(self._file, size, offset=_CONTROL))
        self._ring.release()
        self._ring = ring

    def _wait(self, condition: Callable[[], bool], on_wait: Callable[[], None]) -> None:
        if condition():
            return
        on_wait()
        nap = 0.0002
        while not condition():
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)


def _received(handle: Any) -> SharedMemory:
    return SharedMemory(handle.detach())


def _anonymous_file() -> int:
    """A file without a name, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):  # some containers forbid it
            return os.memfd_create("vidsieve-results")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _allocate(file: int, start: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, size)
    else:
        os.ftruncate(file, start + size)


def _aligned(size: int) -> int:
    return size + -size % _ALIGNED
