"""The worker's side of the pool: what runs in the child process, batch after batch and job after job.

Every new worker imports this module first, so it imports nothing slow.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.base.disk import ALWAYS, disk_error
from tools.errors import DiskError, MediaError, UserError
from tools.media.workers.shared_memory import PackedResult, SharedMemory, pack, unpack

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

IMPORTS = 512 << 20
"""Bytes that suffice for the imports of a job."""
RETIRED = 75
"""Exit code of a worker that takes no further job because earlier ones left it with too much memory."""
BLOCKED_SIGNALS = frozenset((signal.SIGINT,))
"""Signals that are blocked while a worker starts; afterwards it ignores them."""
ENDING_SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
"""Signals that are blocked while a worker is forked, until it has none of its parent's handlers."""

_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_NO_ROOM_FOR_CODE = ("failed to map segment", "annot allocate memory")  # the dynamic loader's words
_TOO_MUCH = "needed more memory than one worker may use"
_MAY_BE_MEMORY = ("decode", "unreadable", "no_video", "no_audio", "encode", "internal")
_OPEN_FILES = 64  # more than a worker ever has open
_PAGE = resource.getpagesize()
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = 500  # of 1000: as if it used half of the memory more
_NEARLY = 64 << 20  # bytes below the limit; the allocation that failed

REVOKED = b""
"""Instead of the pickled result of a job that was revoked before it began."""

_MESSAGE_SECONDS = 0.002  # at most one message in this time while jobs are short


class SentJob(NamedTuple):
    """A job as it is sent to a worker.

    The argument is pickled, as the function of the batch is: unpickling them imports the caller's modules,
    and an error there is then one of the job, under its time limit.
    """

    number: int
    path: str
    argument: bytes


class Batch(NamedTuple):
    """Jobs that are sent to a worker at once; it does them one by one."""

    function: bytes
    memory_bytes: int | None
    temporary: str | None
    jobs: list[SentJob]


def main(connection: Connection, memory: SharedMemory, parent: int) -> None:
    """A worker process, from its start to its end.

    It sends one message when it is ready, and further ones when there are results in the shared memory. Such
    messages are empty; one that is not is a result for which there was no shared memory.

    Args:
        connection: To the parent: batches come in, messages go out.
        memory: Where results go.
        parent: Process id of the parent.
    """
    start(parent)
    with suppress(EOFError, OSError):  # the parent is gone
        worker = _Worker(connection, memory)
        connection.send_bytes(b"")
        while True:
            worker.run(pickle.loads(connection.recv_bytes()))


class _Worker:
    def __init__(self, connection: Connection, memory: SharedMemory) -> None:
        self._connection = connection
        self._memory = memory
        self._last_message = 0.0

    def run(self, batch: Batch) -> None:
        """Run the jobs of a batch, and hand over each result as it comes."""
        if batch.temporary is not None:
            tempfile.tempdir = os.environ["TMPDIR"] = batch.temporary  # removed by the parent
        memory = self._memory
        for number, path, argument in batch.jobs:
            if batch.memory_bytes is not None and _uses_much(batch.memory_bytes):
                os._exit(RETIRED)
            begun = time.monotonic()
            if memory.begin(number):
                packed = run(batch.function, path, argument, batch.memory_bytes)
            else:
                packed = PackedResult(REVOKED, [])
            ended = time.monotonic()
            memory.end()
            if not memory.put(number, ended - begun, packed, self._send):
                self._connection.send_bytes(
                    pickle.dumps((number, ended - begun, _in_one_piece(packed, path)))
                )
            if ended - self._last_message >= _MESSAGE_SECONDS:
                self._send()
                self._last_message = ended
        self._send()

    def _send(self) -> None:
        self._connection.send_bytes(b"")


def _in_one_piece(packed: PackedResult, path: str) -> bytes:
    result = call_guarded(lambda: pickle.dumps(unpack(packed)), path)
    return result if isinstance(result, bytes) else pickle.dumps(result)


def forget_handlers() -> None:
    """In a forked worker: signals end it as they would end a new process."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) and number not in BLOCKED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS - BLOCKED_SIGNALS)


def start(parent: int) -> None:
    """Set up a new worker: one thread, end with the parent and on SIGTERM, leave Ctrl-C to the parent.

    Args:
        parent: Process id of the parent.
    """
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by numpy and cv2 when they are imported
    _use_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
    multiprocessing.current_process().daemon = False  # a job may start processes of its own
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl
            os._exit(1)
        _go_before_parent()


def _go_before_parent() -> None:
    """When memory runs out, let the system kill this worker, which costs one file, and not its parent."""
    with suppress(OSError, ValueError):
        if int(_OOM_SCORE.read_text()) < _FIRST_TO_GO:
            _OOM_SCORE.write_text(str(_FIRST_TO_GO))


def _use_one_thread() -> None:
    # A worker may have imported the main script, and these with it.
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def run(function: bytes, path: str, argument: bytes, memory_bytes: int | None = None) -> PackedResult:
    """Run one job.

    Args:
        function: The function, pickled.
        path: The file that is processed, for messages.
        argument: Its argument, pickled.
        memory_bytes: Address space that it may use beyond what the process has; None for no limit.

    Returns:
        The function's result, packed; a `MediaError` instead of it; or a `UserError` that ends the run.
    """
    try:
        loaded = _load(function)
    except Exception as error:
        return pack(
            UserError(
                f"worker processes cannot load the function ({type(error).__name__}: {error}); "
                "it must be defined in a module that can be imported, not in a notebook"
            )
        )
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    result = call_guarded(lambda: pack(loaded(pickle.loads(argument))), path)
    if isinstance(result, MediaError) and result.kind in _MAY_BE_MEMORY and _was_short(memory_bytes):
        result = MediaError("memory", result.path, f"{_TOO_MUCH} ({result.kind}: {result.message})")
    _after_first_job()
    return result if isinstance(result, PackedResult) else pack(result)


def call_guarded(call: Callable[[], Any], path: str) -> Any:
    """Call a function, and return its result or the error to report instead.

    Args:
        call: The function.
        path: The file that is processed, for messages.

    Returns:
        The result; a `MediaError` (as raised, memory, or internal); or a `UserError` (as raised, or a
        `DiskError` for a fault of the disk).
    """
    try:
        return call()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except (MediaError, UserError) as error:
        return error
    except BaseException as error:  # SystemExit and Rust panics too: reported as file, kind and message
        if os.environ.get("TOOLS_DEBUG") == "1":
            traceback.print_exc()
        if (fault := disk_error(getattr(error, "filename", None) or path, error, ALWAYS)) is not None:
            return fault
        if _is_memory(error):
            return MediaError("memory", path, _TOO_MUCH)
        return MediaError("internal", path, f"{type(error).__name__}: {error}")


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if isinstance(error, ImportError) and any(sign in str(error) for sign in _NO_ROOM_FOR_CODE):
        return True
    return type(error).__module__ == "cv2" and getattr(error, "code", None) == _CV_NO_MEMORY


def _was_short(memory_bytes: int | None) -> bool:
    """Whether a failure may be due to lack of memory although its message does not say so.

    Only with limits so low that the imports of a job may not fit.
    """
    if memory_bytes is None or memory_bytes >= IMPORTS:
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and _peak() > limit - _NEARLY


def check_open_files() -> None:
    """Make sure that a process may open enough files for workers to start.

    Raises:
        DiskError: The limit is too low.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < _OPEN_FILES:
        raise DiskError(
            f"worker processes cannot start: a process may open only {limit} files; raise the limit "
            "(ulimit -n), and run the same command again"
        )


@functools.lru_cache(maxsize=2)
def _load(function: bytes) -> Callable[[Any], Any]:
    return pickle.loads(function)


def _limit_memory(memory_bytes: int) -> None:
    """Limit the address space of the process to its present size plus `memory_bytes`."""
    # Set again for each job: memory that an earlier file left in use must not fail a later one.
    limit = _address_space() + memory_bytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _uses_much(memory_bytes: int) -> bool:
    first = _after_first_job.cache_info().currsize == 0
    return not first and _address_space() > _after_first_job() + memory_bytes // 2


@functools.cache
def _after_first_job() -> int:
    """Address space after the first job, which includes all imports."""
    return _address_space()


def _peak() -> int:
    """Peak address space in bytes; 0 if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak:")), 0)


def _address_space() -> int:
    """Address space in use, in bytes; 0 if the system does not report it."""
    file = _memory_report()
    return 0 if file is None else int(os.pread(file, 32, 0).split()[0]) * _PAGE


@functools.cache
def _memory_report() -> int | None:
    """An open file that has the memory of this process in pages; None if the system has none."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None
