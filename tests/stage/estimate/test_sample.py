"""Samples of rows, and what is estimated from them: sums that are known, of tables of many kinds."""

import numpy as np
import pytest

from tools.stage.estimate.sample import MOST_ROWS, Sample

RNG = np.random.default_rng(3)
TABLES = {
    "all alike": np.ones(5000),
    "lognormal": RNG.lognormal(2, 1.5, 5000),
    "one film": np.r_[np.ones(4999), 5000.0],
    "few": RNG.uniform(1, 9, 45),
}


@pytest.mark.parametrize("costs", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("fixed", [0.0, 0.3, 1.0])
def test_totals_of_rows_whose_time_is_a_line(costs, fixed):
    seconds = fixed * costs.mean() + (1 - fixed) * costs
    sample = Sample.of(costs)
    assert len(sample.numbers) <= MOST_ROWS and len(set(sample.numbers.tolist())) == len(sample.numbers)
    measured = {int(number): float(seconds[number]) for number in sample.numbers}
    assert sample.total(measured) == pytest.approx(seconds.sum(), rel=0.05)
    row, cost = sample.rates(measured)
    assert row * len(costs) + cost * costs.sum() == pytest.approx(sample.total(measured))
    if costs.std() > 0.5 * costs.mean():  # else both parts are the same thing
        assert row * len(costs) == pytest.approx(fixed * seconds.sum(), rel=0.15, abs=0.05 * seconds.sum())


def test_totals_of_rows_that_scatter():
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        costs = rng.lognormal(2, 1.5, 3000)
        seconds = costs * rng.lognormal(0, 0.4, 3000)
        measured = {int(number): float(seconds[number]) for number in Sample.of(costs).numbers}
        errors.append(Sample.of(costs).total(measured) / seconds.sum() - 1)
    # The standard deviation of the mean of 30 is 0.4 / 30 ** 0.5, about 0.08.
    assert abs(np.mean(errors)) < 0.05 and np.std(errors) < 0.15


def test_a_table_that_is_small_is_its_own_sample():
    costs = np.array([3.0, 1.0, 2.0])
    sample = Sample.of(costs)
    assert sample.numbers.tolist() == [0, 2, 1]
    assert sample.total({0: 30.0, 1: 5.0, 2: 7.0}) == pytest.approx(42.0)


def test_rows_without_a_measure_are_taken_for_average_ones():
    sample = Sample.of(np.ones(20))
    assert sample.total(dict.fromkeys(range(5), 2.0)) == pytest.approx(40.0)


def test_rates_are_not_negative():
    sample = Sample.of(np.arange(1.0, 200.0))
    falling = {int(number): float(200 - number) for number in sample.numbers}
    assert min(sample.rates(falling)) >= 0
