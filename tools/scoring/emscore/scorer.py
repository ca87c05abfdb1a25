"""EMScore of captions, for a table or for a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import check_choice
from tools.scoring.clip_features import image_features
from tools.scoring.emscore.cells import cell_texts
from tools.scoring.emscore.metrics import (
    BOTH,
    REFERENCE,
    SCORE_TYPES,
    VIDEO,
    Metrics,
    TextFeatures,
    best_of,
    mean_of,
    score_reference,
    score_video,
    similarities,
)
from tools.scoring.emscore.texts import LONG_TEXT, token_features
from tools.scoring.matching.scorer import TextTokens, tokenize

if TYPE_CHECKING:
    from PIL import Image

    from tools.models.clip import CLIPEncoder
    from tools.models.clip_checkpoint import CLIPCheckpoint
    from tools.scoring.emscore.idf import Idf

DEFAULT_CLIP = "ViT-B/32"
"""The CLIP of the paper."""


class Caption(NamedTuple):
    """A caption and its references, as `tokenize` or `token_features` makes them.

    Attributes:
        candidate: The caption that is judged.
        references: Other captions of the same video; may be empty.
    """

    candidate: Any
    references: tuple[Any, ...]


def score_caption(
    caption: Caption, frames: np.ndarray | None, score_types: Sequence[str] = tuple(SCORE_TYPES)
) -> dict[str, Metrics]:
    """EMScore of a caption.

    Args:
        caption: Of `TextFeatures`.
        frames: float64, shape (n, D), each of length 1; None when there is no video.
        score_types: Names of `SCORE_TYPES`.

    Returns:
        The metrics of each of them for which there is a video or a reference.
    """
    video = None
    if frames is not None and len(frames) > 0 and {VIDEO, BOTH} & set(score_types):
        video = score_video(caption.candidate, frames)
    return _chosen(score_types, video, _references(caption, score_types))


def score_frames(
    caption: Caption, frames: np.ndarray, score_types: Sequence[str] = tuple(SCORE_TYPES)
) -> list[dict[str, Metrics]]:
    """`score_caption` with each frame as a separate video.

    Their means are not the score of the video: it compares each token with all frames.
    """
    reference = _references(caption, score_types)  # does not depend on the frames
    singles = (score_video(caption.candidate, frames[n : n + 1]) for n in range(len(frames)))
    return [_chosen(score_types, video, reference) for video in singles]


def best_frames(
    text: TextFeatures, frames: np.ndarray, words: Sequence[tuple[str, slice]]
) -> list[list[str]]:
    """The words that each frame matches best.

    Args:
        text: Features of the text.
        frames: float64, shape (n, D).
        words: What `tools.scoring.emscore.texts.words` gave: a word of several tokens goes to the frame that
            is most similar to any of them.

    Returns:
        For each frame the words in their order; each word is in one list.
    """
    similar = similarities(text.tokens, frames)
    found: list[list[str]] = [[] for _ in frames]
    for word, place in words:
        found[int(similar[place].max(axis=0).argmax())].append(word)
    return found


def undefined(caption: Caption, scores: dict[str, Metrics], metrics: Sequence[str]) -> str | None:
    """Why one of the metrics has no value; None when all have."""
    if all(own[name] is not None for own in scores.values() for name in metrics):
        return None
    texts = {"caption": [caption.candidate], "reference": caption.references}
    for what, several in texts.items():
        if any(not text.weights.sum() > 0 for text in several):
            return f"the tokens of the {what} weigh nothing: each is in every caption of the IDF corpus"
    if not all(np.isfinite(text.tokens).all() for several in texts.values() for text in several):
        return "CLIP's feature of a text is not finite; try --precision fp32"
    return "precision and recall are opposite numbers, which have no harmonic mean; or the frames cancel out"


class EMScorer:
    """Scores captions.

    Args:
        clip: Name, file or folder of a CLIP, see `find_clip`; or one that is loaded
            already, to which device and precision do not apply.
        idf: Weights of the tokens; None for 1 each.
        long_text: A key of `LONG_TEXT`.
        vocabulary: That of the CLIP; by default what `tools.models.clip_tokenizer.find_vocabulary` finds.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Attributes:
        clip: The loaded CLIP.
        tokenizer: Its tokenizer, for `tools.scoring.emscore.idf.Idf.fit`.

    Raises:
        UserError: Weights or vocabulary are missing, wrong, or do not fit each other or the IDF.
    """

    def __init__(
        self,
        clip: str | Path | CLIPCheckpoint | CLIPEncoder = DEFAULT_CLIP,
        *,
        idf: Idf | None = None,
        long_text: str = "split",
        vocabulary: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        from tools.models.clip_tokenizer import load_clip_and_tokenizer

        check_choice("long_text", long_text, LONG_TEXT)
        self.clip, self.tokenizer = load_clip_and_tokenizer(
            clip, vocabulary, device=device, precision=precision
        )
        if idf is not None:
            idf.check(self.tokenizer)
        self._idf = idf
        self._long_text = long_text

    def score(
        self,
        candidates: Sequence[str],
        videos: Sequence[Sequence[Image.Image | np.ndarray]] | None = None,
        references: Sequence[str | Sequence[str] | None] | None = None,
    ) -> list[dict[str, Metrics]]:
        """Score each caption against its video, its references, or both.

        Args:
            candidates: Captions.
            videos: For each its frames, PIL images or uint8 arrays of shape (H, W, 3) in RGB.
            references: For each a text, several, or None.

        Returns:
            For each caption the names of `SCORE_TYPES` that are possible, and under each the `METRICS`; a
            metric that is not defined is None.

        Raises:
            ValueError: The lengths differ, a caption is empty, or too long where that is an error.
        """
        for name, several in (("videos", videos), ("references", references)):
            if several is not None and len(several) != len(candidates):
                raise ValueError(f"{len(candidates)} candidates and {len(several)} {name}")
        groups = [
            [candidate, *cell_texts(own)]
            for candidate, own in zip(candidates, references or [None] * len(candidates), strict=True)
        ]
        captions = caption_features(self.clip, [self._tokens(*group) for group in groups], self._idf)
        frames = [image_features(self.clip, own) for own in videos] if videos else [None] * len(captions)
        return [score_caption(caption, own) for caption, own in zip(captions, frames, strict=True)]

    def _tokens(self, *texts: str) -> Caption:
        length = self.clip.context_length
        first, *rest = (tokenize(self.tokenizer, text, length, self._long_text) for text in texts)
        return Caption(first, tuple(rest))


def caption_features(encoder: CLIPEncoder, captions: Sequence[Caption], idf: Idf | None) -> list[Caption]:
    """`token_features` of captions and their references, each text encoded once.

    Args:
        encoder: A loaded CLIP.
        captions: Of `TextTokens`.
        idf: Weights of the tokens; None for 1 each.

    Returns:
        The same of `TextFeatures`.
    """
    texts: list[TextTokens] = [text for own in captions for text in (own.candidate, *own.references)]
    found = iter(token_features(encoder, texts, idf))
    return [Caption(next(found), tuple(next(found) for _ in own.references)) for own in captions]


def _references(caption: Caption, score_types: Sequence[str]) -> Metrics | None:
    if not caption.references or not {REFERENCE, BOTH} & set(score_types):
        return None
    return best_of([score_reference(caption.candidate, own) for own in caption.references])


def _chosen(
    score_types: Sequence[str], video: Metrics | None, reference: Metrics | None
) -> dict[str, Metrics]:
    both = mean_of(video, reference) if video and reference else None
    found = {VIDEO: video, REFERENCE: reference, BOTH: both}
    return {name: own for name in score_types if (own := found[name]) is not None}
