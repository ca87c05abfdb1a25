"""Spawn worker processes without running the user's script again.

Multiprocessing imports the main module in every spawned process. A script that starts work at its top level,
as examples do, would start it again in each worker. Only functions defined in the script itself need that.

Every new worker imports this module first, so it imports nothing slow.
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
    """A multiprocessing context whose processes import the main script only on request.

    Attributes:
        imports_script: Whether processes started from now on do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.imports_script = False
        self._started: list[SpawnProcess] = []
        self._ended: list[tuple[int, int]] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:
        """Create a process, as `multiprocessing.Process`."""
        process = (SpawnProcess if self.imports_script else _ScriptlessProcess)(*args, **options)
        self._started.append(process)
        return process

    def ended(self) -> list[tuple[int, int]]:
        """Process id and exit code of each process whose end was noticed by the thread that waits for it."""
        for process in list(self._started):
            # Process.exitcode would wait for the process itself, and take the exit code from that thread.
            popen = getattr(process, "_popen", None)
            if popen is not None and popen.returncode is not None:
                self._started.remove(process)  # it holds open files
                self._ended.append((popen.pid, popen.returncode))
        return self._ended

    def exit_code(self, pid: int | None) -> int | None:
        """Exit code of a process that ended; None if unknown."""
        return next((code for number, code in reversed(self.ended()) if number == pid), None)


class _ScriptlessProcess(SpawnProcess):
    @staticmethod
    def _Popen(process: Any) -> Any:
        with _script_hidden():
            return SpawnProcess._Popen(process)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Hide the attributes by which multiprocessing finds the main module."""
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
    """Exit silently if this process is a worker that is importing the main script.

    Such a script has no ``if __name__ == "__main__":`` and would start all its work again. The process that
    started the workers reports that in one line.
    """
    if getattr(current_process(), "_inheriting", False):
        os._exit(1)
