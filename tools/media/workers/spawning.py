"""Spawn worker processes without running the user's script again.

Multiprocessing imports the main module in every spawned process. A script that starts work at its top level,
as examples do, would start it again in each worker. Only functions defined in the script itself need that.

Every new worker imports this module first, so it imports nothing slow.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.context import SpawnProcess
from typing import Any

_hiding = threading.Lock()


def new_process(target: Callable[..., None], args: tuple[Any, ...], *, imports_script: bool) -> SpawnProcess:
    """A process that is not started yet, and that ends with this one.

    Args:
        target: Importable by name.
        args: Its arguments.
        imports_script: Whether the process imports the main script, in which `target` is to find functions.
    """
    return (SpawnProcess if imports_script else _ScriptlessProcess)(target=target, args=args, daemon=True)


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
