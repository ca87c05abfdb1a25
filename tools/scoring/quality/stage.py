"""CLIP-IQA as a stage: column ``path`` in, a column for each pair of prompts out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import UserError, check_choice
from tools.media.reading.sampling import Sampling
from tools.options import option
from tools.options.values import Choice, Text
from tools.scoring.clip_features import CLIPFeatures
from tools.scoring.clip_stage import CLIPStage
from tools.scoring.quality.prompts import PROMPTS, parse_prompts
from tools.scoring.quality.scorer import REDUCE, clip_iqa, prompt_features
from tools.stage.common_options import frames_option

_DECIMALS = 6


@dataclasses.dataclass
class QualityStage(CLIPStage):
    """CLIP-IQA of a row's frames, one column for each pair of prompts and each reduction.

    Attributes:
        vocabulary: That of the CLIP; follows from the weights.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    name = "quality"
    suffix = "_quality"
    output_columns = {"quality": "Float64"}
    reads_texts = True

    sampling: Sampling = frames_option(Sampling("count_uniform", 8), "8", limits=True)
    prompts: tuple[str, ...] = option(
        ("quality",),
        f"any of {', '.join(PROMPTS)}, own pairs 'good|bad', or with a name 'name=good|bad'",
        Text("PAIR"),
        many=True,
    )
    reduce: tuple[str, ...] = option(
        ("avg",),
        "several frames; more than one reduction makes more columns, all but avg with its name (quality_p10)",
        Choice(REDUCE),
        many=True,
    )
    vocabulary: Path = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        self._pairs = parse_prompts(self.prompts)
        self._columns = [
            [self._column(pair.column, reduction) for reduction in self.reduce] for pair in self._pairs
        ]
        self.output_columns = dict.fromkeys(_each_once(self._columns), "Float64")
        super().configure()

    def config(self) -> dict[str, Any]:
        """What changes the values: that of every CLIP score, the vocabulary, the prompts, the reductions."""
        from tools.models.clip_tokenizer import vocabulary_digest

        return {
            **super().config(),
            "vocabulary": vocabulary_digest(self.vocabulary),
            "prompts": [dataclasses.astuple(pair) for pair in self._pairs],
            "reduce": list(self.reduce),
        }

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP, and let it read the prompts."""
        from tools.models.clip_tokenizer import load_tokenizer

        super().use(features)
        self._prompts = prompt_features(features.encoder, load_tokenizer(self.vocabulary), self._pairs)

    def score_features(self, features: list[np.ndarray], extras: list[Any]) -> list[dict[str, Any]]:
        """The reductions over the frames of each row, for each pair of prompts."""
        scale = self._features.encoder.logit_scale
        return [self.values([clip_iqa(images, pair, scale) for pair in self._prompts]) for images in features]

    def values(self, scores: list[np.ndarray]) -> dict[str, Any]:
        """The columns of a row from the scores of its frames: for each pair float64, shape (frames,)."""
        return {
            column: round(float(REDUCE[reduction](own)), _DECIMALS)
            for own, columns in zip(scores, self._columns, strict=True)
            for column, reduction in zip(columns, self.reduce, strict=True)
        }

    def _column(self, column: str, reduction: str) -> str:
        check_choice("reduce", reduction, REDUCE)
        return column if reduction == "avg" or len(self.reduce) == 1 else f"{column}_{reduction}"


def _each_once(columns: list[list[str]]) -> list[str]:
    names = [name for several in columns for name in several]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"prompts and reductions: more than one makes the column {name}")
    if not names:
        raise UserError(f"reduce: name at least one of {', '.join(REDUCE)}")
    return names
