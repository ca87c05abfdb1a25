"""Modules by the names of earlier versions: scripts that import those keep working for a while."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "tools.media.audio": "tools.media.reading.sound.audio",
    "tools.media.frames": "tools.media.reading.frames",
    "tools.media.hdr": "tools.media.reading.colour.hdr",
    "tools.media.packets": "tools.media.reading.timeline.packets",
    "tools.media.pool": "tools.media.workers.pool",
    "tools.media.probe": "tools.media.reading.probe",
    "tools.media.requests": "tools.media.reading.requests",
    "tools.media.sampling": "tools.media.reading.sampling",
    "tools.media.sources": "tools.media.fetching.sources",
    "tools.media.tracks": "tools.media.reading.tracks",
    "tools.operators.aliases": "tools.integrations.aliases",
    "tools.scene_cut.clips.hdr": "tools.media.writing.hdr",
    "tools.scene_cut.clips.sound": "tools.media.writing.sound",
    "tools.stage.daft.engine": "tools.integrations.daft.engine",
    "tools.stage.engine": "tools.stage.session",
}
"""Old name of each module that documents have shown, and its name today."""

_PACKAGES = {name.rpartition(".")[0] for name in MOVED}  # those that are gone are found here, empty

REMOVED_IN = "0.3"
"""The version that no longer knows the old names."""


def install() -> None:
    """Make the old names importable. They are looked for last, so that nothing else is slower."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    """Finds modules by their old names, and gives the very modules of today."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, when it is one that has moved."""
        if name in _PACKAGES:
            return ModuleSpec(name, self, is_package=True)
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of one that has moved."""
        name = module.__name__
        if name in _PACKAGES:
            return
        new = MOVED[name]
        warnings.warn(
            f"{name} is now {new}; the old name goes in version {REMOVED_IN}",
            DeprecationWarning,
            stacklevel=2,
        )
        sys.modules[name] = importlib.import_module(new)
