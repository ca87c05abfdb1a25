"""Standardised scores against scikit-learn; which columns are scores by construction."""

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from tools.report.features import score_features, score_names


def test_scores_are_standardised_as_by_scikit_learn_and_gaps_are_means():
    draw = np.random.default_rng(0)
    columns = {
        "aes": draw.normal(5, 2, 300),
        "flow": draw.lognormal(0, 2, 300),
        "mine": draw.integers(0, 3, 300) * 1.0,
    }
    columns["aes"][:40] = np.nan
    columns["flow"][30:50] = [np.inf, -np.inf] * 10
    frame = pl.LazyFrame(columns)
    found, used = score_features(frame, list(columns), 300)
    assert used == list(columns) and found.origin == "3 standardised scores" and not found.cosine
    matrix = np.column_stack(list(columns.values()))
    finite = np.where(np.isfinite(matrix), matrix, np.nan)  # which it leaves out of mean and deviation
    expected = np.nan_to_num(StandardScaler().fit_transform(finite))
    assert found.matrix == pytest.approx(expected, abs=1e-5)


def test_large_and_small_numbers_do_not_overflow():
    values = np.array([1.0, 2.0, 4.0])
    frame = pl.LazyFrame({"huge": values * 4e307, "tiny": values * 1e-300, "plain": values})
    found, _ = score_features(frame, ["huge", "tiny", "plain"], 3)
    expected = (values - values.mean()) / values.std()
    for column in found.matrix.T:
        assert column == pytest.approx(expected, rel=1e-6)


def test_columns_that_say_nothing_are_left_out_and_rows_without_a_score_have_none():
    frame = pl.LazyFrame(
        {
            "same": [0.1] * 4,
            "index": [7, 8, 9, 10],
            "empty": pl.Series([None] * 4, dtype=pl.Float64),
            "aes": ["1.5", "x", "", "3"],  # of a CSV
        }
    )
    found, used = score_features(frame, ["same", "index", "empty", "aes"], 4)
    assert used == ["aes"] and found.origin == "1 standardised score"
    assert found.known().tolist() == [True, False, False, True]
    assert found.matrix[[0, 3], 0].tolist() == [-1, 1]
    nothing, used = score_features(frame, ["same"], 4)
    assert used == [] and nothing.matrix.shape == (4, 0)


def test_scores_of_the_contract_and_own_numbers_are_compared():
    schema = pl.Schema(
        {
            "path": pl.String,
            "width": pl.Int64,  # of the contract, and no score
            "aes": pl.String,  # as a CSV has it
            "quality_user0": pl.Float64,
            "mine": pl.Int32,
            "label": pl.String,
            "_row": pl.Int64,
            "list": pl.List(pl.Float64),
        }
    )
    assert score_names(schema) == ["aes", "quality_user0", "mine"]
