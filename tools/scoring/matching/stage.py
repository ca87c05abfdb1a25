"""The match of caption and pictures as a stage: columns ``path`` and ``text`` in, ``match`` out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import MediaError
from tools.media.reading.sampling import Sampling
from tools.options import option
from tools.options.values import Choice
from tools.scoring.clip_options import long_text_option
from tools.scoring.clip_stage import CLIPStage
from tools.scoring.matching.scorer import (
    LONG_TEXT,
    REDUCE,
    TextTokens,
    caption_features,
    match,
    tokenize,
)
from tools.scoring.texts import cell_text
from tools.stage.common_options import frames_option
from tools.stage.stage import REMARKS, Row

_DECIMALS = 6


@dataclasses.dataclass
class MatchingStage(CLIPStage):
    """100 times the cosine of CLIP's image and text features.

    Attributes:
        vocabulary: That of the CLIP; follows from the weights.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    name = "match"
    suffix = "_match"
    required_columns = ("path", "text")
    output_columns = {"match": "Float64", REMARKS: "Object"}
    reads_texts = True

    sampling: Sampling = frames_option(Sampling("middle"), "1", limits=True)
    reduce: str = option("mean", "several frames", Choice(REDUCE))
    long_text: str = long_text_option(LONG_TEXT, "truncate")
    vocabulary: Path = dataclasses.field(init=False)
    context_length: int = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clip_tokenizer import require_ftfy

        require_ftfy()
        super().configure()

    def config(self) -> dict[str, Any]:
        """What changes the values: that of every CLIP score, the vocabulary, and what is done with texts."""
        from tools.models.clip_tokenizer import vocabulary_digest

        return {
            **super().config(),
            "vocabulary": vocabulary_digest(self.vocabulary),
            "reduce": self.reduce,
            "long_text": self.long_text,
        }

    def prepare_extras(self, row: Row) -> TextTokens:
        """The tokens of the caption."""
        from tools.models.clip_tokenizer import load_tokenizer

        text = cell_text(row, "text")
        try:
            return tokenize(load_tokenizer(self.vocabulary), text, self.context_length, self.long_text)
        except ValueError as error:
            raise MediaError("bad_value", row["path"], str(error)) from None

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
