"""The scorers as expressions on the columns of a Daft frame, and operators of LAS's shape as Daft functions.

Importing this package imports neither Daft nor a model; each name is loaded when it is asked for. What runs a
stage on Daft stands below, in `tools.stage.daft`, because the commands use it too (``--engine daft``).
"""

from __future__ import annotations

from tools.lazy import loader

_HOMES = {
    "las_udf": "las",
    "ocr_score": "expressions",
    "optical_flow_score": "expressions",
    "score_with": "expressions",
    "technical_score": "expressions",
    "video_aesthetic_score": "expressions",
    "video_audio_similarity": "expressions",
    "video_emscore": "expressions",
    "video_quality_score": "expressions",
    "video_text_match": "expressions",
}

__all__ = sorted(_HOMES)
__getattr__ = loader(__name__, {name: f"{__name__}.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return [*globals(), *__all__]
