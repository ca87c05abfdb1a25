"""Two coordinates for each row, by PCA or UMAP, and the nearest rows of each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.base.packages import not_installed
from tools.errors import UserError, first_line

if TYPE_CHECKING:
    from tools.report.features import Features

PROJECTIONS = {
    "pca": "the two directions of the largest variance",
    "umap": "neighbours stay neighbours",
}
"""What ``--projection`` may be, and what it does."""

NEIGHBORS = 15
"""Rows that are named as the nearest of each, itself among them."""

MOST_ROWS = 50_000
"""Rows with features up to which neighbours are found: each is compared with each."""

_AMONG_EQUALS = 1e-6  # relative difference up to which two weights of a direction count as equal
_FLAT = 1e-12  # share of the variance below which a direction is none
_CELLS = 1 << 24  # distances in memory at a time
_SPARE = 8  # further candidates: the distances that they are chosen by are rounded
_FEWEST_FOR_UMAP = 5


@dataclass(frozen=True)
class Projection:
    """Coordinates of the rows of a table.

    Attributes:
        points: float64, shape (rows, 2); NaN for rows without features.
        variance: Share of the variance that each axis has; empty where that is not known.
    """

    points: np.ndarray
    variance: tuple[float, ...] = ()


def pca(features: Features) -> Projection:
    """Principal components: the centred features along the two directions of their largest variance.

    The sign of a direction is not determined. It is chosen so that its largest weight is positive, as
    scikit-learn does; the first one of several that are equally large.

    Args:
        features: What rows are compared by. Those of rows without any are left out.

    Returns:
        The coordinates. Where the features vary in fewer than two directions, the others are 0.
    """
    rows, width = features.matrix.shape
    known = features.known()
    count = int(known.sum())
    points = np.full((rows, 2), np.nan)
    points[known] = 0.0
    if count < 2 or not width:
        return Projection(points, (0.0, 0.0))
    total = np.zeros(width)
    for lines, block in features.blocks():
        total += block[known[lines]].sum(axis=0)
    mean = total / count
    scatter = np.zeros((width, width))
    for lines, block in features.blocks():
        centred = block[known[lines]] - mean
        scatter += centred.T @ centred
    values, directions = np.linalg.eigh(scatter)
    whole = max(values.sum(), 0.0)
    chosen = [i for i in (width - 1, width - 2) if i >= 0 and values[i] > _FLAT * whole]
    if not chosen:
        return Projection(points, (0.0, 0.0))
    axes = np.column_stack([_signed(directions[:, i]) for i in chosen])
    for lines, block in features.blocks():
        own = known[lines]
        points[lines, : len(chosen)][own] = (block[own] - mean) @ axes
    shares = [float(values[i] / whole) for i in chosen] + [0.0] * (2 - len(chosen))
    return Projection(points, tuple(shares))


def _signed(direction: np.ndarray) -> np.ndarray:
    size = np.abs(direction)
    first = np.flatnonzero(size >= size.max() * (1 - _AMONG_EQUALS))[0]
    return direction if direction[first] > 0 else -direction


def umap_class() -> Any:
    """The class ``UMAP`` of the package umap-learn.

    Raises:
        UserError: The package is not installed, or is another one of this name.
    """
    try:
        return importlib.import_module("umap").UMAP  # it has no types
    except ModuleNotFoundError as error:
        raise not_installed(error.name or "umap", "--projection umap") from None
    except (ImportError, AttributeError) as error:
        raise UserError(f"--projection umap: umap-learn cannot be used: {first_line(error)}") from None


def umap(features: Features, *, seed: int = 1) -> Projection:
    """UMAP by the package umap-learn (McInnes, Healy, Melville 2018, arXiv:1802.03426).

    Args:
        features: What rows are compared by.
        seed: Of its random numbers; the same one gives the same coordinates on the same machine.

    Raises:
        UserError: There are too few rows, or as of `umap_class`.
    """
    known = features.known()
    count = int(known.sum())
    if count < _FEWEST_FOR_UMAP:
        raise UserError(
            f"--projection umap: needs {_FEWEST_FOR_UMAP} rows with features, not {count}; use pca"
        )
    vectors = np.asarray(features.matrix[known], np.float32)
    model = umap_class()(
        n_neighbors=min(NEIGHBORS, count - 1),
        metric="cosine" if features.cosine else "euclidean",
        random_state=seed,
        n_jobs=1,
    )
    points = np.full((len(known), 2), np.nan)
    points[known] = model.fit_transform(vectors)
    return Projection(points)


def nearest(
    features: Features, *, count: int = NEIGHBORS, done: Callable[[int], object] = lambda _: None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows nearest to each, found by comparing it with all others.

    Args:
        features: What rows are compared by. Distances are 1 - cosine where they are compared by angle, else
            Euclidean.
        count: How many at most, the row itself among them.
        done: Is told of how many rows the neighbours have been found meanwhile.

    Returns:
        Row numbers, int64, and distances, float64, each of shape (rows, k) with the nearest first; k is
        ``count``, or the rows with features if they are fewer, and at least 1. A row is its own first
        neighbour. A row without features has itself k times: readers expect k of each row.
    """
    rows = len(features.matrix)
    numbers = np.flatnonzero(features.known())
    k = max(1, min(count, len(numbers)))
    ids = np.repeat(np.arange(rows)[:, None], k, axis=1)
    distances = np.zeros((rows, k))
    if not len(numbers):
        return ids, distances
    vectors = np.asarray(features.matrix[numbers], np.float64)
    if features.cosine:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Single precision chooses the candidates, double precision orders them. Near the mean its digits last.
    rough = (vectors - vectors.mean(axis=0)).astype(np.float32)
    squares = np.einsum("ij,ij->i", rough, rough)
    candidates = min(k + _SPARE, len(numbers))
    step = max(1, _CELLS // len(numbers))
    for start in range(0, len(numbers), step):
        own = slice(start, min(start + step, len(numbers)))
        apart = squares - 2.0 * (rough[own] @ rough.T)  # but for the own square, the same for all others
        among = np.arange(own.start, own.stop)
        apart[np.arange(len(among)), among] = -np.inf
        found = np.argpartition(apart, candidates - 1, axis=1)[:, :candidates]
        exact = _distances(vectors, among, found)
        order = np.lexsort((found, exact, found != among[:, None]))[:, :k]
        ids[numbers[own]] = numbers[np.take_along_axis(found, order, axis=1)]
        distances[numbers[own]] = np.take_along_axis(exact, order, axis=1)
        done(own.stop - own.start)
    if features.cosine:
        distances = distances**2 / 2  # of vectors of length 1
    return ids, distances


def _distances(vectors: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances, shape (n, m), from n rows to m others of each."""
    found = np.empty(others.shape)
    for start in range(0, len(rows), 256):
        part = slice(start, start + 256)
        apart = vectors[others[part]] - vectors[rows[part], None]
        found[part] = np.sqrt(np.einsum("ijk,ijk->ij", apart, apart))
    return found
