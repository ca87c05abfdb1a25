"""Expected values: what a simple random sample is, and rows that were written down once."""

import math

import numpy as np
import pytest

from tools.report.audit.sample import draw


def test_rows_are_drawn_once_each():
    rows = draw(1000, 500, 1).rows
    assert len(set(rows.tolist())) == 500 and rows.min() >= 0 and rows.max() < 1000


def test_the_same_seed_the_same_rows():
    assert (draw(1000, 50, 3).rows == draw(1000, 50, 3).rows).all()
    assert (draw(1000, 50, 3).rows != draw(1000, 50, 4).rows).any()


def test_a_seed_means_the_same_in_every_version():
    assert draw(1_000_000, 5, 1).rows.tolist() == [435569, 353816, 463230, 749644, 742132]
    assert draw(10, 3, 1).rows.tolist() == [2, 0, 1]


def test_a_larger_sample_begins_with_the_smaller():
    assert draw(1000, 500, 1).rows[:200].tolist() == draw(1000, 200, 1).rows.tolist()


def test_more_than_there_are_is_all_and_said():
    sample = draw(10, 20, 1)
    assert sorted(sample.rows.tolist()) == list(range(10))
    assert sample.describe == "all 10 rows; 20 were asked for"
    assert draw(10, 10, 1).describe == "all 10 rows"
    assert draw(12_000, 500, 1).describe == "500 of 12,000 rows, drawn with seed 1"


@pytest.mark.parametrize(("population", "wanted"), [(0, 5), (5, 0)])
def test_nothing_to_draw(population, wanted):
    assert draw(population, wanted, 1).rows.size == 0


def test_every_row_and_every_pair_of_rows_is_drawn_as_often():
    """Simple random sampling: each row with chance n/N, each pair with n(n-1) / N(N-1)."""
    times, rows, wanted = 3000, 8, 3
    drawn = np.zeros((times, rows))
    for seed in range(times):
        drawn[seed, draw(rows, wanted, seed).rows] = 1
    pairs = (drawn.T @ drawn) / times
    alone, together = wanted / rows, wanted * (wanted - 1) / (rows * (rows - 1))
    for chance, seen in ((alone, np.diag(pairs)), (together, pairs[np.triu_indices(rows, 1)])):
        assert np.abs(seen - chance).max() < 4.5 * math.sqrt(chance * (1 - chance) / times)


def test_every_place_of_the_order_is_as_likely():
    first = np.array([draw(5, 5, seed).rows[0] for seed in range(3000)])
    assert np.abs(np.bincount(first) / 3000 - 0.2).max() < 4.5 * math.sqrt(0.2 * 0.8 / 3000)
