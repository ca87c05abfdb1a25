"""CLIP-IQA: which of two opposite prompts a picture is nearer to (Wang, Chan and Loy, AAAI 2023)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.errors import UserError
from tools.scoring.clip_features import cosines, image_features, text_features
from tools.scoring.quality.prompts import PromptPair, parse_prompts

if TYPE_CHECKING:
    from PIL import Image

    from tools.models.clip import CLIPEncoder
    from tools.models.clip_checkpoint import CLIPCheckpoint
    from tools.models.clip_tokenizer import CLIPTokenizer


def _tenth_percentile(scores: np.ndarray) -> float:
    return np.percentile(scores, 10)


REDUCE: dict[str, Callable[[np.ndarray], float]] = {
    "avg": np.mean,
    "max": np.max,
    "min": np.min,
    "median": np.median,
    "p10": _tenth_percentile,
}
"""How the frames of a video become one score; ``p10`` is the 10th percentile, interpolated linearly."""


def prompt_features(
    encoder: CLIPEncoder, tokenizer: CLIPTokenizer, pairs: Sequence[PromptPair]
) -> np.ndarray:
    """Text features of prompts.

    Args:
        encoder: A loaded CLIP.
        tokenizer: Its tokenizer.
        pairs: The prompts.

    Returns:
        float64, shape (pairs, 2, D), each of length 1; positive before negative.

    Raises:
        UserError: A prompt has more tokens than the CLIP takes.
    """
    texts = [text for pair in pairs for text in (pair.positive, pair.negative)]
    tokens = [tokenizer.encode(text) for text in texts]
    room = encoder.context_length - 2
    for text, ids in zip(texts, tokens, strict=True):
        if len(ids) > room:
            raise UserError(f"prompts: '{text}' has {len(ids)} tokens, this CLIP takes {room}")
    features = text_features(encoder, tokenizer.pad(tokens, encoder.context_length))
    return features.reshape(len(pairs), 2, -1)


def clip_iqa(images: np.ndarray, pair: np.ndarray, logit_scale: float) -> np.ndarray:
    """CLIP-IQA of one pair: the softmax over both prompts, of which the positive one's share is the score.

    Args:
        images: float64, shape (frames, D), each of length 1.
        pair: float64, shape (2, D), each of length 1; positive before negative.
        logit_scale: The model's own (100 in OpenAI's models, which others write as a constant).

    Returns:
        float64, shape (frames,), from 0 to 1.
    """
    difference = logit_scale * (cosines(images, pair[0]) - cosines(images, pair[1]))
    return 0.5 * (1.0 + np.tanh(0.5 * difference))  # the softmax of two numbers, without overflow


class QualityScorer:
    """Scores pictures by pairs of opposite prompts; a picture's score does not depend on the others.

    Args:
        clip: Name, file or folder of a CLIP, see `find_clip`; or one that is loaded
            already, to which device and precision do not apply.
        prompts: See `tools.scoring.quality.prompts.parse_prompts`.
        vocabulary: That of the CLIP; by default what `tools.models.clip_tokenizer.find_vocabulary` finds.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: Weights or vocabulary are missing, wrong, or do not fit each other; or prompts are wrong.
    """

    def __init__(
        self,
        clip: str | Path | CLIPCheckpoint | CLIPEncoder = "ViT-L/14",
        prompts: Sequence[str] = ("quality",),
        *,
        vocabulary: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        from tools.models.clip_tokenizer import load_clip_and_tokenizer

        self.pairs = parse_prompts(prompts)
        self.clip, tokenizer = load_clip_and_tokenizer(clip, vocabulary, device=device, precision=precision)
        self._features = prompt_features(self.clip, tokenizer, self.pairs)

    def score(self, images: Sequence[Image.Image | np.ndarray]) -> dict[str, np.ndarray]:
        """Score pictures.

        Args:
            images: PIL images, or uint8 arrays of shape (H, W, 3) in RGB; sizes may differ.

        Returns:
            For each pair, by the name of its column, float64, shape (N,), from 0 to 1.
        """
        features = image_features(self.clip, images)
        return {
            pair.column: clip_iqa(features, own, self.clip.logit_scale)
            for pair, own in zip(self.pairs, self._features, strict=True)
        }
