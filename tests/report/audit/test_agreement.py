"""Expected values: worked examples, the formulas of Cohen and of Fleiss as they are printed, and symmetry."""

import numpy as np
import pytest

from tools.report.audit.agreement import cohen_kappa, fleiss_kappa, measure_agreement

NO = float("nan")


def _from_table(both, first, second, neither):
    """Answers of two raters, from the four cells of their table."""
    pairs = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return np.array(pairs, dtype=float)


def test_kappa_of_two_raters_by_hand():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = 0.7, p_e = 0.5 x 0.6 + 0.5 x 0.4 = 0.5, kappa 0.4
    answers = _from_table(20, 5, 10, 15)
    assert cohen_kappa(*answers.T) == pytest.approx(0.4)
    found = measure_agreement(answers)
    assert (found.clips, found.method) == (50, "Cohen")
    assert (found.observed, found.kappa) == (pytest.approx(0.7), pytest.approx(0.4))


@pytest.mark.parametrize(
    ("table", "kappa"),
    # sklearn 1.9.1: cohen_kappa_score of the same answers
    [((3, 7, 2, 88), 0.3571428571428571), ((0, 10, 10, 80), -0.11111111111111116), ((10, 0, 0, 90), 1.0)],
)
def test_kappa_of_two_raters_as_sklearn_has_it(table, kappa):
    assert cohen_kappa(*_from_table(*table).T) == pytest.approx(kappa)


def _as_printed_by_fleiss(yes, raters):
    """Fleiss 1971, equations 1 to 7, for two categories and the same number of raters n for each clip."""
    count = np.stack([yes, raters - yes], axis=1)
    clips, n = len(count), raters[0]
    shares = count.sum(axis=0) / (clips * n)
    agreement = ((count**2).sum(axis=1) - n) / (n * (n - 1))
    expected = (shares**2).sum()
    return (agreement.mean() - expected) / (1 - expected)


def test_kappa_of_several_raters_is_that_of_fleiss():
    random = np.random.default_rng(1)
    for n in (2, 3, 14):
        yes = random.binomial(n, random.beta(0.5, 2, size=40))
        raters = np.full(40, n)
        assert fleiss_kappa(yes, raters) == pytest.approx(_as_printed_by_fleiss(yes, raters))


def test_kappa_with_other_numbers_of_raters_for_each_clip_by_hand():
    # x of m: 2 of 2, 1 of 3, 0 of 2. p = 3/7; sum x(m-x)/m = 2/3; mean m = 7/3
    expected = 1 - (2 / 3) / (3 * (7 / 3 - 1) * (3 / 7) * (4 / 7))
    answers = np.array([[1, 1, NO], [1, 0, 0], [NO, 0, 0]])
    found = measure_agreement(answers)
    assert found.method == "Fleiss" and found.kappa == pytest.approx(expected)
    assert found.observed == pytest.approx((1 + 1 / 3 + 1) / 3)  # of three pairs in the second one agrees


def test_clips_of_one_rater_are_left_out():
    answers = np.vstack([_from_table(20, 5, 10, 15), [[1, NO], [NO, 0]]])
    assert measure_agreement(answers) == measure_agreement(_from_table(20, 5, 10, 15))
    assert measure_agreement(np.array([[1, NO], [NO, 0]])).clips == 0


def test_a_third_rater_who_shares_no_clip_takes_no_part():
    answers = np.array([[1, 1, NO], [0, 0, NO], [0, 1, NO], [NO, NO, 1]])
    assert measure_agreement(answers).method == "Cohen"


@pytest.mark.parametrize("answer", [0, 1])
def test_kappa_of_one_and_the_same_answer_is_not_defined(answer):
    for raters in (2, 3):
        found = measure_agreement(np.full((5, raters), float(answer)))
        assert found.kappa is None and found.observed == 1


def test_raters_at_random_agree_as_chance_has_it():
    answers = (np.random.default_rng(2).random((20_000, 3)) < 0.2).astype(float)
    found = measure_agreement(answers)
    assert found.kappa == pytest.approx(0, abs=0.02)
    assert found.observed == pytest.approx(0.2**2 + 0.8**2, abs=0.01)
