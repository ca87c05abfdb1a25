"""The scorers as operators of data-processing frameworks: DataFlow's, and in `tools.operators.daft` Daft's.

Importing this package imports nothing heavy; each name is loaded when it is asked for, or when DataFlow is
imported, whose operators they then are (`tools.operators.dataflow`).
"""

from __future__ import annotations

from tools.lazy import loader
from tools.operators.dataflow import join_dataflow

_HOMES = {
    "APILLMServing_request": "serving",
    "ClipScore": "clip_score",
    "EMScoreEval": "emscore",
    "FileStorage": "storage",
    "LocalModelLLMServing": "serving",
    "LocalModelLLMServing_vllm": "serving",
    "VideoAestheticEvaluator": "aesthetic",
    "VideoAudioSimilarity": "audio_similarity",
    "VideoFrameFilter": "frames",
    "VideoQualityScore": "quality",
}

__all__ = sorted(_HOMES)
__getattr__ = loader(__name__, {name: f"{__name__}.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return [*globals(), *__all__]


join_dataflow()
