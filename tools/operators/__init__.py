"""The scorers as operators of data-processing frameworks: DataFlow's, and in `tools.operators.daft` Daft's.

Importing this package imports nothing else; each name is loaded when it is asked for.
"""

from __future__ import annotations

from tools.lazy import loader

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
__getattr__ = loader(__name__, {name: f"{__name__}.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return [*globals(), *__all__]
