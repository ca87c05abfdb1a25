"""Something to do when a module of other software has been imported, and not a moment earlier."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]


def after_import(name: str, action: Action) -> None:
    """Call a function with a module: now when it is imported already, else as soon as it is.

    The module itself is not imported for it, and need not exist.

    Args:
        name: Full name of the module.
        action: What to do with it.
    """
    module = sys.modules.get(name)
    if module is not None:
        action(module)
        return
    watchers = [finder for finder in sys.meta_path if isinstance(finder, _Watcher)]
    watcher = watchers[0] if watchers else _Watcher()
    if not watchers:
        sys.meta_path.insert(0, watcher)
    watcher.actions.setdefault(name, []).append(action)


class _Watcher(MetaPathFinder):
    """Stands first, and lets the others find the modules."""

    def __init__(self) -> None:
        self.actions: dict[str, list[Action]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the others find, with a loader that does afterwards what is to be done."""
        if name not in self.actions:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Afterwards(spec.loader, self.actions[name])
                return spec
        return None


class _Afterwards(Loader):
    """A loader that does more; all else is that of the loader that it replaces."""

    def __init__(self, loader: Any, actions: list[Action]) -> None:
        self._loader = loader
        self._actions = actions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; then the actions, with the module that is in `sys.modules` afterwards."""
        self._loader.exec_module(module)
        for action in self._actions:
            action(sys.modules.get(module.__name__, module))
