"""Names of a package that are imported at first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def loader(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Create the ``__getattr__`` of a module.

    Args:
        module: Name of the module.
        homes: Each lazy name, and the module that defines it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return load
