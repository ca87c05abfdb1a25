"""EMScore written out from its definition, one sum and one maximum at a time."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

VIDEO, REFERENCE, BOTH = "EMScore(X,V)", "EMScore(X,X*)", "EMScore(X,V,X*)"


def against_video(x: np.ndarray, w: Sequence[float], v: np.ndarray) -> dict[str, float]:
    """Tokens x_i with weights w_i against frames v_j."""
    precision = sum(wi * max(xi @ vj for vj in v) for xi, wi in zip(x, w, strict=True)) / sum(w)
    recall = sum(max(xi @ vj for xi in x) for vj in v) / len(v)
    mean = sum(v) / len(v)
    return complete(precision, recall, x[-1] @ mean / np.sqrt(mean @ mean))


def against_reference(
    x: np.ndarray, w: Sequence[float], y: np.ndarray, u: Sequence[float]
) -> dict[str, float]:
    """Tokens x_i with weights w_i against tokens y_j with weights u_j."""
    precision = sum(wi * max(xi @ yj for yj in y) for xi, wi in zip(x, w, strict=True)) / sum(w)
    recall = sum(uj * max(xi @ yj for xi in x) for yj, uj in zip(y, u, strict=True)) / sum(u)
    return complete(precision, recall, x[-1] @ y[-1])


def best(several: Sequence[dict[str, float]]) -> dict[str, float]:
    figr_f = max(own["figr_F"] for own in several)
    values = (max(own[name] for own in several) for name in ("figr_P", "figr_R", "cogr"))
    return complete(*values, figr_f)


def both(video: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    names = ("figr_P", "figr_R", "cogr", "figr_F")
    return complete(*((video[name] + reference[name]) / 2 for name in names))


def complete(p: float, r: float, cogr: float, f: float | None = None) -> dict[str, float]:
    f = 2 * p * r / (p + r) if f is None else f
    fine = {"figr_P": p, "figr_R": r, "figr_F": f, "cogr": cogr}
    return fine | {f"full_{end}": (fine[f"figr_{end}"] + cogr) / 2 for end in "PRF"}


def idf_weights(corpus: Sequence[Sequence[int]], context: int = 77) -> dict[int, float]:
    """Weights of the tokens of a corpus of ids with both ends; the highest id has the mean of all."""
    documents = [{*text, *([0] if len(text) < context else [])} for text in corpus]
    tokens = set().union(*documents)
    count = len(documents)
    weights = {t: log((count + 1) / (1 + sum(t in document for document in documents))) for t in tokens}
    return weights | {max(tokens): sum(weights.values()) / len(weights)}
