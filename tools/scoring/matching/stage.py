"""The match of caption and pictures as a stage: columns ``path`` and ``text`` in, ``match`` out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tools.errors import MediaError
from tools.media.sampling import Sampling
from tools.scoring.clip_features import ClipFeatures
from tools.scoring.clip_stage import ClipStage
from tools.scoring.matching.scorer import (
    LONG_TEXT,
    REDUCE,
    TextTokens,
    caption_features,
    check_choice,
    match,
    tokenize,
)
from tools.stage.stage import REMARKS, Row

FRAMES = Sampling("middle")
"""The frames that are scored when nothing is said of them."""

_DECIMALS = 6


@dataclasses.dataclass
class MatchingStage(ClipStage):
    """100 times the cosine of CLIP's image and text features.

    Attributes:
        reduce: How frames become one score, a key of `REDUCE`.
        long_text: What is done with captions that are too long, a key of `LONG_TEXT`.
        vocabulary: That of the CLIP; follows from the weights. The others are those of `ClipStage`.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    name: ClassVar[str] = "match"
    suffix: ClassVar[str] = "_match"
    needs: ClassVar[tuple[str, ...]] = ("path", "text")
    adds: ClassVar[dict[str, Any]] = {"match": pl.Float64, REMARKS: pl.Object}
    reads_texts: ClassVar[bool] = True

    sampling: Sampling = FRAMES
    reduce: str = "mean"
    long_text: str = "truncate"
    vocabulary: Path = dataclasses.field(init=False)
    context_length: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        from tools.models.clip_tokenizer import require_ftfy

        check_choice("reduce", self.reduce, REDUCE)
        check_choice("long_text", self.long_text, LONG_TEXT)
        require_ftfy()
        super().__post_init__()

    def asked(self) -> dict[str, Any]:
        """What changes the values: that of every CLIP score, the vocabulary, and what is done with texts."""
        from tools.models.clip_tokenizer import vocabulary_digest

        return {
            **super().asked(),
            "vocabulary": vocabulary_digest(self.vocabulary),
            "reduce": self.reduce,
            "long_text": self.long_text,
        }

    def prepare_extras(self, row: Row) -> TextTokens:
        """The tokens of the caption."""
        from tools.models.clip_tokenizer import load_tokenizer

        text = row["text"]
        if text is None or not str(text).strip():
            raise MediaError("bad_value", row["path"], "the cell of column text is empty")
        try:
            return tokenize(load_tokenizer(self.vocabulary), str(text), self.context_length, self.long_text)
        except ValueError as error:
            raise MediaError("bad_value", row["path"], str(error)) from None

    def use(self, features: ClipFeatures) -> None:
        """Take a loaded CLIP; its vocabulary must be the one that the captions are written in."""
        from tools.models.clip_tokenizer import check_vocabulary, load_tokenizer

        check_vocabulary(features.encoder, load_tokenizer(self.vocabulary))
        super().use(features)

    def score_features(self, features: list[np.ndarray], extras: list[TextTokens]) -> list[dict[str, Any]]:
        """The match of each row's frames with its caption."""
        captions = caption_features(self._features.encoder, extras)
        remark = f"caption longer than the {self.context_length} tokens that CLIP takes, cut there"
        return [
            {
                "match": round(match(images, caption, self.reduce), _DECIMALS),
                REMARKS: [remark] if tokens.cut else [],
            }
            for images, caption, tokens in zip(features, captions, extras, strict=True)
        ]
