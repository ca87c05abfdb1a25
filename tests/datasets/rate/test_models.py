"""Models: ridge against the normal equations, both against what they are given to find."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra rate is not installed")

from scipy.stats import spearmanr

from tools.datasets.rate.learning import learn, next_rows, predict
from tools.datasets.rate.models import MODELS


def test_ridge_solves_the_normal_equations():
    """Leave-one-out errors of every strength by brute force: the strength with the least is taken."""
    rng = np.random.default_rng(0)
    matrix = rng.uniform(size=(40, 3))
    values = matrix @ [3, -2, 0] + rng.normal(size=40)
    low, high = np.percentile(matrix, [1, 99], axis=0)
    inside = np.clip(matrix, low, high)
    inputs = (inside - inside.mean(0)) / inside.std(0)

    def solve(rows, alpha):
        x, y = inputs[rows], values[rows]
        centered = x - x.mean(0)
        slopes = np.linalg.solve(centered.T @ centered + alpha * np.eye(3), centered.T @ (y - y.mean()))
        return lambda new: (new - x.mean(0)) @ slopes + y.mean()

    everything = np.arange(40)
    alphas = np.logspace(-1, 4, 16)
    errors = [
        sum((solve(everything != i, alpha)(inputs[i]) - values[i]) ** 2 for i in everything)
        for alpha in alphas
    ]
    expected = solve(everything, alphas[np.argmin(errors)])(inputs)
    assert MODELS["ridge"](3).fit(matrix, values).predict(matrix) == pytest.approx(expected, abs=1e-9)


def test_one_absurd_value_bends_nothing():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 2))
    values = matrix[:, 0].copy()
    spoiled = matrix.copy()
    spoiled[0] = 1e30
    model = MODELS["ridge"](2).fit(spoiled, values)
    assert np.abs(model.predict(matrix[1:]) - values[1:]).mean() < 0.1
    assert np.abs(model.predict(np.array([[-1e30, 0.0], [1e30, 0.0]]))).max() < 4


def test_the_logarithm_of_speeds_counts():
    rng = np.random.default_rng(0)
    speed = np.exp(1.5 * rng.normal(size=(300, 1)))
    model = MODELS["ridge"](1).fit(speed, np.log(speed[:, 0]))
    assert np.corrcoef(model.predict(speed), np.log(speed[:, 0]))[0, 1] > 0.98


@pytest.mark.parametrize("name", MODELS)
def test_missing_values(name):
    """A missing cell means 3 here, whatever the other column says."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 2)).astype(np.float32)
    values = matrix[:, 0].astype(float)
    matrix[::5, 0] = np.nan
    values[::5] = 3.0
    predicted = MODELS[name](2).fit(matrix, values).predict(matrix)
    assert np.abs(predicted - values).mean() < 0.15
    unseen = MODELS[name](2).fit(matrix[1::5], values[1::5])  # no gaps when it learned
    assert np.isfinite(unseen.predict(np.full((2, 2), np.nan))).all()


def truth_line(scores):
    return scores[:, 0] + 0.6 * np.log(scores[:, 1]) - 0.4 * scores[:, 2]


def truth_band(scores):
    """Good in the middle of one score, and only above a bound of another."""
    return -np.abs(np.log(scores[:, 1])) + 1.2 * (scores[:, 0] > -0.5)


def a_table(rng, rows):
    scores = rng.normal(size=(rows, 10))
    scores[:, 1] = np.exp(scores[:, 1])
    scores[:, 2] = np.maximum(0, np.round(2 * scores[:, 2]))
    return scores


@pytest.mark.parametrize(("truth", "model"), [(truth_line, "ridge"), (truth_band, "boosting")])
def test_200_ratings_recover_the_truth(truth, model):
    rng = np.random.default_rng(3)
    table = a_table(rng, 3000)
    quality = truth(table)
    rated = rng.choice(3000, 200, replace=False)
    ratings = 1 + np.searchsorted(np.quantile(quality, [0.1, 0.35, 0.65, 0.9]), quality[rated]).astype(float)
    seen = table.copy()
    seen[rng.random(table.shape) < 0.02] = np.nan
    names = [f"s{i}" for i in range(10)]
    found = learn(seen[rated], names, ratings, rated, model=None, seed=0)
    assert found.model == model
    validation = found.validations[model]
    suitability, deviation = predict(found.members, seen)
    assert spearmanr(suitability, quality).statistic > 0.9
    assert 0.85 < validation.low < validation.correlation < validation.high < 1
    assert validation.rmse < 0.6 * found.validations["mean"].rmse
    assert {entry.column for entry in found.importances[:2]} == {"s0", "s1"}
    assert np.isfinite(deviation).all() and deviation.min() > 0


def test_rows_without_any_score_are_not_predicted():
    matrix = np.array([[1.0, 2.0], [np.nan, np.nan], [np.nan, 1.0]])
    rng = np.random.default_rng(0)
    learned = learn(
        rng.normal(size=(30, 2)), ["a", "b"], rng.normal(size=30), np.arange(30), model="ridge", seed=0
    )
    for values in predict(learned.members, matrix):
        assert np.isnan(values).tolist() == [False, True, False]


def test_the_least_sure_rows_come_first_and_no_source_twice_before_others_once():
    deviation = np.array([0.9, 0.8, 0.7, 0.1, 0.95, np.nan, 0.2])
    groups = np.array([0, 0, 0, 1, 1, 2, 3])
    # 4 is rated. First of each source: 0 (0.9), 3 (0.1), 6 (0.2); then 1 (0.8), then 2 (0.7).
    assert next_rows(deviation, groups, np.array([4]), 2).tolist() == [0, 6]
    assert next_rows(deviation, groups, np.array([4]), 4).tolist() == [0, 1, 6, 3]
    assert next_rows(deviation, groups, np.array([4]), 50).tolist() == [0, 1, 2, 6, 3]
    assert next_rows(deviation, groups, np.array([4]), 0).tolist() == []


def test_the_committee_is_least_sure_where_nothing_was_rated():
    rng = np.random.default_rng(0)
    rated = rng.uniform(-1, 1, size=(60, 1))
    values = rated[:, 0] + 0.3 * rng.normal(size=60)
    learned = learn(rated, ["a"], values, np.arange(60), model="ridge", seed=0)
    _, deviation = predict(learned.members, np.array([[0.0], [0.98]]))
    assert deviation[1] > 1.3 * deviation[0]  # the standard error of a line grows away from its middle
