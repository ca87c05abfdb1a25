"""Expected values: scipy, the equation that the ends solve, and the exact hypergeometric distribution."""

import math

import numpy as np
import pytest

from tools.report.audit.intervals import wilson

Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution

# scipy 1.17.1: binomtest(found, tried).proportion_ci(0.95, method="wilson")
SCIPY = {
    (0, 1): (0.0, 0.7934506856227626),
    (1, 1): (0.20654931437723745, 1.0),
    (3, 7): (0.1582198552514697, 0.7495416354723428),
    (0, 100): (0.0, 0.03699349820698568),
    (1, 100): (0.001767432064140647, 0.054486196178705315),
    (14, 500): (0.016750974720756442, 0.04644640267494887),
    (250, 500): (0.4563412653024843, 0.5436587346975157),
    (499, 500): (0.9887592932948532, 0.9996468636054407),
    (500, 500): (0.9923756595384479, 1.0),
    (28003, 1000003): (0.02768136820820888, 0.02832809006420947),
}


@pytest.mark.parametrize("counts", SCIPY)
def test_the_interval_of_scipy(counts):
    assert wilson(*counts) == pytest.approx(SCIPY[counts], abs=1e-12)


def test_another_confidence():
    # scipy 1.17.1, as above with 0.99
    expected = (0.014316027626576862, 0.05404660754400526)
    assert wilson(14, 500, confidence=0.99) == pytest.approx(expected, abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 0, population=10) == (0, 1)


def test_none_and_all_are_ends_of_their_intervals_exactly():
    for tried in (*range(1, 60), 12345):
        assert wilson(0, tried).low == 0 and wilson(tried, tried).high == 1


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5)])
def test_counts_that_do_not_go_together(counts):
    with pytest.raises(ValueError, match="Invalid counts"):
        wilson(*counts)


def test_more_tried_than_there_are():
    with pytest.raises(ValueError, match="Invalid counts"):
        wilson(2, 5, population=4)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_that_is_none(confidence):
    with pytest.raises(ValueError, match="Invalid confidence"):
        wilson(2, 5, confidence=confidence)


def test_a_table_of_which_every_row_was_tried_has_one_share():
    assert wilson(3, 8, population=8) == (3 / 8, 3 / 8)


def test_a_large_table_is_as_one_without_end():
    assert wilson(14, 500, population=10**8) == pytest.approx(wilson(14, 500), abs=1e-6)


@pytest.mark.parametrize(("found", "tried", "rows"), [(0, 9, 10), (14, 500, 700), (3, 7, 50), (60, 80, 4000)])
def test_the_ends_of_a_finite_table_by_brute_force(found, tried, rows):
    """The shares K / rows that the test of Wilson does not reject, and one more on each side."""
    possible = range(found, rows - tried + found + 1)
    kept = [
        k
        for k in possible
        if abs(found / tried - k / rows)
        <= Z * math.sqrt(k / rows * (1 - k / rows) / tried * (rows - tried) / (rows - 1))
    ]
    low, high = wilson(found, tried, population=rows)
    # The next share outward, unless the tried rows rule it out.
    assert round(low * rows) == max(found, min(kept) - 1)
    assert round(high * rows) == min(rows - tried + found, max(kept) + 1)


def _chances(tried, bad, rows):
    """Hypergeometric distribution: the chance of each number of bad ones among the tried."""
    found = np.arange(tried + 1)
    log = np.array([math.lgamma(n + 1) for n in range(rows + 1)])

    def choose(n, k):
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        return np.where(inside, np.exp(log[n] - log[k] - log[n - k]), 0)

    together = choose(bad, found) * choose(rows - bad, tried - found)
    return together / together.sum()


@pytest.mark.parametrize(("tried", "rows"), [(5, 20), (19, 20), (50, 100), (95, 100), (250, 300)])
def test_how_often_the_interval_of_a_finite_table_holds_the_truth(tried, rows):
    """Exactly, for every number of bad rows: no draw is left to chance."""
    intervals = np.array([wilson(found, tried, population=rows) for found in range(tried + 1)]) * rows
    holds = [
        _chances(tried, bad, rows)[(intervals[:, 0] < bad + 1e-6) & (intervals[:, 1] > bad - 1e-6)].sum()
        for bad in range(rows + 1)
    ]
    assert np.mean(holds) >= 0.95 and min(holds) >= 0.94


@pytest.mark.parametrize("share", [0.01, 0.028, 0.2, 0.5])
def test_the_interval_of_a_drawn_share_holds_the_truth_in_95_of_100_draws(share):
    random = np.random.default_rng(7)
    counts = random.binomial(500, share, size=20_000)
    intervals = np.array([wilson(found, 500) for found in range(501)])
    holds = np.mean((intervals[counts, 0] <= share) & (share <= intervals[counts, 1]))
    # Wilson's interval covers 95 % on average over all shares; at one share it swings by a per cent or two
    # (Brown, Cai and DasGupta 2001, figure 5).
    assert holds == pytest.approx(0.95, abs=0.02)
