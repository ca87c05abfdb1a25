"""The modules from which documents of DataFlow and LAS import, for scripts that are to run as they stand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from tools.lazy import loader

_OPERATORS = "tools.operators"
_VISION = (
    "ClipScore",
    "EMScoreEval",
    "VideoAestheticEvaluator",
    "VideoFrameFilter",
)
ALIASES: dict[str, dict[str, str]] = {
    "dataflow.utils.storage": {"FileStorage": _OPERATORS},
    "dataflow.operators.core_vision": dict.fromkeys(_VISION, _OPERATORS),
    "dataflow.operators.core_audio": {"VideoAudioSimilarity": _OPERATORS},
    "daft.las.functions.udf": {"las_udf": "tools.operators.daft"},
    "daft.las.functions.video": {"VideoQualityScore": _OPERATORS},
}
"""Module as the documents name it: its names, and the module of ours that has them."""

_MODULES = {
    ".".join(parts[:depth])
    for parts in (name.split(".") for name in ALIASES)
    for depth in range(1, len(parts) + 1)
}


def install() -> None:
    """Make the modules of `ALIASES` importable where they are not installed; those that are stay as they are.

    Names come from here only when no other module has them. Calling it twice is calling it once.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())  # last: asked for what nobody else has


class _Finder(MetaPathFinder, Loader):
    """Finds the modules, and the packages above them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, when it is one of ours."""
        return ModuleSpec(name, self, is_package=True) if name in _MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Give it its names, which are loaded when they are asked for."""
        homes = ALIASES.get(module.__name__, {})
        module.__dict__.update(__getattr__=loader(module.__name__, homes), __all__=sorted(homes))
