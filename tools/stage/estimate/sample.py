"""A sample of the rows of a run, from which the whole is estimated: its time, for example.

The rows are ordered by what they cost, and rows are taken at equal distances along the sum of a measure that
is half the number of rows and half their costs. So a table of many short clips and a few long films gives
both. What is measured on row i counts divided by its share m_i of the measure: the mean of these is an
estimate of the whole that needs no model (M. H. Hansen and W. N. Hurwitz, On the theory of sampling from
finite populations, 1943).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MOST_ROWS = 30


class Rates(NamedTuple):
    """What a row takes: so much for the row, and so much for each unit of its cost."""

    row: float
    cost: float


@dataclass(frozen=True)
class Sample:
    """Some rows of a run.

    Attributes:
        numbers: Which, in the order of their costs, the highest first.
        shares: For each its share of the measure.
        weights: How often each was drawn.
        rows: Rows of the run.
        cost: Sum of their costs.
    """

    numbers: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    rows: int
    cost: float

    @classmethod
    def of(cls, costs: np.ndarray, most: int = MOST_ROWS) -> Sample:
        """Take a sample.

        Args:
            costs: What each row costs, see `tools.stage.estimate.costs`; at least one row.
            most: Most rows of the sample.
        """
        costs = costs.astype(np.float64)
        total = float(costs.sum())
        measure = (1 / len(costs) + costs / total) / 2
        order = np.argsort(-costs, kind="stable")
        if len(costs) <= most:
            return cls(order, measure[order], measure[order] * len(costs), len(costs), total)
        places = (np.arange(most) + 0.5) / most
        drawn = np.minimum(np.searchsorted(np.cumsum(measure[order]), places), len(order) - 1)
        chosen, times = np.unique(drawn, return_counts=True)
        numbers = order[chosen]
        return cls(numbers, measure[numbers], times.astype(np.float64), len(costs), total)

    def total(self, values: Mapping[int, float]) -> float:
        """The estimated sum over all rows of what was measured on some rows of the sample.

        Args:
            values: What was measured, by the numbers of rows; at least one.
        """
        x, weights, _ = self._measured(values)
        return float((weights * x).sum() / weights.sum())

    def rates(self, values: Mapping[int, float]) -> Rates:
        """What a row takes by itself and what its cost adds: the best line through what was measured.

        Neither is negative, and for all rows they add up to `total`.
        """
        x, weights, even = self._measured(values)
        mean, center = (float((weights * v).sum() / weights.sum()) for v in (x, even))
        spread = float((weights * (even - center) ** 2).sum())
        slope = float((weights * (even - center) * (x - mean)).sum()) / spread if spread > 1e-12 else 0.0
        whole = float(mean)
        # On a row that is all measure "number of rows", even is 1: its x is twice the part of the rows.
        by_rows = min(max((mean + slope * (1 - center)) / 2, 0.0), whole) if spread > 1e-12 else whole / 2
        return Rates(by_rows / self.rows, (whole - by_rows) / self.cost)

    def _measured(self, values: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each measured row: its value by its share, its weight, and which part of its share is even."""
        chosen = [i for i, number in enumerate(self.numbers.tolist()) if number in values]
        shares = self.shares[chosen]
        found = np.array([values[number] for number in self.numbers[chosen].tolist()], np.float64)
        return found / shares, self.weights[chosen], 0.5 / self.rows / shares
