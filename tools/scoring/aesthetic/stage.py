"""The aesthetic score as a stage: which frames are scored, and how they become the column ``aes``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.scoring.clip_features import CLIPFeatures
from tools.scoring.clip_stage import CLIPStage
from tools.stage.common_options import weights_option

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights

_DECIMALS = 6  # far below what a precision changes; keeps 17 digits of noise out of the table


@dataclasses.dataclass
class AestheticStage(CLIPStage):
    """LAION aesthetic score: column ``path`` in, column ``aes`` out.

    The score of a video is the mean over its sampled frames, that of an image is its own. Making the stage
    finds and verifies the weights; `setup` loads them.

    Raises:
        UserError: Weights are missing or wrong, or the head does not fit the CLIP.
    """

    name = "aes"
    suffix = "_aes"
    output_columns = {"aes": "Float64"}

    head: str | None = weights_option("weights of the head", "pretrained_models/aesthetic.pth")

    def required_weights(self) -> list[RequiredWeights]:
        """CLIP, and the head."""
        from tools.models.required import RequiredWeights

        return [*super().required_weights(), RequiredWeights("aesthetic", self.head)]

    def find(self) -> None:
        """Find CLIP, and the head."""
        from tools.models.weights import find_weights

        super().find()
        self._head = find_weights("aesthetic", self.head)

    def config(self) -> dict[str, Any]:
        """What changes the values: that of every CLIP score, and the head."""
        return {**super().config(), "head": self._head.sha256}

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP, and load the head."""
        from tools.scoring.aesthetic.scorer import AestheticScorer

        super().use(features)
        self._scorer = AestheticScorer(features.encoder, self._head.path)

    def score_features(self, features: list[np.ndarray], extras: list[Any]) -> list[dict[str, Any]]:
        """Mean score over the frames of each row."""
        return [self.values(self._scorer.score_features(row)) for row in features]

    def values(self, scores: np.ndarray) -> dict[str, Any]:
        """The columns of a row from the scores of its frames: float64, shape (frames,)."""
        return {"aes": round(float(scores.mean()), _DECIMALS)}
