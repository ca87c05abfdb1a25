"""The values at which a handle stops, and how many rows of the whole table lie on either side of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_STEPS = 300  # of a handle from end to end, at least; at most 2.5 times as many


@dataclass(frozen=True)
class Steps:
    """Multiples of 1, 2 or 5 times a power of ten.

    Attributes:
        factor: 1, 2 or 5.
        exponent: Of the power of ten.
        first: The smallest multiple's number.
        below: For each multiple how many numbers are smaller; None where nobody needs it.
        within: How many are smaller or equal.
    """

    factor: int
    exponent: int
    first: int
    below: list[int] | None = None
    within: list[int] | None = None

    def value(self, number: int) -> float:
        """The Float64 of a multiple, as a program reads its decimal."""
        return float(f"{number * self.factor}e{self.exponent}")

    def as_dict(self) -> dict[str, Any]:
        """As the page reads it."""
        known = {"factor": self.factor, "exponent": self.exponent, "first": self.first}
        return known if self.below is None else {**known, "below": self.below, "within": self.within}


def find_steps(start: float, end: float, *, decimals: int, whole: np.ndarray | None = None) -> Steps:
    """The steps of a handle over a histogram.

    Args:
        start: Lower end of the histogram.
        end: Upper end.
        decimals: Steps have no more decimals than the numbers of the column.
        whole: Float64, NaN where empty: the numbers of all rows, to be counted at every step.
    """
    span = end - start or max(1.0, abs(end))  # around one large number the edges of a bin are one as well
    rough = min(max(span, 1e-290), 1e300) / _STEPS
    exponent = math.floor(math.log10(rough))
    factor = next((one for one in (1, 2, 5) if one * 10.0**exponent >= rough), 10)
    if factor == 10:
        factor, exponent = 1, exponent + 1
    if exponent < -decimals:
        factor, exponent = 1, -decimals
    step = factor * 10.0**exponent
    first, last = math.floor(start / step), math.ceil(end / step)
    steps = Steps(factor, exponent, first)
    if whole is None:
        return steps
    values = np.array([steps.value(number) for number in range(first, last + 1)])
    ordered = np.sort(whole[~np.isnan(whole)])
    below, within = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return Steps(factor, exponent, first, below.tolist(), within.tolist())
