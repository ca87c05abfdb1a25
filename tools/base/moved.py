"""Old names of modules, which remain importable until `REMOVED_IN`."""

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
"""Old name of each documented module that was moved, and its present name."""

_PACKAGES = {name.rpartition(".")[0] for name in MOVED}  # of these, removed ones are found here, empty

REMOVED_IN = "0.3"
"""The version that no longer knows the old names."""


def install() -> None:
    """Make the old names importable. This finder comes last, so other imports are not slowed down."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    """Finds modules by their old names; they are the same objects as under the new ones."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that was moved; None for others."""
        if name in _PACKAGES:
            return ModuleSpec(name, self, is_package=True)
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Replace a module that was moved by the present one."""
        name = module.__name__
        if name in _PACKAGES:
            return
        new = MOVED[name]
        warnings.warn(
            f"{name} is now {new}; the old name will be removed in version {REMOVED_IN}",
            DeprecationWarning,
            stacklevel=2,
        )
        sys.modules[name] = importlib.import_module(new)
