"""How good a model is on clips that it has not seen: error and rank correlation, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tools.datasets.rate.models import Model

Z_95 = 1.959964  # of the normal distribution
_RESAMPLES = 400
_MANY = 5000  # rows, beyond which a quarter of the resamples will do
_WITHOUT_SIGNAL = 1.5  # by how much the variance of a correlation is larger there, see `interval`
_CLOSE_TO_1 = 0.9999
_SHUFFLES = 3


@dataclass(frozen=True)
class Validation:
    """Error of a model on rows that it has not learned from.

    Attributes:
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        correlation: Spearman's rank correlation of predictions and ratings.
        low: Lower end of its 95 % confidence interval.
        high: Upper end.
        drawn: The correlation in each resample of the bootstrap, float64.
    """

    mae: float
    rmse: float
    correlation: float
    low: float
    high: float
    drawn: np.ndarray


def folds_of(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each row: rows of one group are in one fold, and folds are about equally large.

    Args:
        groups: A whole number for each row.
        folds: How many; no more than there are groups.
        rng: Draws which groups come together.
    """
    names, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    loads = np.zeros(folds, int)
    of_group = np.empty(len(names), int)
    for group in order:
        of_group[group] = loads.argmin()
        loads[of_group[group]] += sizes[group]
    return of_group[places]


def splits(groups: np.ndarray, folds: int, repeats: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Repeated K-fold: the number of the repetition, and which rows are held out (bool)."""
    for repeat in range(repeats):
        fold = folds_of(groups, folds, np.random.default_rng([seed, repeat]))
        for number in range(folds):
            yield repeat, fold == number


def held_out_predictions(
    make: Callable[[], Model],
    matrix: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of each row by models that have not seen its group.

    Returns:
        The predictions; the same less the mean of what that model predicts for all rows, and divided by its
        deviation; and what predicting the mean of the rows learned from would give. Float64, each of shape
        (repeats, rows).
    """
    predicted = np.empty((repeats, len(values)))
    standardized, means = np.empty_like(predicted), np.empty_like(predicted)
    for repeat, held_out in splits(groups, folds, repeats, seed):
        model = make().fit(matrix[~held_out], values[~held_out])
        everything = model.predict(matrix)
        predicted[repeat, held_out] = everything[held_out]
        standardized[repeat, held_out] = _standardized(everything)[held_out]
        means[repeat, held_out] = values[~held_out].mean()
    return predicted, standardized, means


def _standardized(predicted: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1; rounded, so that rows which two models take for equal stay equal."""
    centered = predicted - predicted.mean()
    deviation = centered.std()
    return np.round(centered / deviation, 9) if deviation > 1e-12 else np.zeros_like(centered)


def validate(
    predicted: np.ndarray,
    standardized: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    *,
    columns: float,
    seed: int,
) -> Validation:
    """Errors and rank correlation of `held_out_predictions`, each the mean over the repetitions.

    The correlation is that of the standardized predictions: outside a fold of high ratings the mean is low,
    so that what models without a signal predict, and rows that are equal, would seem to rank backwards.
    """
    residuals = predicted - values
    correlation = float(mean_spearman(standardized, values, np.ones((1, len(values))))[0])
    drawn = _resampled(standardized, values, groups, seed)
    low, high = interval(correlation, len(values), columns, drawn)
    return Validation(
        mae=float(np.abs(residuals).mean()),
        rmse=float(np.sqrt((residuals**2).mean())),
        correlation=correlation,
        low=low,
        high=high,
        drawn=drawn,
    )


def interval(correlation: float, rows: int, columns: float, drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % confidence interval of a rank correlation.

    It is symmetric for Fisher's z = artanh(r). Its standard error is the larger one of two: that of Bonett
    and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman correlations
    (Psychometrika 65, 2000), sqrt((1 + r^2 / 2) / (n - 3)), for independent rows; and that of a bootstrap
    which draws groups, as clips of one video are alike.

    It is then made larger for models that have learned little. With slopes b of all rows and b + e of a fold,
    the rows outside it have b - e / (folds - 1): what a fold has by chance, the others lack. Without a signal
    the correlation therefore has the variance 2 / n, not 1 / n, and in simulations 2.5 / n, as settings of
    the model are chosen, too; the excess goes as n r^2 exceeds the number of columns.

    Args:
        correlation: The correlation.
        rows: How many rows it was computed from.
        columns: How many columns the model had, at least 1.
        drawn: The correlation in each resample of the bootstrap.
    """
    z = float(_fisher(np.array(correlation)))
    error = np.sqrt((1 + correlation**2 / 2) / max(rows - 3, 1))
    error = max(float(error), float(_fisher(drawn).std(ddof=1)))
    error *= np.sqrt(1 + _WITHOUT_SIGNAL / (1 + rows * correlation**2 / max(columns, 1)))
    return float(np.tanh(z - Z_95 * error)), float(np.tanh(z + Z_95 * error))


def _fisher(correlations: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(correlations, -_CLOSE_TO_1, _CLOSE_TO_1))


def _resampled(predicted: np.ndarray, values: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """The correlation in samples of groups that are drawn with replacement; the same draws for each model."""
    names, places = np.unique(groups, return_inverse=True)
    draws = _RESAMPLES if len(values) <= _MANY else _RESAMPLES // 4
    chosen = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    return mean_spearman(predicted, values, chosen[:, places])


def resampled_rows(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows of as many groups as there are, drawn with replacement."""
    order = np.argsort(groups, kind="stable")
    names, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    chosen = rng.integers(len(names), size=len(names))
    if len(names) == len(groups):
        return order[chosen]
    return np.concatenate([order[starts[group] : starts[group] + sizes[group]] for group in chosen])


def mean_spearman(predicted: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each of several predictions with the values, and their mean.

    Args:
        predicted: Shape (repeats, rows).
        values: Shape (rows,).
        weights: How often each row is in each sample, shape (samples, rows).

    Returns:
        Float64, shape (samples,). A correlation is 0 where all values of one side are equal.
    """
    weights = weights.astype(np.float64)
    other = _centered_ranks(values, weights)
    square = (weights * other**2).sum(1)
    total = np.zeros(len(weights))
    for one in predicted:
        ranks = _centered_ranks(one, weights)
        lengths = np.sqrt((weights * ranks**2).sum(1) * square)
        total += (weights * ranks * other).sum(1) / np.where(lengths > 0, lengths, np.inf)
    return total / len(predicted)


def _centered_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of the values less their mean, when each is there as often as its weight; ties share one."""
    _, places = np.unique(values, return_inverse=True)
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    there = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = (there.cumsum(1) - there + (there + 1) / 2)[:, places]
    return ranks - (weights * ranks).sum(1, keepdims=True) / weights.sum(1, keepdims=True)


def simplest(validations: dict[str, Validation]) -> str:
    """The first model that does not rank clearly worse than the best one.

    Clearly: by more than one standard error of the difference of their rank correlations.
    """
    best = max(validations, key=lambda name: validations[name].correlation)
    for name, validation in validations.items():
        error = (validations[best].drawn - validation.drawn).std(ddof=1)
        if validations[best].correlation - validation.correlation <= error:
            return name
    return best


def importances(
    make: Callable[[], Model],
    matrix: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
    blocks: dict[str, slice],
    *,
    folds: int,
    seed: int,
) -> dict[str, float]:
    """How much larger the error on held-out rows is when a column is shuffled among them.

    Args:
        make: Makes the model.
        matrix: See `held_out_predictions`.
        values: See there.
        groups: See there.
        blocks: The columns that are shuffled together, by name.
        folds: See there.
        seed: Of folds and shuffling.

    Returns:
        Name to the increase of the root of the mean squared error, the largest first.
    """
    rng = np.random.default_rng([seed, 1])
    whole = np.zeros(len(values))
    shuffled = {name: np.zeros(len(values)) for name in blocks}
    for _, held_out in splits(groups, folds, 1, seed):
        model = make().fit(matrix[~held_out], values[~held_out])
        rows = matrix[held_out]
        whole[held_out] = (model.predict(rows) - values[held_out]) ** 2
        for name, columns in blocks.items():
            changed = rows.copy()
            errors = []
            for _ in range(_SHUFFLES):
                order = rng.permutation(len(rows))
                changed[:, columns] = rows[order, columns]
                errors.append((model.predict(changed) - values[held_out]) ** 2)
            shuffled[name][held_out] = np.mean(errors, axis=0)
    base = np.sqrt(whole.mean())
    found = {name: float(np.sqrt(errors.mean()) - base) for name, errors in shuffled.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
