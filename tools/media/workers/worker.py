"""The worker's side of the pool: what runs in the child process around the function of a job.

Every new worker imports this module first, so it imports nothing slow.
"""

from __future__ import annotations

import ctypes
import errno
import functools
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
from typing import Any, NamedTuple

from tools.base.disk import ALWAYS, cannot_write, disk_error
from tools.errors import DiskError, MediaError, UserError
from tools.media.workers.shared_memory import PackedResult, pack_result

IMPORTS = 512 << 20
"""Bytes that suffice for the imports of a job."""
RETIRED = 75
"""Exit code of a worker that returned a job because earlier ones left it with too much memory in use."""

_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_NO_ROOM_FOR_CODE = ("failed to map segment", "annot allocate memory")  # the dynamic loader's words
_TOO_MUCH = "needed more memory than one worker may use"
_MAY_BE_MEMORY = ("decode", "unreadable", "no_video", "no_audio", "encode", "internal")
_OPEN_FILES = 64  # more than a worker ever has open
_NEARLY = 64 << 20  # bytes below the limit; the allocation that failed


class Task(NamedTuple):
    """One job as it is sent to a worker.

    Function and argument are pickled: unpickling them imports the caller's modules, and an error there is
    then one of the job, under its time limit.
    """

    number: int
    function: bytes
    path: str
    argument: bytes
    folder: str
    memory_bytes: int | None


def start(parent: int, temporary: str | None = None) -> None:
    """Set up a new worker: one thread, end with the parent and on SIGTERM, leave Ctrl-C to the parent.

    Args:
        parent: Process id of the parent.
        temporary: Folder for temporary files, removed by the parent.
    """
    if temporary is not None:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by numpy and cv2 when they are imported
    _use_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Pebble's handler waits for Python, and hides the cause
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl
            os._exit(1)


def _use_one_thread() -> None:
    # A worker may have imported the main script, and these with it.
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def run(task: Task) -> PackedResult | MediaError | UserError:
    """Run one job.

    Returns:
        The function's result, packed; a `MediaError` instead of it; or a `UserError` that ends the run.
    """
    try:
        started_marker(task.folder, task.number).write_text(str(os.getpid()))
    except OSError as error:
        return cannot_write(task.folder, error)
    if task.memory_bytes is not None and _uses_much(task.memory_bytes):
        time.sleep(0.2)  # so that Pebble notices that the job was taken before it notices the exit
        os._exit(RETIRED)
    try:
        function = _load(task.function)
    except Exception as error:
        return UserError(
            f"worker processes cannot load the function ({type(error).__name__}: {error}); "
            "it must be defined in a module that can be imported, not in a notebook"
        )
    if task.memory_bytes is not None:
        _limit_memory(task.memory_bytes)
    result = call_guarded(lambda: pack_result(function(pickle.loads(task.argument)), task.folder), task.path)
    if isinstance(result, MediaError) and result.kind in _MAY_BE_MEMORY and _was_short(task.memory_bytes):
        result = MediaError("memory", result.path, f"{_TOO_MUCH} ({result.kind}: {result.message})")
    _after_first_job()
    with suppress(OSError):  # a full disk is reported where results are written
        finished_marker(task.folder, task.number).touch()
    return result


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


def started_marker(folder: str, number: int) -> Path:
    """File that says that a job was started; it contains the id of the process."""
    return Path(folder) / f"job-{number}"


def finished_marker(folder: str, number: int) -> Path:
    """File that says that a job was finished: it is not the cause if its worker dies later."""
    return Path(folder) / f"job-{number}-done"


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
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
        return int(pages) * resource.getpagesize()
    except OSError:
        return 0
