"""The modules from which documents of DataFlow and LAS import, for scripts that run unchanged."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tools.base.lazy import loader
from tools.base.packages import how_to_install
from tools.integrations.imports import after_import

_OPERATORS = "tools.operators"
_VISION = (
    "ClipScore",
    "EMScoreEval",
    "VideoAestheticEvaluator",
    "VideoFrameFilter",
)
_SERVING = ("APILLMServing_request", "LocalModelLLMServing", "LocalModelLLMServing_vllm")
ALIASES: dict[str, dict[str, str]] = {
    "dataflow.utils.storage": {"FileStorage": _OPERATORS},
    "dataflow.operators.core_vision": dict.fromkeys(_VISION, _OPERATORS),
    "dataflow.operators.core_audio": {"VideoAudioSimilarity": _OPERATORS},
    "dataflow.llmserving": dict.fromkeys(_SERVING, _OPERATORS),
    "dataflow.serving": dict.fromkeys(_SERVING, _OPERATORS),
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
    """Make the modules of `ALIASES` importable where they are not installed.

    Names come from here only when no other module has them: also of a module that is installed, those that it
    lacks. Calling it twice is calling it once.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.append(_Finder())  # last: only for modules that are found nowhere else
    for name, homes in ALIASES.items():
        after_import(name, lambda module, homes=homes: _lend(module, homes))


def _lend(module: ModuleType, homes: Mapping[str, str]) -> None:
    """Give a module the names that it lacks."""
    if module.__spec__ is not None and isinstance(module.__spec__.loader, _Finder):
        return
    ours = loader(module.__name__, homes)
    own = module.__dict__.get("__getattr__")
    theirs = own or getattr(type(module), "__getattr__", None)

    def load(name: str) -> Any:
        try:
            if theirs is not None:
                return theirs(name) if own else theirs(module, name)
        except AttributeError:
            if name not in homes:
                raise
        return ours(name)

    module.__dict__["__getattr__"] = load


class _Finder(MetaPathFinder, Loader):
    """Finds the modules, and the packages above them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, when it is one of ours."""
        return ModuleSpec(name, self, is_package=True) if name in _MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Give it its names, which are loaded when they are used.

        Raises:
            ModuleNotFoundError: It is Daft itself, which is not replaced.
        """
        name = module.__name__
        if name == "daft":
            raise ModuleNotFoundError(f"package daft is not installed: {how_to_install(name)}", name=name)
        homes = ALIASES.get(name, {})
        module.__dict__.update(__getattr__=loader(name, homes), __all__=sorted(homes))
