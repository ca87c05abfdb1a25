"""What ratings stand for, by hand; Krippendorff's alpha by the sums over all pairs that define it."""

import itertools

import numpy as np
import pytest

from tools.datasets.rate.targets import agreement_of, targets_of
from tools.errors import UserError
from tools.report.ratings import Rating


def test_ratings_count_as_they_are():
    pairs = [(Rating("a", rating=4), 7), (Rating("b", rating=1.5, keep=True), 2)]
    targets = targets_of(pairs)
    assert targets.rows.tolist() == [2, 7] and targets.values.tolist() == [1.5, 4]
    assert (targets.low, targets.high, targets.keep, targets.reject) == (1, 5, None, None)


def test_keep_and_reject_alone_are_1_and_0():
    targets = targets_of([(Rating("a", keep=True), 0), (Rating("b", keep=False), 1)])
    assert targets.values.tolist() == [1, 0]
    assert (targets.low, targets.high) == (0, 1)


def test_in_a_mixture_they_stand_for_the_ratings_of_their_side():
    said = [5, 4, 4.5, 3, 1]
    pairs = [(Rating("a", rating=value), row) for row, value in enumerate(said)]
    targets = targets_of([*pairs, (Rating("b", keep=True), 8), (Rating("c", keep=False), 9)])
    assert targets.values.tolist() == [*said, 4.5, 1]  # (5 + 4 + 4.5) / 3, and 1; 3 is on neither side
    lonely = targets_of(
        [(Rating("a", rating=3), 0), (Rating("b", keep=True), 1), (Rating("c", keep=False), 2)]
    )
    assert lonely.values.tolist() == [3, 4, 2]


def test_raters_are_averaged_each_once():
    pairs = [
        (Rating("a", rating=1, rater="ada"), 0),
        (Rating("a", "1", rating=2, rater="ada"), 0),  # the same rater with and without an id
        (Rating("a", rating=5, rater="ben"), 0),
        (Rating("b", rating=2, rater="ben"), 1),
    ]
    targets = targets_of(pairs)
    assert targets.values.tolist() == [(1.5 + 5) / 2, 2]
    assert list(targets.raters.items()) == [("ada", 2), ("ben", 2)]
    assert targets.agreement.rows == 1 and targets.agreement.difference == 3.5


def test_lines_of_an_audit_are_not_learned():
    with pytest.raises(UserError, match="no line has a rating or keep"):
        targets_of([(Rating("a", defects=("text",)), 0)])
    mixed = [(Rating("a", defects=("text",)), 0), (Rating("b", rating=2), 1)]
    assert targets_of(mixed).rows.tolist() == [1]


def alpha_by_pairs(votes):
    """Krippendorff (2011) as it is defined: sums over ordered pairs of values."""
    votes = [v for v in votes if len(v) > 1]
    everything = [value for v in votes for value in v]
    n = len(everything)
    observed = sum((a - b) ** 2 / (len(v) - 1) for v in votes for a, b in itertools.permutations(v, 2)) / n
    expected = sum((a - b) ** 2 for a, b in itertools.permutations(everything, 2)) / (n * (n - 1))
    return 1 - observed / expected


def test_krippendorffs_alpha():
    rng = np.random.default_rng(0)
    votes = [rng.integers(1, 6, size=rng.integers(1, 4)).astype(float).tolist() for _ in range(30)]
    found = agreement_of(votes)
    assert found.alpha == pytest.approx(alpha_by_pairs(votes), abs=1e-12)
    assert found.rows == sum(len(v) > 1 for v in votes)
    pairs = [abs(a - b) for v in votes for a, b in itertools.combinations(v, 2)]
    assert found.difference == pytest.approx(np.mean(pairs))


def test_agreement_at_its_ends():
    assert agreement_of([[1, 1], [5, 5], [3]]).alpha == 1
    assert np.isnan(agreement_of([[4, 4], [4, 4]]).alpha)
    assert agreement_of([[1], [2]]) is None
