"""Which rows are shown: properties that follow from what a person wants to see around a bound."""

import numpy as np
import pytest

from tools.report.sprites.choice import choose


def spread(values: np.ndarray, rows: np.ndarray) -> int:
    """Most rows between two neighbours of `rows`, by brute force over the sorted column."""
    order = np.argsort(values, kind="stable")
    order = order[~np.isnan(values[order])]
    widest = run = 0
    shown = set(rows.tolist())
    for row in order.tolist():
        run = 0 if row in shown else run + 1
        widest = max(widest, run)
    return widest


def test_all_rows_where_there_are_few():
    assert choose(0, {}, 300).tolist() == []
    assert choose(7, {"aes": np.arange(7.0)}, 300).tolist() == list(range(7))
    assert choose(300, {"aes": np.full(300, np.nan)}, 300).tolist() == list(range(300))


@pytest.mark.parametrize("budget", [0, 1, 2, 7, 50, 299])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_each_row_once_and_the_budget_spent(budget, count):
    rng = np.random.default_rng(5)
    scores = {f"s{i}": rng.normal(size=300) for i in range(count)}
    rows = choose(300, scores, budget)
    assert len(rows) == budget == len(set(rows.tolist()))
    assert rows.tolist() == sorted(rows.tolist()) and all(0 <= row < 300 for row in rows)


def test_the_best_and_the_worst_of_each_score_are_there():
    rng = np.random.default_rng(1)
    scores = {name: rng.normal(size=5000) for name in ("aes", "flow", "match")}
    rows = set(choose(5000, scores, 300).tolist())
    for values in scores.values():
        order = np.argsort(values).tolist()
        assert rows.issuperset(order[:12]) and rows.issuperset(order[-12:])


def test_any_bound_has_clips_near_on_both_sides():
    """240 rows chosen by 3 scores leave no gap wider than a fortieth of 10,000 rows in any of them."""
    rng = np.random.default_rng(2)
    scores = {"a": rng.normal(size=10_000), "b": rng.lognormal(size=10_000), "c": rng.uniform(size=10_000)}
    rows = choose(10_000, scores, 300)
    assert all(spread(values, rows) <= 250 for values in scores.values())


def test_scores_share_fairly_with_one_that_agrees_with_another():
    """A copy of a score takes its own rows further in, and the third score loses nothing."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=4000), rng.normal(size=4000)
    rows = choose(4000, {"a": a, "copy": a.copy(), "b": b}, 150)
    assert spread(b, rows) <= 200 and spread(a, rows) <= 100


def test_a_bound_between_few_values_has_both_sides():
    """99 % zeros, then 1 and 2: a bound at 1 or at 2 divides the chosen rows."""
    values = np.zeros(20_000)
    values[[17, 900, 5000, 19_999, *range(12_000, 12_150)]] = 1
    values[range(300, 340)] = 2
    rows = choose(20_000, {"cuts": values}, 60)
    shown = values[rows]
    assert {0, 1, 2} == set(shown.tolist())
    assert (shown == 1).sum() >= 2


def test_equal_values_are_not_taken_from_the_beginning_of_the_table():
    values = np.r_[np.zeros(5000), np.ones(5000)]
    rows = choose(10_000, {"intact": values}, 100)
    assert 0.2 < (rows[rows < 5000] < 2500).mean() < 0.8


def test_empty_cells_infinities_and_constant_columns():
    rng = np.random.default_rng(4)
    some = np.full(3000, np.nan)
    some[100:110] = np.arange(10.0)
    odd = rng.normal(size=3000)
    odd[7], odd[8] = np.inf, -np.inf
    scores = {"some": some, "odd": odd, "none": np.full(3000, np.nan), "same": np.full(3000, 4.5)}
    rows = choose(3000, scores, 100)
    assert len(set(rows.tolist())) == 100
    assert set(range(100, 110)) <= set(rows.tolist()), "all ten rows that have a value"
    assert {7, 8} <= set(rows.tolist())


def test_the_same_seed_gives_the_same_rows():
    rng = np.random.default_rng(6)
    scores = {"aes": rng.normal(size=2000)}
    first = choose(2000, scores, 100, seed=1)
    assert first.tolist() == choose(2000, scores, 100, seed=1).tolist()
    assert first.tolist() != choose(2000, scores, 100, seed=2).tolist()


def test_without_scores_chance_decides():
    rows = choose(10_000, {}, 1000)
    assert abs(rows.mean() - 5000) < 4 * 10_000 / np.sqrt(12 * 1000), "mean of a uniform sample, 4 sigma"


def test_an_array_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="score aes: 3 values for 4 rows"):
        choose(4, {"aes": np.zeros(3)}, 2)
