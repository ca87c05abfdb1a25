"""The scorers as operators of data-processing frameworks, by the names that their users import.

The code is in `tools.integrations`. Importing this package imports nothing heavy; each name is loaded when it
is used, or when DataFlow is imported, whose operators they then are
(`tools.integrations.dataflow.registry`).
"""

from __future__ import annotations

from tools.base.lazy import loader
from tools.integrations.dataflow.registry import join_dataflow

_HOMES = {
    "APILLMServing_request": "dataflow.serving",
    "ClipScore": "dataflow.clip_score",
    "EMScoreEval": "dataflow.emscore",
    "FileStorage": "dataflow.storage",
    "LocalModelLLMServing": "dataflow.serving",
    "LocalModelLLMServing_vllm": "dataflow.serving",
    "VideoAestheticEvaluator": "dataflow.aesthetic",
    "VideoAudioSimilarity": "dataflow.audio_similarity",
    "VideoFrameFilter": "dataflow.frames",
    "VideoQualityScore": "las.quality",
}

__all__ = sorted(_HOMES)
__getattr__ = loader(__name__, {name: f"tools.integrations.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return [*globals(), *__all__]


join_dataflow()
