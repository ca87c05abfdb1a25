"""How well a caption fits pictures: the cosine of CLIP's text and image features (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import check_choice
from tools.scoring.clip_features import cosines, image_features, mean_feature, text_features

if TYPE_CHECKING:
    from PIL import Image

    from tools.models.clip import CLIPEncoder
    from tools.models.clip_checkpoint import CLIPCheckpoint
    from tools.models.clip_tokenizer import CLIPTokenizer

LONG_TEXT: dict[str, str] = {
    "truncate": "cut it there",
    "split": "average the features of chunks of whole sentences",
    "error": "the row fails",
}
"""What can be done with a caption that has more tokens than CLIP reads."""

REDUCE: dict[str, str] = {"mean": "of all frames", "max": "of the frame that fits best"}
"""How the frames of a video become one score."""


class LongTextError(ValueError):
    """A caption has more tokens than CLIP reads."""


class TextTokens(NamedTuple):
    """A caption for CLIP.

    Attributes:
        ids: int64, shape (chunks, context length).
        cut: Whether its end is missing.
    """

    ids: np.ndarray
    cut: bool


def tokenize(tokenizer: CLIPTokenizer, text: str, context_length: int, long_text: str) -> TextTokens:
    """Turn a caption into tokens.

    Args:
        tokenizer: That of the CLIP.
        text: The caption.
        context_length: Tokens that the CLIP takes; two of them enclose the text.
        long_text: A key of `LONG_TEXT`.

    Raises:
        LongTextError: The caption is too long, and that is to be an error.
        ValueError: The caption is empty.
    """
    room = context_length - 2
    ids = tokenizer.encode(text)
    if not ids:
        raise ValueError("the caption is empty")
    long = len(ids) > room
    if long and long_text == "error":
        raise LongTextError(f"the caption has {len(ids)} tokens, CLIP takes {room}")
    chunks = tokenizer.encode_chunks(text, room) if long and long_text == "split" else [ids]
    return TextTokens(tokenizer.pad(chunks, context_length), cut=long and long_text == "truncate")


def caption_features(encoder: CLIPEncoder, captions: Sequence[TextTokens]) -> list[np.ndarray]:
    """One feature for each caption: of several chunks the `mean_feature`.

    Args:
        encoder: A loaded CLIP.
        captions: What `tokenize` gave.

    Returns:
        For each float64, shape (D,), of length 1.
    """
    features = text_features(encoder, np.concatenate([caption.ids for caption in captions]))
    ends = np.cumsum([len(caption.ids) for caption in captions])
    chunks = np.split(features, ends[:-1])
    return [own[0] if len(own) == 1 else mean_feature(own) for own in chunks]


def match(images: np.ndarray, caption: np.ndarray, reduce: str = "mean") -> float:
    """100 times the cosine of image and text features.

    Args:
        images: float64, shape (frames, D), each of length 1.
        caption: float64, shape (D,), of length 1.
        reduce: A key of `REDUCE`.

    Returns:
        -100 to 100; with OpenAI's models about 15 for what does not fit, 20 to 35 for what does.
    """
    scores = 100.0 * cosines(images, caption)
    return float(scores.mean() if reduce == "mean" else scores.max())


class MatchScorer:
    """Scores pairs of picture and caption.

    Args:
        clip: Name, file or folder of a CLIP, see `find_clip`; or one that is loaded
            already, to which device and precision do not apply.
        vocabulary: That of the CLIP; by default what `tools.models.clip_tokenizer.find_vocabulary` finds.
        long_text: A key of `LONG_TEXT`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: Weights or vocabulary are missing, wrong, or do not fit each other.
    """

    def __init__(
        self,
        clip: str | Path | CLIPCheckpoint | CLIPEncoder = "ViT-L/14",
        *,
        vocabulary: str | Path | None = None,
        long_text: str = "truncate",
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        from tools.models.clip_tokenizer import load_clip_and_tokenizer

        check_choice("long_text", long_text, LONG_TEXT)
        self.clip, self.tokenizer = load_clip_and_tokenizer(
            clip, vocabulary, device=device, precision=precision
        )
        self._long_text = long_text

    def score(self, images: Sequence[Image.Image | np.ndarray], texts: Sequence[str]) -> np.ndarray:
        """Score each picture with its caption.

        Args:
            images: PIL images, or uint8 arrays of shape (H, W, 3) in RGB; sizes may differ.
            texts: As many captions.

        Returns:
            float64, shape (N,): 100 times the cosine.

        Raises:
            ValueError: A caption is empty, or too long where that is an error.
        """
        if len(images) != len(texts):
            raise ValueError(f"{len(images)} images and {len(texts)} texts")
        if not texts:
            return np.empty(0)
        length = self.clip.context_length
        tokens = [tokenize(self.tokenizer, text, length, self._long_text) for text in texts]
        captions = np.stack(caption_features(self.clip, tokens))
        return 100.0 * cosines(image_features(self.clip, images), captions)
