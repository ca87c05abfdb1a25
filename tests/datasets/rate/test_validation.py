"""Folds by their definition, correlations by SciPy, intervals by theory and by simulation."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra rate is not installed")

from scipy.stats import norm, spearmanr

from tools.datasets.rate.models import MODELS
from tools.datasets.rate.validation import (
    Validation,
    folds_of,
    held_out_predictions,
    importances,
    interval,
    mean_spearman,
    resampled_rows,
    simplest,
    splits,
    validate,
)


def test_groups_are_never_torn_apart_and_folds_are_even():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 200)
    for _, held_out in splits(groups, 5, 3, seed=1):
        assert not set(groups[held_out]) & set(groups[~held_out])
        assert 35 <= held_out.sum() <= 45
    alone = folds_of(np.arange(23), 5, rng)
    assert sorted(np.bincount(alone).tolist()) == [4, 4, 5, 5, 5]


def test_every_row_is_held_out_once_in_a_repetition_and_repetitions_differ():
    groups = np.arange(60) // 2
    held = np.zeros((3, 60), int)
    for repeat, held_out in splits(groups, 4, 3, seed=0):
        held[repeat] += held_out
    assert (held == 1).all()
    folds = [folds_of(groups, 4, np.random.default_rng([0, repeat])) for repeat in range(3)]
    assert (folds[0] != folds[1]).any()


def test_errors_and_correlation():
    rng = np.random.default_rng(0)
    values = rng.integers(1, 6, 50).astype(float)  # many ties
    predicted = values + rng.normal(size=(2, 50))
    found = validate(predicted, predicted, values, np.arange(50), columns=1, seed=0)
    assert found.mae == pytest.approx(np.abs(predicted - values).mean())
    assert found.rmse == pytest.approx(np.sqrt(((predicted - values) ** 2).mean()))
    expected = np.mean([spearmanr(row, values).statistic for row in predicted])
    assert found.correlation == pytest.approx(expected)
    assert found.low < expected < found.high


def test_an_interval_of_independent_rows_is_that_of_bonett_and_wright():
    """r = 0.5, n = 103: z = 0.5493, standard error sqrt(1.125 / 100); n r^2 = 25.75 times the one column."""
    low, high = interval(0.5, 103, 1, drawn=np.full(10, 0.5))
    half = norm.ppf(0.975) * np.sqrt(1.125 / 100 * (1 + 1.5 / 26.75))
    assert low == pytest.approx(np.tanh(np.arctanh(0.5) - half))
    assert high == pytest.approx(np.tanh(np.arctanh(0.5) + half))


def test_clips_that_are_copies_widen_the_interval():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=25), 8)
    predicted = np.repeat(rng.normal(size=25), 8)[None] + values
    groups = np.repeat(np.arange(25), 8)
    together = validate(predicted, predicted, values, groups, columns=1, seed=0)
    apart = validate(predicted, predicted, values, np.arange(200), columns=1, seed=0)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_a_correlation_with_weights_is_that_of_repeated_rows():
    rng = np.random.default_rng(0)
    values, predicted = rng.integers(0, 5, 30), rng.integers(0, 9, (3, 30)) / 7
    weights = rng.integers(0, 4, (6, 30))
    found = mean_spearman(predicted, values, weights)
    for correlation, times in zip(found, weights, strict=True):
        expected = [spearmanr(row.repeat(times), values.repeat(times)).statistic for row in predicted]
        assert correlation == pytest.approx(np.mean(expected))


def test_groups_are_drawn_whole():
    groups = np.array([3, 1, 3, 2, 1, 3])
    for seed in range(5):
        rows = resampled_rows(groups, np.random.default_rng(seed))
        counts = np.bincount(rows, minlength=6)
        for group in (1, 2, 3):
            assert len(set(counts[groups == group])) == 1
        assert sum(counts[[0, 1, 3]]) == 3  # one row of each group: as many draws as groups


def test_rows_that_are_equal_stay_equal_across_folds():
    """Of one column of two values the rank correlation is that of the column itself, as SciPy has it.

    Predictions of rows that are equal differ a little between folds, and against the ratings held out.
    """
    column = np.repeat([0.0, 1.0], [25, 5])[:, None]
    liked = np.repeat([0.0, 1.0], 15)
    predicted, standardized, _ = held_out_predictions(
        lambda: MODELS["ridge"](1), column, liked, np.arange(30), folds=10, repeats=2, seed=0
    )
    found = validate(predicted, standardized, liked, np.arange(30), columns=1, seed=0)
    assert found.correlation == pytest.approx(spearmanr(column[:, 0], liked).statistic)
    assert spearmanr(predicted[0], liked).statistic < found.correlation - 0.1  # what is avoided


def test_a_model_that_has_learned_nothing_ranks_as_chance_not_backwards():
    """A fold of high ratings has a low mean outside it: pooled, the mean predicts the wrong way round."""
    rng = np.random.default_rng(0)
    values, noise = rng.normal(size=40), rng.normal(size=(40, 3))
    predicted, standardized, means = held_out_predictions(
        lambda: MODELS["ridge"](3), noise, values, np.arange(40), folds=10, repeats=3, seed=0
    )
    found = validate(predicted, standardized, values, np.arange(40), columns=3, seed=0)
    assert found.low < 0 < found.high
    assert spearmanr(means.mean(0), values).statistic < -0.5  # what is avoided


@pytest.mark.parametrize(("signal", "per_source"), [(0.0, 1), (1.0, 1), (1.0, 4)])
def test_intervals_cover_the_correlation_on_new_clips(signal, per_source):
    """30 experiments: 80 ratings with noise; the truth is the same model's correlation on 4,000 new clips.

    A 95 % interval that holds what it says misses it more than 5 times with a probability of 0.003.
    """
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(30):
        source = rng.normal(size=(80 // per_source, 4)).repeat(per_source, axis=0)
        matrix = 0.8 * source + 0.6 * rng.normal(size=(80, 4))
        fresh = rng.normal(size=(4000, 4))
        values, truth = (signal * m[:, 0] + rng.normal(size=len(m)) for m in (matrix, fresh))
        groups = np.arange(80) // per_source
        predicted, standardized, _ = held_out_predictions(
            lambda: MODELS["ridge"](4), matrix, values, groups, folds=5, repeats=1, seed=seed
        )
        found = validate(predicted, standardized, values, groups, columns=4, seed=seed)
        model = MODELS["ridge"](4).fit(matrix, values)
        covered += found.low <= spearmanr(model.predict(fresh), truth).statistic <= found.high
    assert covered >= 25


def test_the_simplest_model_that_ranks_as_well_is_chosen():
    def validation(correlation, drawn):
        return Validation(0, 0, correlation, 0, 1, np.array(drawn))

    steady = validation(0.80, [0.79, 0.80, 0.81, 0.80])
    a_little_better = validation(0.805, [0.78, 0.82, 0.80, 0.82])
    better = validation(0.9, [0.89, 0.90, 0.91, 0.90])
    assert simplest({"ridge": steady, "boosting": a_little_better}) == "ridge"
    assert simplest({"ridge": steady, "boosting": better}) == "boosting"
    assert simplest({"ridge": better, "boosting": steady}) == "ridge"


def test_the_columns_that_count_are_those_that_made_the_values():
    """Shuffling x in y = 2 x costs a perfect model sqrt(E (2 x - 2 x')^2) = 2 sqrt(2) sd(x)."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(400, 4))
    values = 2 * matrix[:, 2] + 0.5 * matrix[:, 0]
    blocks = {"a": slice(0, 1), "b": slice(1, 2), "c": slice(2, 3), "d": slice(3, 4), "ab": slice(0, 2)}
    found = importances(lambda: MODELS["ridge"](4), matrix, values, np.arange(400), blocks, folds=5, seed=0)
    assert next(iter(found)) == "c" and set(list(found)[1:3]) == {"a", "ab"}
    assert found["c"] == pytest.approx(2 * np.sqrt(2), rel=0.15)
    assert abs(found["b"]) < 0.02 and abs(found["d"]) < 0.02
