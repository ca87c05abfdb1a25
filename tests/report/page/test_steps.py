"""The steps of a handle: how wide, and how many rows lie on either side, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tools.report.page.steps import find_steps


@pytest.mark.parametrize(
    ("start", "end", "decimals", "factor", "exponent"),
    [
        (0, 3, 6, 1, -2),
        (0, 7, 6, 5, -2),
        (1.5, 1.5003, 9, 1, -6),
        (-0.5, 4.5, 0, 1, 0),
        (0, 2e9, 0, 1, 7),
        (1e17, 1e17, 0, 5, 14),
    ],
)
def test_a_step_is_a_round_number(
    start: float, end: float, decimals: int, factor: int, exponent: int
) -> None:
    """The smallest of 1, 2, 5 x 10^n that takes at most 300 steps, with no more decimals than the column."""
    steps = find_steps(start, end, decimals=decimals)
    assert (steps.factor, steps.exponent) == (factor, exponent)


def test_rows_on_either_side() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(2000) < 0.1, np.nan, np.round(rng.normal(0, 1, 2000), 2))
    steps = find_steps(-2, 2, decimals=2, whole=values)
    assert steps.below is not None and steps.within is not None
    for place in range(0, len(steps.below), 17):
        bound = steps.value(steps.first + place)
        assert steps.below[place] == (values < bound).sum()
        assert steps.within[place] == (values <= bound).sum()
