"""Similarities of sound, text and pictures, from the features that CLAP and CLIP give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.models.clap import ClapEncoder
from tools.scoring.audio_similarity.labels import Label
from tools.scoring.clip_features import cosines, unit_length

MODES: dict[str, str] = {
    "clap": "sound against a caption, by CLAP",
    "labels": "sound (by CLAP) against frames (by CLIP), by what each says of a list of things that sound",
    "audio_caption": "frames against a text that describes the sound, by CLIP",
    "compat": "frames against the words 'audio sound', as DataFlow did: the sound is not used",
}
"""What can be compared."""

REDUCE: dict[str, Callable[[Sequence[float] | np.ndarray], float]] = {
    "avg": np.mean,
    "max": np.max,
    "min": np.min,
}
"""How the similarities of a row's moments become one."""

COMPAT_TEXT = "audio sound"
"""The text that DataFlow's operator compared all frames with."""


class LabelFeatures(NamedTuple):
    """Features of a list of labels.

    Attributes:
        seen: float64, shape (labels, D): CLIP's features of the texts on what is seen, of length 1.
        heard: float64, shape (labels, E): CLAP's features of the texts on what is heard, of length 1.
        seen_scale: CLIP's factor of the cosine.
        heard_scale: CLAP's factor of the cosine.
    """

    seen: np.ndarray
    heard: np.ndarray
    seen_scale: float
    heard_scale: float


def sound_features(clap: ClapEncoder, mels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """CLAP's features of the windows of several rows.

    Args:
        clap: A loaded CLAP.
        mels: For each row float32, shape (windows, frames, bins).

    Returns:
        For each row float64, shape (windows, E), of length 1; NaN where CLAP gives no numbers.
    """
    features = unit_length(clap.encode_audio(np.concatenate(mels)))
    return np.split(features, np.cumsum([len(own) for own in mels])[:-1])


def label_distribution(features: np.ndarray, labels: np.ndarray, scale: float) -> np.ndarray:
    """Zero-shot classification: how probable each label is (Radford et al. 2021, section 3.1).

    Args:
        features: float64, shape (n, D), of length 1.
        labels: float64, shape (labels, D), of length 1.
        scale: The model's factor of the cosine.

    Returns:
        float64, shape (n, labels); each row adds up to 1.
    """
    logits = scale * np.stack([cosines(labels, feature) for feature in features])
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def overlap(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Bhattacharyya coefficient of distributions (Bhattacharyya 1943): the sum of sqrt(p q).

    Args:
        p: float64, shape (n, labels), each row adding up to 1.
        q: Likewise.

    Returns:
        float64, shape (n,): 1 for equal distributions, 0 for those that have nothing in common.
    """
    return np.sqrt(p * q).sum(axis=1)


def label_similarities(
    pictures: np.ndarray, sounds: np.ndarray, window_of: Sequence[int], labels: LabelFeatures
) -> np.ndarray:
    """How far pictures and the sound around them say the same of a list of labels.

    Args:
        pictures: float64, shape (n, D): CLIP's features, of length 1.
        sounds: float64, shape (windows, E): CLAP's features, of length 1.
        window_of: For each picture the number of its window.
        labels: The labels.

    Returns:
        float64, shape (n,), from 0 to 1.
    """
    seen = label_distribution(pictures, labels.seen, labels.seen_scale)
    heard = label_distribution(sounds, labels.heard, labels.heard_scale)
    return np.minimum(1.0, overlap(seen, heard[list(window_of)]))


def text_features(clap: ClapEncoder, texts: Sequence[str]) -> tuple[np.ndarray, list[bool]]:
    """CLAP's features of texts: float64, shape (N, E), of length 1; and of which the end was cut off."""
    features, cut = clap.encode_texts(texts)
    return unit_length(features), cut


def heard_features(clap: ClapEncoder, labels: Sequence[Label]) -> np.ndarray:
    """CLAP's features of what labels sound like: float64, shape (labels, E), of length 1."""
    return text_features(clap, [label.heard_prompt for label in labels])[0]


class AudioTextScorer:
    """Scores sounds with texts by CLAP; a score does not depend on what is scored with it.

    Args:
        clap: Folder or Hugging Face id of a CLAP, see `tools.models.clap.find_clap`; or one that is loaded.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; does not apply to one that is loaded.

    Raises:
        UserError: The CLAP is missing, or not complete.
    """

    def __init__(self, clap: str | Path | ClapEncoder, *, device: str = "auto") -> None:
        from tools.models.clap import load_clap

        self.clap = clap if isinstance(clap, ClapEncoder) else load_clap(clap, device=device)

    def score(self, sounds: Sequence[np.ndarray], texts: Sequence[str]) -> np.ndarray:
        """Score each sound with its text.

        Args:
            sounds: For each float32, shape (n,): mono, at ``clap.source.mel.rate`` samples per second, no
                longer than ``clap.source.mel.seconds``.
            texts: As many texts.

        Returns:
            float64, shape (N,): the cosine, -1 to 1.
        """
        from tools.models.clap_mel import log_mel

        if len(sounds) != len(texts):
            raise ValueError(f"{len(sounds)} sounds and {len(texts)} texts")
        if not texts:
            return np.empty(0)
        mels = np.stack([log_mel(sound, self.clap.source.mel) for sound in sounds])
        features = unit_length(self.clap.encode_audio(mels))
        return (features * text_features(self.clap, texts)[0]).sum(axis=1)
