"""Workers that a command forks while it has one thread, so that they share what it has imported.

A spawned worker starts Python and imports NumPy and the stage anew: most of what a run of few rows takes. A
fork is safe as long as no other thread may hold a lock, so a command forks its first workers before it
imports Polars, which starts threads. Whether there is one thread alone is looked at after the fork: those of
OpenBLAS are ended by its own handler before it. If there are more, the worker is given up.

Workers that replace others, those of further pools and those of calls from Python, are spawned.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tools.media.workers.worker_process import WorkerProcess

_THREADED = ("polars", "torch", "pyarrow", "cv2", "daft", "ray", "transformers")
"""Packages that start threads, or may hold locks, once they are imported."""

_SETTERS = ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads")

_waiting: list[WorkerProcess] = []


def start_ahead(count: int, imports: str = "") -> None:
    """Fork workers for the next pool; none where that is not known to be safe.

    Args:
        count: How many.
        imports: A module that they import meanwhile; an error there is left to the jobs.
    """
    if sys.platform != "linux" or any(name in sys.modules for name in _THREADED):
        return
    set_threads = _openblas_setter() if "numpy" in sys.modules else None
    if "numpy" in sys.modules and set_threads is None:  # another BLAS, whose threads could not be limited
        return

    def begin() -> None:
        for other in _waiting:
            other.let_go()
        _waiting.clear()
        if set_threads is not None:
            set_threads(1)
        if imports:
            with suppress(Exception):
                importlib.import_module(imports)

    for _ in range(count):
        try:
            process = WorkerProcess.forked(begin)
        except OSError:  # too many processes, or open files: the pool will tell
            return
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  (pathlib takes longer)
            process.kill()
            process.end()
            return
        _waiting.append(process)


def take() -> WorkerProcess | None:
    """A worker that was started ahead and is alive; None if there is none left."""
    while _waiting:
        process = _waiting.pop()
        if not process.has_ended():
            return process
        process.end()
    return None


def drop() -> None:
    """End those that nobody took."""
    for process in _waiting:
        process.kill()
    for process in _waiting:
        process.end()
    _waiting.clear()


def _openblas_setter() -> Callable[[int], object] | None:
    """What sets the number of threads of the OpenBLAS that NumPy has loaded; None if it has another BLAS."""
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            path = line.partition("/")[2]
            if "openblas" in path:
                library = ctypes.CDLL(f"/{path}")
                return next((getattr(library, name) for name in _SETTERS if hasattr(library, name)), None)
    return None
