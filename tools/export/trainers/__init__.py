"""What each trainer does with a clip, one file a trainer; `tools.export.presets` has them all."""

from __future__ import annotations

import warnings
from typing import Any

_MOVED = ("TRAINERS", "Preset", "preset", "presets")


def __getattr__(name: str) -> Any:
    """Names that were here and are in `tools.export.presets` now."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tools.base.moved import REMOVED_IN
    from tools.export import presets

    text = f"{__name__}.{name} is now {presets.__name__}.{name}; the old name goes in version {REMOVED_IN}"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return getattr(presets, name)
