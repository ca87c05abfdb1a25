"""Learn from ratings: choose the model, say how good it is and what it goes by, predict all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from tools.datasets.rate.models import MODELS, Model
from tools.datasets.rate.validation import (
    Validation,
    held_out_predictions,
    importances,
    resampled_rows,
    simplest,
    validate,
)

_BATCH = 65_536  # rows predicted at a time
_COMMITTEE = {"ridge": 20, "boosting": 10}
_QUANTILES = (0.1, 0.5, 0.9)
EMBEDDING = "embedding"
"""What the components of embeddings are called among the columns that count."""


@dataclass(frozen=True)
class Importance:
    """What a model goes by.

    Attributes:
        column: Its name; `EMBEDDING` for all components together.
        error: How much larger the RMSE on held-out rows gets when it is shuffled.
        effect: The mean prediction when it is at the 10 %, 50 % and 90 % quantile of the rated rows; empty
            for embeddings.
    """

    column: str
    error: float
    effect: tuple[float, ...]


@dataclass(frozen=True)
class Learned:
    """A model and how far to trust it.

    Attributes:
        model: Name of the model that was chosen.
        validations: How good each model is on held-out rows, by name; ``mean`` predicts the mean.
        folds: Folds of the cross-validation.
        repeats: How often it was repeated.
        groups: Groups of rows that were held out together.
        grouped: False where all rated rows were of one source video, and each was held out alone.
        importances: The columns, the one that counts most first.
        members: The model, then the committee: the same model, learned from rows drawn with replacement.
    """

    model: str
    validations: dict[str, Validation]
    folds: int
    repeats: int
    groups: int
    grouped: bool
    importances: list[Importance]
    members: list[Model]


def learn(
    matrix: np.ndarray,
    names: Sequence[str],
    values: np.ndarray,
    groups: np.ndarray,
    *,
    model: str | None,
    seed: int,
) -> Learned:
    """Learn ratings.

    Args:
        matrix: Rated rows, shape (rows, columns): scores first, then components of embeddings; NaN is empty.
        names: Names of the scores.
        values: The rating of each row.
        groups: A whole number for each row: rows of one source video are never on both sides of a fold.
        model: Name of a model; None for the one that ranks best, the simplest of those that rank alike.
        seed: Of folds, bootstrap and committee.
    """
    # Ratings are few: threads would wait for each other longer than they work.
    with threadpool_limits(1):
        return _learn(matrix, names, values, groups, model, seed)


def _learn(
    matrix: np.ndarray,
    names: Sequence[str],
    values: np.ndarray,
    groups: np.ndarray,
    model: str | None,
    seed: int,
) -> Learned:
    grouped = len(np.unique(groups)) > 1
    if not grouped:
        groups = np.arange(len(values))
    count = len(np.unique(groups))
    folds = min(10 if len(values) < 100 else 5, count)
    repeats = 5 if len(values) <= 1000 else 2 if len(values) <= 10_000 else 1
    makers = {name: _maker(name, len(names)) for name in ([model] if model else MODELS)}
    validations: dict[str, Validation] = {}
    for name, make in makers.items():
        predicted, standardized, means = held_out_predictions(
            make, matrix, values, groups, folds=folds, repeats=repeats, seed=seed
        )
        width = len(names) + _effective(matrix[:, len(names) :])
        validations[name] = validate(predicted, standardized, values, groups, columns=width, seed=seed)
        baseline = validate(means, np.zeros_like(means), values, groups, columns=width, seed=seed)
    chosen = model or simplest(validations)
    make = makers[chosen]
    blocks = {name: slice(place, place + 1) for place, name in enumerate(names)}
    if matrix.shape[1] > len(names):
        blocks[EMBEDDING] = slice(len(names), None)
    errors = importances(make, matrix, values, groups, blocks, folds=folds, seed=seed)
    fitted = make().fit(matrix, values)
    rng = np.random.default_rng([seed, 2])
    draws = [resampled_rows(groups, rng) for _ in range(_COMMITTEE[chosen])]
    return Learned(
        chosen,
        {"mean": baseline, **validations},
        folds,
        repeats,
        count,
        grouped,
        [
            Importance(name, error, () if name == EMBEDDING else _effect(fitted, matrix, blocks[name]))
            for name, error in errors.items()
        ],
        [fitted, *[fitted.refit(matrix[rows], values[rows]) for rows in draws]],
    )


def _effective(components: np.ndarray) -> float:
    """How many components of equal variance would vary as these do: (sum of variances)^2 / sum of squares."""
    variances = np.nanvar(components, axis=0) if components.size else np.zeros(0)
    squares = float((variances**2).sum())
    return float(variances.sum() ** 2 / squares) if squares > 0 else 0.0


def _maker(name: str, columns: int) -> Callable[[], Model]:
    return lambda: MODELS[name](columns)


def _effect(model: Model, matrix: np.ndarray, column: slice) -> tuple[float, ...]:
    found = []
    for value in np.nanquantile(matrix[:, column], _QUANTILES):
        changed = matrix.copy()
        changed[:, column] = value
        found.append(float(model.predict(changed).mean()))
    return tuple(found)


def predict(
    members: Sequence[Model], matrix: np.ndarray, advance: Callable[[int], None] = lambda rows: None
) -> tuple[np.ndarray, np.ndarray]:
    """Predict all rows of a table, some at a time.

    Args:
        members: The model, and its committee.
        matrix: See `learn`.
        advance: Told how many rows have been predicted, each time some have.

    Returns:
        The prediction of the model, and the standard deviation of those of the committee; float32, shape
        (rows,), NaN in rows where all cells are empty.
    """
    # Boosting waits for its threads after every tree: on a busy machine that takes most of the time.
    with threadpool_limits(1):
        return _predict(members, matrix, advance)


def _predict(
    members: Sequence[Model], matrix: np.ndarray, advance: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    predicted = np.full(len(matrix), np.nan, np.float32)
    deviation = predicted.copy()
    for start in range(0, len(matrix), _BATCH):
        batch = matrix[start : start + _BATCH]
        known = ~np.isnan(batch).all(1)
        if known.any():
            rows = np.flatnonzero(known) + start
            predicted[rows] = members[0].predict(batch[known])
            others = [member.predict(batch[known]) for member in members[1:]]
            deviation[rows] = np.std(others, axis=0, ddof=1)
        advance(len(batch))
    return predicted, deviation


def next_rows(deviation: np.ndarray, groups: np.ndarray, rated: np.ndarray, count: int) -> np.ndarray:
    """The rows to rate next: those on which the committee disagrees most, spread over the groups.

    The least sure row of every group comes first, then the second of every group, and so on.

    Args:
        deviation: See `predict`; rows of NaN are left out.
        groups: A whole number for each row.
        rated: Numbers of the rows that are rated already.
        count: How many.

    Returns:
        Their numbers, the least sure first.
    """
    open_rows = np.isfinite(deviation)
    open_rows[rated] = False
    rows = np.flatnonzero(open_rows)
    rows = rows[np.lexsort((-deviation[rows], groups[rows]))]
    place = np.arange(len(rows)) - np.searchsorted(groups[rows], groups[rows])
    chosen = rows[np.lexsort((-deviation[rows], place))][:count]
    return chosen[np.argsort(-deviation[chosen], kind="stable")]
