"""The scorers as operators of data-processing frameworks: DataFlow's, and in `tools.operators.daft` Daft's.

Importing this package imports nothing else; each name is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ClipScore": "clip_score",
    "EMScoreEval": "emscore",
    "FileStorage": "storage",
    "VideoAestheticEvaluator": "aesthetic",
    "VideoAudioSimilarity": "audio_similarity",
    "VideoFrameFilter": "frames",
    "VideoQualityScore": "quality",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """The operator of this name, from its own module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
