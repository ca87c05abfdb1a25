"""Principal components of embeddings, against an SVD of all of them."""

import numpy as np
import polars as pl
import pytest

from tools.datasets.rate.embeddings import reduce_embeddings
from tools.errors import UserError

ROWS, WIDTH = 60, 40


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(ROWS, WIDTH)) * np.geomspace(3, 0.01, WIDTH) + 5).astype(np.float32)


@pytest.fixture
def paths():
    return pl.Series("path", [f"{i}.mp4" for i in range(ROWS)])


def test_components_are_those_of_an_svd(tmp_path, vectors, paths):
    np.save(tmp_path / "v.npy", vectors)
    found = reduce_embeddings(tmp_path / "v.npy", paths, seed=0)
    left, lengths, _ = np.linalg.svd(vectors.astype(float) - vectors.mean(0), full_matrices=False)
    expected = left * lengths / lengths[0] * np.sqrt(ROWS - 1)
    assert found.shape == (ROWS, WIDTH)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-4)  # the sign of an axis is free
    assert found[:, 0].std(ddof=1) == pytest.approx(1, abs=1e-4)


def test_rows_are_found_by_path_in_parquet(tmp_path, vectors, paths):
    vectors[3] = np.nan
    np.save(tmp_path / "v.npy", vectors)
    expected = reduce_embeddings(tmp_path / "v.npy", paths, seed=0)
    assert np.isnan(expected[3]).all() and np.isfinite(np.delete(expected, 3, 0)).all()
    cells = [None if np.isnan(v).any() else v.tolist() for v in vectors]
    order = np.random.default_rng(0).permutation(ROWS)
    table = pl.DataFrame(
        {"path": paths, "embedding": cells}, schema_overrides={"embedding": pl.List(pl.Float32)}
    )
    extra = pl.DataFrame(
        {
            "path": [None, "other.mp4", "0.mp4"],
            "embedding": [[1.0] * 40] * 3,
        },  # the second of a path is not used
        schema_overrides={"embedding": pl.List(pl.Float32)},
    )
    pl.concat([table[order], extra]).write_parquet(tmp_path / "v.parquet")
    found = reduce_embeddings(tmp_path / "v.parquet", paths, seed=0)
    assert found == pytest.approx(expected, abs=1e-4, nan_ok=True)
    some = reduce_embeddings(tmp_path / "v.parquet", pl.Series("path", ["5.mp4", "new.mp4", "6.mp4"]), seed=0)
    assert np.isnan(some).any(1).tolist() == [False, True, False]


def test_lists_of_a_fixed_length(tmp_path, vectors, paths):
    np.save(tmp_path / "v.npy", vectors)
    expected = reduce_embeddings(tmp_path / "v.npy", paths, seed=0)
    table = pl.DataFrame({"path": paths, "embedding": pl.Series(vectors.astype(float))})
    assert table["embedding"].dtype == pl.Array(pl.Float64, 40)
    table.write_parquet(tmp_path / "v.parquet")
    assert reduce_embeddings(tmp_path / "v.parquet", paths, seed=0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.npy", np.zeros((59, 4)), "59 embeddings, but the table has 60 rows"),
        ("v.npy", np.zeros(60), r"numbers of shape \(rows, D\), not float64 of shape \(60,\)"),
        ("v.npy", np.full((60, 4), np.nan), "no row of the table has an embedding"),
        ("v.npy", b"no array", "cannot read the embeddings"),
        ("v.npy", None, "cannot read the embeddings: No such file"),
        ("v.parquet", b"no table", "cannot read the embeddings"),
        ("v.parquet", pl.DataFrame({"path": ["a"]}), "no column 'embedding'"),
        ("v.parquet", pl.DataFrame({"path": ["a"], "embedding": [[1.0]]}), "has the path of no row"),
        (
            "v.parquet",
            pl.DataFrame({"path": ["0.mp4", "1.mp4"], "embedding": [[1.0], [1.0, 2.0]]}),
            "embeddings of 2 numbers, and of 1",
        ),
        (
            "v.parquet",
            pl.DataFrame({"path": ["0.mp4"], "embedding": ["[1, 2]"]}),
            "holds String, not lists",
        ),
        (
            "v.parquet",
            pl.DataFrame({"path": ["0.mp4"], "embedding": [None]}),
            "no row of the table has",
        ),
        ("v.csv", b"", "ends in .npy or .parquet"),
    ],
)
def test_files_that_do_not_fit(tmp_path, paths, name, content, message):
    file = tmp_path / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(file)
    elif isinstance(content, np.ndarray):
        np.save(file, content)
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        reduce_embeddings(file, paths, seed=0)
