"""The worker's side of the pool: what runs in the child process around the function that does the work.

Imported by every new worker before anything else, so it imports nothing that takes time.
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
from tools.media.workers.shared_memory import Packed, pack

IMPORTS = 512 << 20
"""Bytes that what a job imports fits into."""
RETIRED = 75
"""Exit code of a worker that gave a job back because it still holds much memory of earlier ones."""

_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_NO_ROOM_FOR_CODE = ("failed to map segment", "annot allocate memory")  # the dynamic loader's words
_TOO_MUCH = "needed more memory than one worker may use"
_MAY_BE_MEMORY = ("decode", "unreadable", "no_video", "no_audio", "encode", "internal")
_OPEN_FILES = 64  # more than a worker has ever open
_NEARLY = 64 << 20  # bytes below the limit; the piece that did not fit any more


class Task(NamedTuple):
    """One job on its way to a worker.

    Function and argument travel pickled: unpickling them imports the caller's modules, and what goes wrong
    there is then an error of the job like any other, under its time limit.
    """

    number: int
    function: bytes
    path: str
    argument: bytes
    folder: str
    memory_bytes: int | None


def start(parent: int, temporary: str | None = None) -> None:
    """First thing in a new worker: one thread, end with the parent and when told to, leave Ctrl-C to it.

    Args:
        parent: Process id of the parent.
        temporary: Folder for temporary files, which the parent removes.
    """
    if temporary is not None:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by numpy and cv2 when they are imported
    _one_thread_in_what_is_there()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Pebble's handler waits for Python, and hides the cause
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)


def _one_thread_in_what_is_there() -> None:
    # A new worker imports the main script again, and with it whatever stands at the script's top.
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def run(task: Task) -> Packed | MediaError | UserError:
    """Do one job.

    Returns:
        The function's result, packed; a `MediaError` that stands for it; or a `UserError` that ends the run.
    """
    try:
        marker(task.folder, task.number).write_text(str(os.getpid()))
    except OSError as error:
        return cannot_write(task.folder, error)
    if task.memory_bytes is not None and _holds_much(task.memory_bytes):
        time.sleep(0.2)  # for Pebble to notice that the job was taken, before it notices the exit
        os._exit(RETIRED)
    try:
        function = _load(task.function)
    except Exception as error:
        return UserError(
            f"worker processes cannot load the function ({type(error).__name__}: {error}); "
            "it must stand in a module that can be imported, not in a notebook"
        )
    if task.memory_bytes is not None:
        _limit_memory(task.memory_bytes)
    result = guarded(lambda: pack(function(pickle.loads(task.argument)), task.folder), task.path)
    if isinstance(result, MediaError) and result.kind in _MAY_BE_MEMORY and _was_short(task.memory_bytes):
        result = MediaError("memory", result.path, f"{_TOO_MUCH} ({result.kind}: {result.message})")
    _after_first_job()
    with suppress(OSError):  # a full disk is told by who writes results there
        done_marker(task.folder, task.number).touch()
    return result


def guarded(call: Callable[[], Any], path: str) -> Any:
    """The result of a call, or the error that stands for it.

    Args:
        call: What to do.
        path: The file that it is about.

    Returns:
        The result; a `MediaError` (as raised, memory, or internal); or the `UserError` that was raised, or
        that stands for a fault of the disk.
    """
    try:
        return call()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except (MediaError, UserError) as error:
        return error
    except BaseException as error:  # SystemExit and Rust panics too: told by file, kind and message
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
    """Whether a failure may be one of memory, whatever it says: a library that found none need not say so.

    Only of limits so small that what jobs import may not fit.
    """
    if memory_bytes is None or memory_bytes >= IMPORTS:
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and _peak() > limit - _NEARLY


def check_open_files() -> None:
    """Say so if workers do not start because of the number of files that a process may open.

    Raises:
        DiskError: It is too small.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < _OPEN_FILES:
        raise DiskError(
            f"worker processes cannot start: a process may open no more than {limit} files here; raise that "
            "(ulimit -n), and run the same command again"
        )


def marker(folder: str, number: int) -> Path:
    """File that says which process has a job: it holds the process id."""
    return Path(folder) / f"job-{number}"


def done_marker(folder: str, number: int) -> Path:
    """File that says that a job was finished: whatever kills its worker now, it was not this job."""
    return Path(folder) / f"job-{number}-done"


@functools.lru_cache(maxsize=2)
def _load(function: bytes) -> Callable[[Any], Any]:
    return pickle.loads(function)


def _limit_memory(memory_bytes: int) -> None:
    """Let this job take so much more than the process has now."""
    # Counted anew for each job: what an earlier file left behind must not fail a later one.
    limit = _address_space() + memory_bytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _holds_much(memory_bytes: int) -> bool:
    first = _after_first_job.cache_info().currsize == 0
    return not first and _address_space() > _after_first_job() + memory_bytes // 2


@functools.cache
def _after_first_job() -> int:
    """Address space after the first job, which has imported all that jobs need."""
    return _address_space()


def _peak() -> int:
    """Most bytes of address space that were in use; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak:")), 0)


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
        return int(pages) * resource.getpagesize()
    except OSError:
        return 0
