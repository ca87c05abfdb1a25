"""Names of a package that are loaded when they are asked for (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def loader(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """What to give a module as its ``__getattr__``.

    Args:
        module: Name of the module.
        homes: Each of its names, and the module that has it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return load
