"""The models that ratings are predicted with: ridge regression and gradient boosting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge, RidgeCV

_ALPHAS = np.logspace(-1, 4, 16)
_SKEW = 3.0  # how many times farther from the median the upper end lies than the lower, for a logarithm
_TAIL = 1.0  # percent of the rated rows at either end, beyond which a value counts as that percentile

_FIRST_COMPONENTS = 16
_BOOSTING: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 80,
    "max_leaf_nodes": 6,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}


class Model(Protocol):
    """Predicts numbers from the columns of a matrix, in which NaN is an empty cell."""

    def fit(self, matrix: np.ndarray, values: np.ndarray) -> Model:
        """Learn from rows of shape (rows, columns) and their values; returns itself."""
        ...

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Predict the values of rows: float64, shape (rows,)."""
        ...

    def refit(self, matrix: np.ndarray, values: np.ndarray) -> Model:
        """Another model, learned from other rows with the settings that this one chose."""
        ...


class _Ridge:
    """Ridge regression on the standardised columns; its strength is chosen by leave-one-out error.

    An empty cell counts as the median, and a column that has some gets one more that says where. Values
    beyond the first and the last percentile of the rated rows count as that percentile, so that one odd row
    bends nothing and is predicted within reason. Of a column that is far longer above its median than below,
    as speeds and counts are, the logarithm counts.

    Args:
        columns: How many of the columns are scores; those after them are components of embeddings, which
            keep their proportions.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._alpha: float | None = None

    def fit(self, matrix: np.ndarray, values: np.ndarray) -> _Ridge:
        self._prepare(np.asarray(matrix, np.float64))
        design = self._design(matrix)
        self._center = design.mean(0)
        deviation = design.std(0)
        self._scale = np.where(deviation > 1e-9 * (1 + np.abs(self._center)), deviation, np.inf)
        vectors = matrix.shape[1] - self._columns
        if vectors:
            self._scale[-vectors:] = 1.0
        inputs = (design - self._center) / self._scale
        if self._alpha is None:
            chosen = RidgeCV(alphas=_ALPHAS).fit(inputs, values)
            self._alpha = np.asarray(chosen.alpha_, np.float64).item()
            self._ridge: Ridge | RidgeCV = chosen
        else:
            self._ridge = Ridge(alpha=self._alpha).fit(inputs, values)
        return self

    def refit(self, matrix: np.ndarray, values: np.ndarray) -> _Ridge:
        other = _Ridge(self._columns)
        other._alpha = self._alpha
        return other.fit(matrix, values)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        design = self._design(matrix)
        return self._ridge.predict((design - self._center) / self._scale)

    def _prepare(self, matrix: np.ndarray) -> None:
        low, middle, high = np.nanpercentile(_filled(matrix), (_TAIL, 50, 100 - _TAIL), axis=0)
        logs = (low >= 0) & (high - middle > _SKEW * (middle - low))
        logs[self._columns :] = False
        positive = np.where(matrix > 0, matrix, np.nan)
        self._logs = np.flatnonzero(logs & (positive > 0).any(0))
        self._offsets = 0.1 * np.nanmedian(positive[:, self._logs], axis=0)
        matrix = self._scaled(matrix)
        percentiles = (_TAIL, 50, 100 - _TAIL)
        self._low, self._median, self._high = np.nanpercentile(_filled(matrix), percentiles, axis=0)
        empty = np.isnan(matrix)
        self._gaps = np.flatnonzero(empty.any(0) & ~empty.all(0))

    def _scaled(self, matrix: np.ndarray) -> np.ndarray:
        """A copy in float64, with the logarithm of the columns that are skewed."""
        scaled = np.array(matrix, np.float64)
        scaled[:, self._logs] = np.log(np.maximum(scaled[:, self._logs], 0) + self._offsets)
        return scaled

    def _design(self, matrix: np.ndarray) -> np.ndarray:
        matrix = self._scaled(matrix)
        empty = np.isnan(matrix)
        inside = np.clip(np.where(empty, self._median, matrix), self._low, self._high)
        return np.hstack([inside[:, : self._columns], empty[:, self._gaps], inside[:, self._columns :]])


def _filled(matrix: np.ndarray) -> np.ndarray:
    """The matrix, 0 in a column without a number: such a column says nothing."""
    return np.where(np.isnan(matrix).all(0), 0.0, matrix)


class _Boosting:
    """Gradient boosting of small trees; empty cells go the way that predicts best.

    Trees find little in many columns of which each says little: of the components of embeddings it takes the
    first ones.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def _used(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[:, : self._columns + _FIRST_COMPONENTS]

    def fit(self, matrix: np.ndarray, values: np.ndarray) -> _Boosting:
        self._model = HistGradientBoostingRegressor(
            min_samples_leaf=max(3, min(20, len(values) // 20)), **_BOOSTING
        ).fit(self._used(matrix), values)
        return self

    def refit(self, matrix: np.ndarray, values: np.ndarray) -> _Boosting:
        return _Boosting(self._columns).fit(matrix, values)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return self._model.predict(self._used(matrix))


MODELS: dict[str, Callable[[int], Model]] = {"ridge": _Ridge, "boosting": _Boosting}
"""Every model by its name, the simplest first; each is made with the number of columns that are scores."""
