"""Ratings as numbers to predict: one scale, several raters averaged, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.errors import UserError
from tools.report.ratings import BEST, WORST, Rating

_MIDDLE = (WORST + BEST) / 2
_KEEP, _REJECT = 4.0, 2.0
"""What keep and reject stand for among ratings, none of which is above the middle, or below it."""


@dataclass(frozen=True)
class Agreement:
    """How far raters agree on the rows that several of them rated.

    Attributes:
        rows: How many those are.
        alpha: Krippendorff's alpha for interval data: 1 is full agreement, 0 what chance gives; NaN where
            all values are equal.
        difference: Mean absolute difference of two raters on a row.
    """

    rows: int
    alpha: float
    difference: float


@dataclass(frozen=True)
class Targets:
    """What is to be predicted.

    Attributes:
        rows: Numbers of the rated rows, int64, ascending.
        values: Mean over the raters of each of them, float64.
        low: The lower end of the scale: 1, or 0 where nobody gave a rating but only keep and reject.
        high: The upper end: 5, or 1.
        keep: What keep stands for on that scale; None where nobody said keep or reject alone.
        reject: What reject stands for.
        raters: Ratings of each rater, the most first.
        agreement: None where no row has several raters.
    """

    rows: np.ndarray
    values: np.ndarray
    low: float
    high: float
    keep: float | None
    reject: float | None
    raters: dict[str, int]
    agreement: Agreement | None


def targets_of(pairs: Sequence[tuple[Rating, int]]) -> Targets:
    """The numbers that ratings stand for.

    A rating counts as it is; where a line has keep too, keep is not used. Where all lines have keep alone,
    it is 1 and a reject 0. In a mixture, keep stands for the mean of the ratings above the middle of the
    scale, and a reject for the mean of those below it (4 and 2 where there are none).

    Args:
        pairs: Ratings and their rows, see `tools.report.ratings.match_ratings`.

    Raises:
        UserError: None of them is a rating or keep: they are of an audit.
    """
    pairs = [(r, row) for r, row in pairs if r.rating is not None or r.keep is not None]
    if not pairs:
        raise UserError(
            "--ratings: no line has a rating or keep; lines of an audit (defects) are not learned"
        )
    rated = np.array([r.rating for r, _ in pairs if r.rating is not None], float)
    said = len(rated) < len(pairs)
    keep, reject = 1.0, 0.0
    if len(rated):
        keep = _mean(rated[rated > _MIDDLE], _KEEP)
        reject = _mean(rated[rated < _MIDDLE], _REJECT)
    by_row: dict[int, dict[str, list[float]]] = {}
    raters: dict[str, int] = {}
    for rating, row in pairs:
        value = rating.rating if rating.rating is not None else keep if rating.keep else reject
        by_row.setdefault(row, {}).setdefault(rating.rater, []).append(value)
        raters[rating.rater] = raters.get(rating.rater, 0) + 1
    rows = sorted(by_row)
    votes = [[float(np.mean(values)) for values in by_row[row].values()] for row in rows]
    return Targets(
        np.array(rows, np.int64),
        np.array([np.mean(values) for values in votes]),
        float(WORST) if len(rated) else 0.0,
        float(BEST) if len(rated) else 1.0,
        keep if said else None,
        reject if said else None,
        dict(sorted(raters.items(), key=lambda item: (-item[1], item[0]))),
        agreement_of(votes),
    )


def _mean(values: np.ndarray, otherwise: float) -> float:
    return float(values.mean()) if len(values) else otherwise


def agreement_of(votes: Sequence[Sequence[float]]) -> Agreement | None:
    """How far raters agree.

    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): 1 - observed / expected disagreement,
    which are mean squared differences within rows, and of all pairs of values.

    Args:
        votes: The values that each row got, one for each rater.

    Returns:
        None where no row has two of them.
    """
    shared = [np.asarray(values, float) for values in votes if len(values) > 1]
    if not shared:
        return None
    everything = np.concatenate(shared)
    count = len(everything)
    # The sum over ordered pairs of (a - b)^2 is 2 n times the sum of squared deviations from the mean.
    within = sum(2 * len(v) * _squares(v) / (len(v) - 1) for v in shared) / count
    overall = 2 * _squares(everything) / (count - 1)
    differences = [np.abs(v[:, None] - v[None])[np.triu_indices(len(v), 1)] for v in shared]
    return Agreement(
        len(shared),
        1 - within / overall if overall > 0 else float("nan"),
        float(np.concatenate(differences).mean()),
    )


def _squares(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())
