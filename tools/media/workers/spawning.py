"""New processes that do not run the user's script again: how the worker pool starts its workers.

A spawned process imports the main module, as multiprocessing has it. A script that starts work at its top
level, as examples do, would start it again in each worker. Only what is defined in the script itself needs
that.

Imported by every new worker before anything else, so it imports nothing that takes time.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_hiding = threading.Lock()


class WorkerContext(SpawnContext):
    """A multiprocessing context whose processes import the script only where they are told to.

    Attributes:
        imports_script: Whether the next processes do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.imports_script = False
        self._made: list[Any] = []  # SpawnProcess; its annotations leave out _popen
        self._ended: list[tuple[int, int]] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:
        """Make a process, as `multiprocessing.Process`."""
        made = (SpawnProcess if self.imports_script else _ScriptlessProcess)(*args, **options)
        self._made.append(made)
        return made

    def ended(self) -> list[tuple[int, int]]:
        """Number and exit code of each process whose end was noticed by the one who waits for it."""
        for process in list(self._made):
            # Asking the process itself would take the news away from a thread that asks at the same time.
            if (known := process._popen) is not None and known.returncode is not None:
                self._made.remove(process)  # it holds open files
                self._ended.append((known.pid, known.returncode))
        return self._ended

    def exit_code(self, pid: int | None) -> int | None:
        """How a process ended; None when that is not known."""
        return next((code for number, code in reversed(self.ended()) if number == pid), None)


class _ScriptlessProcess(SpawnProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:
        with _script_hidden():
            return SpawnProcess._Popen(process)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Take away for a moment what multiprocessing finds the main module by."""
    with _hiding:
        main = sys.modules["__main__"]
        hidden = {name: main.__dict__[name] for name in ("__file__", "__spec__") if name in main.__dict__}
        main.__dict__.pop("__file__", None)
        main.__spec__ = None
        try:
            yield
        finally:
            main.__dict__.update(hidden)


def end_if_starting() -> None:
    """End this process, without a word, if it is a worker that imports the script for its definitions.

    The script has no guard, then, and would begin all its work anew. The process that started the workers
    says so in one line.
    """
    if getattr(current_process(), "_inheriting", False):
        os._exit(1)
