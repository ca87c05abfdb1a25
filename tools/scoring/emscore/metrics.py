"""EMScore's seven numbers from features: Shi et al. 2022, "EMScore: Evaluating Video Captioning", CVPR.

A caption X is the features x_i of its tokens, its start and end token among them, a video V is the features
v_j of its frames; all have length 1. Tokens may have weights w_i. The end token x_E stands for the whole
caption, the mean of the frames for the whole video.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tools.errors import UserError
from tools.scoring.clip_features import cosines, mean_feature

SCORE_TYPES: dict[str, str] = {
    "EMScore(X,V)": "the caption against the video",
    "EMScore(X,X*)": "the caption against the reference, of several the best for each metric",
    "EMScore(X,V,X*)": "the mean of both",
}
"""What a caption is compared with, by the names of the paper."""

VIDEO, REFERENCE, BOTH = SCORE_TYPES

METRICS: dict[str, str] = {
    "figr_P": "precision: how well each token is found",
    "figr_R": "recall: how well each frame, or token of the reference, is described",
    "figr_F": "harmonic mean of the two",
    "cogr": "cosine of the whole caption and the whole video, or reference",
    "full_P": "mean of figr_P and cogr",
    "full_R": "mean of figr_R and cogr",
    "full_F": "mean of figr_F and cogr: what the paper calls EMScore",
}
"""The numbers of each comparison: fine-grained, coarse-grained, and both."""

ALL = "all"
"""Means all names."""

Metrics = dict[str, "float | None"]
"""A value for each of `METRICS`; None where it is not defined."""

_FINE = ("figr_P", "figr_R", "figr_F")


class TextFeatures(NamedTuple):
    """What is known of a text.

    Attributes:
        tokens: float64, shape (L, D), each of length 1: start token, words, end token.
        weights: float64, shape (L,), not negative.
    """

    tokens: np.ndarray
    weights: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """Feature of the whole text, that of the end token: shape (D,)."""
        return self.tokens[-1]


def score_video(text: TextFeatures, frames: np.ndarray) -> Metrics:
    """EMScore(X,V).

    Args:
        text: The caption.
        frames: float64, shape (n, D), n > 0, each of length 1.

    Returns:
        figr_P weighs the tokens; figr_R is the plain mean over frames.
    """
    similar = similarities(text.tokens, frames)
    whole = float(cosines(text.whole[None], mean_feature(frames))[0])
    precision = _weighted_mean(similar.max(axis=1), text.weights)
    return _metrics(precision, _number(similar.max(axis=0).mean()), whole)


def score_reference(text: TextFeatures, reference: TextFeatures) -> Metrics:
    """EMScore(X,X*) with one reference; figr_P weighs the caption's tokens, figr_R those of the reference."""
    similar = similarities(text.tokens, reference.tokens)
    whole = float(cosines(text.whole[None], reference.whole)[0])
    precision = _weighted_mean(similar.max(axis=1), text.weights)
    return _metrics(precision, _weighted_mean(similar.max(axis=0), reference.weights), whole)


def best_of(references: Sequence[Metrics]) -> Metrics:
    """EMScore(X,X*) with several references: the largest value of each metric, from whichever has it.

    Args:
        references: What `score_reference` gave for each, at least one.

    Returns:
        figr_* and cogr are maxima over the references that have a value; full_* follow from those.
    """
    return _full({name: _largest(own[name] for own in references) for name in (*_FINE, "cogr")})


def mean_of(video: Metrics, reference: Metrics) -> Metrics:
    """EMScore(X,V,X*): the mean of each metric; figr_F too, it does not follow from the means."""
    return _full({name: _mean(video[name], reference[name]) for name in (*_FINE, "cogr")})


def similarities(tokens: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosines of each with each: shapes (L, D) and (n, D) to (L, n).

    They are computed for one row of a table at a time, and without a library that splits sums over threads:
    so they depend on nothing else, to the last bit.
    """
    return np.einsum("id,jd->ij", tokens, others)


def chosen_names(what: str, names: Iterable[str] | str | None, known: Iterable[str]) -> tuple[str, ...]:
    """Names that a user chose, in the order of ``known``; None and `ALL` mean all.

    Raises:
        UserError: One is unknown, or there is none.
    """
    known = tuple(known)
    names = (names,) if isinstance(names, str) else (ALL,) if names is None else tuple(names)
    if ALL in names:
        return known
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"Invalid {what} ({unknown[0]}). Supported values are {', '.join(known)}.")
    if not names:
        raise UserError(f"{what}: name at least one of {', '.join(known)}")
    return tuple(name for name in known if name in names)


def _metrics(precision: float | None, recall: float | None, whole: float) -> Metrics:
    values = dict(zip(_FINE, (precision, recall, _harmonic_mean(precision, recall)), strict=True))
    return _full({**values, "cogr": _number(whole)})


def _full(values: Metrics) -> Metrics:
    return values | {name.replace("figr", "full"): _mean(values[name], values["cogr"]) for name in _FINE}


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float | None:
    total = float(weights.sum())
    return _number((values * weights).sum() / total) if total > 0 else None


def _harmonic_mean(precision: float | None, recall: float | None) -> float | None:
    """2 P R / (P + R); 0 where both are 0, since it lies between them; nothing where only the sum is 0."""
    if precision is None or recall is None:
        return None
    if precision == recall == 0:
        return 0.0
    total = precision + recall
    return 2 * precision * recall / total if total else None


def _mean(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else (first + second) / 2


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
