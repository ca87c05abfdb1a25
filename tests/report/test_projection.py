"""Principal components and neighbours against scikit-learn."""

import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tools.errors import UserError
from tools.report.features import BLOCK, Features
from tools.report.projection import nearest, pca, umap


def drawn(rows, width, seed=0):
    """Correlated numbers around a mean that is not 0."""
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(rows, width)) @ draw.normal(size=(width, width)) + 3).astype(np.float32)


@pytest.mark.parametrize(("rows", "width"), [(3, 2), (10, 20), (500, 6), (BLOCK + 37, 33)])
def test_coordinates_are_the_principal_components_of_scikit_learn(rows, width):
    matrix = drawn(rows, width)
    found = pca(Features(matrix, cosine=False, origin=""))
    model = PCA(2, svd_solver="full").fit(matrix.astype(np.float64))
    expected = model.transform(matrix.astype(np.float64))
    for axis in (0, 1):  # up to the sign, which scikit-learn has not always chosen in the same way
        apart = min(np.abs(found.points[:, axis] - sign * expected[:, axis]).max() for sign in (1, -1))
        assert apart < 1e-6 * np.abs(expected).max()
    assert found.variance == pytest.approx(model.explained_variance_ratio_)


def test_the_largest_weight_of_a_direction_is_positive():
    matrix = drawn(200, 5, seed=4)
    points = pca(Features(matrix, cosine=False, origin="")).points
    centred = matrix - matrix.mean(axis=0)
    for axis in (0, 1):
        weights = centred.T @ points[:, axis]  # of a principal component: proportional to its direction
        assert weights[np.abs(weights).argmax()] > 0
    # Two equal columns have equal weights: rounding must not choose between them.
    twice = np.column_stack([matrix[:, 0], -matrix[:, 0]])
    flat = pca(Features(twice, cosine=False, origin="")).points
    assert np.corrcoef(flat[:, 0], matrix[:, 0])[0, 1] == pytest.approx(1)


def test_rows_without_features_have_no_place_and_change_none():
    matrix = drawn(50, 4)
    with_gaps = np.insert(matrix, [0, 10, 50], np.nan, axis=0)
    with_gaps[0, 0] = np.inf
    found = pca(Features(with_gaps, cosine=False, origin="")).points
    gaps = [0, 11, 52]
    assert np.isnan(found[gaps]).all()
    assert np.delete(found, gaps, axis=0) == pytest.approx(pca(Features(matrix, False, "")).points)


def test_fewer_directions_than_two_leave_zeros():
    line = np.arange(5, dtype=np.float32)[:, None]
    one = pca(Features(line, cosine=False, origin=""))
    assert one.points.tolist() == [[-2, 0], [-1, 0], [0, 0], [1, 0], [2, 0]]
    assert one.variance == (1, 0)
    same = pca(Features(np.ones((4, 3), np.float32), cosine=False, origin=""))
    assert same.points.tolist() == [[0, 0]] * 4
    assert pca(Features(np.ones((1, 3), np.float32), cosine=True, origin="")).points.tolist() == [[0, 0]]


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize(("rows", "width"), [(7, 3), (3000, 12)])
def test_neighbours_are_those_of_scikit_learn(rows, width, cosine):
    matrix = drawn(rows, width, seed=1)
    if not cosine:
        matrix = StandardScaler().fit_transform(matrix).astype(np.float32)
    ids, distances = nearest(Features(matrix, cosine=cosine, origin=""))
    k = min(15, rows)
    model = NearestNeighbors(n_neighbors=k, metric="cosine" if cosine else "euclidean", algorithm="brute")
    expected, numbers = model.fit(matrix.astype(np.float64)).kneighbors() if k < rows else (None, None)
    assert ids.shape == distances.shape == (rows, k)
    assert ids[:, 0].tolist() == list(range(rows)) and not distances[:, 0].any()
    if k < rows:
        assert distances[:, 1:] == pytest.approx(expected[:, : k - 1], abs=1e-9)
        assert (ids[:, 1:] == numbers[:, : k - 1]).all()
    else:
        assert all(sorted(line) == list(range(rows)) for line in ids.tolist())


def test_copies_are_at_distance_0_and_far_values_do_not_blur_near_ones():
    near = 1e4 + np.arange(40, dtype=np.float32)[:, None] / 8  # exact in single precision
    matrix = np.concatenate([near, near[:1], np.zeros((1, 1), np.float32)])
    ids, distances = nearest(Features(matrix, cosine=False, origin=""), count=4)
    assert ids[0].tolist() == [0, 40, 1, 2] and distances[0].tolist() == [0, 0, 0.125, 0.25]
    assert ids[40].tolist() == [40, 0, 1, 2]  # a row is the first of its own
    assert sorted(ids[20].tolist()[1:3]) == [19, 21]


def test_a_row_without_features_has_itself_as_often_as_others_have_neighbours():
    matrix = drawn(20, 3)
    matrix[5] = np.nan
    ids, distances = nearest(Features(matrix, cosine=True, origin=""), count=6)
    assert ids[5].tolist() == [5] * 6 and not distances[5].any()
    assert 5 not in np.delete(ids, 5, axis=0)
    alone = np.full((3, 2), np.nan, np.float32)
    assert nearest(Features(alone, cosine=False, origin=""))[0].tolist() == [[0], [1], [2]]


def test_progress_counts_every_row():
    counted = []
    nearest(Features(drawn(5000, 2), cosine=False, origin=""), done=counted.append)
    assert sum(counted) == 5000 and len(counted) > 1


def test_umap_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match=r"package umap is not installed: pip install 'vidsieve\[umap\]'"):
        umap(Features(drawn(20, 3), cosine=True, origin=""))
