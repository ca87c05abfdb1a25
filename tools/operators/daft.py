"""The scorers as expressions on the columns of a Daft frame, and operators of LAS's shape as Daft functions.

The code is in `tools.integrations`. Importing this module imports neither Daft nor a model; each name is
loaded when it is used.
"""

from __future__ import annotations

from tools.base.lazy import loader

_HOMES = {
    "las_udf": "las.udf",
    "ocr_score": "daft.expressions",
    "optical_flow_score": "daft.expressions",
    "score": "daft.expressions",
    "score_with": "daft.stage_expression",
    "technical_score": "daft.expressions",
    "video_aesthetic_score": "daft.expressions",
    "video_audio_similarity": "daft.expressions",
    "video_emscore": "daft.expressions",
    "video_quality_score": "daft.expressions",
    "video_text_match": "daft.expressions",
}

__all__ = sorted(_HOMES)
__getattr__ = loader(__name__, {name: f"tools.integrations.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return [*globals(), *__all__]
