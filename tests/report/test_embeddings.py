"""Embeddings of rows, from the files and columns that other commands write; expected by construction."""

import numpy as np
import polars as pl
import pytest

from tools.report import embeddings
from tools.report.embeddings import find_embeddings, read_embeddings
from tools.scoring.dedup.features import Feature, encode_feature
from tools.scoring.dedup.fingerprint import FileInfo
from tools.table import scan_table


def paths_of(rows):
    return [f"clips/{i}.mp4" for i in range(rows)]


def table_of(folder, rows, **columns):
    pl.DataFrame({"path": paths_of(rows), **columns}).write_parquet(folder / "meta.parquet")
    return folder / "meta.parquet", scan_table(folder / "meta.parquet"), rows


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kind", [pl.List(pl.Float32), pl.List(pl.Float64), pl.Array(pl.Float32, 6)])
def test_rows_of_a_parquet_are_matched_by_path_across_its_batches(tmp_path, monkeypatch, kind, in_memory):
    monkeypatch.setattr(embeddings, "_BATCH", 64)
    if not in_memory:
        monkeypatch.setattr(embeddings, "_IN_MEMORY", 0)
    draw = np.random.default_rng(0)
    rows = 500
    vectors = draw.normal(size=(rows, 6)).astype(np.float32)
    empty, absent = 70, 300
    order = [i for i in draw.permutation(rows) if i != absent]
    cells = pl.Series([None if i == empty else vectors[i].tolist() for i in order], dtype=kind)
    listed = pl.DataFrame({"path": [paths_of(rows)[i] for i in order], "embedding": cells})
    listed.write_parquet(tmp_path / "clips.parquet")
    _, frame, _ = table_of(tmp_path, rows)
    found = read_embeddings(tmp_path / "clips.parquet", frame, rows)
    assert isinstance(found.matrix, np.memmap) is not in_memory
    expected = vectors.copy()
    expected[[empty, absent]] = np.nan
    assert np.array_equal(found.matrix, expected, equal_nan=True)
    assert np.flatnonzero(~found.known()).tolist() == [empty, absent] and found.cosine


def test_a_path_in_several_rows_has_its_embedding_in_each(tmp_path):
    frame = pl.LazyFrame({"path": ["a", "b", "a", None, "c"]})
    listed = pl.DataFrame(
        {"path": ["c", "a", None, "b"], "embedding": [[3.0, 1], [1.0, 1], [9.0, 9], [2.0, 1]]}
    )
    listed.write_parquet(tmp_path / "clips.parquet")
    found = read_embeddings(tmp_path / "clips.parquet", frame, 5).matrix
    assert found[[0, 1, 2, 4], 0].tolist() == [1, 2, 1, 3] and np.isnan(found[3]).all()
    # The same paths in the same order: row i is row i, though a path is there twice.
    listed = pl.DataFrame({"path": ["a", "a"], "embedding": [[1.0, 1], [2.0, 1]]})
    listed.write_parquet(tmp_path / "clips.parquet")
    found = read_embeddings(tmp_path / "clips.parquet", pl.LazyFrame({"path": ["a", "a"]}), 2).matrix
    assert found[:, 0].tolist() == [1, 2]


def test_the_file_with_most_rows_is_taken_and_one_with_few_is_named(tmp_path):
    table, frame, rows = table_of(tmp_path, 10)
    for name, number, value in (("half", 6, 1.0), ("most", 9, 2.0), ("few", 2, 3.0)):
        listed = pl.DataFrame({"path": paths_of(number), "embedding": [[value, 1.0]] * number})
        listed.write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    found, remark = find_embeddings(table, frame, rows)
    assert found.matrix[:9, 0].tolist() == [2.0] * 9 and remark == ""
    for name in ("half", "most"):
        (tmp_path / f"{name}.parquet").unlink()
    found, remark = find_embeddings(table, frame, rows)
    assert found is None and remark.endswith(
        "few.parquet has embeddings of 2 of 10 rows; --embeddings uses it"
    )


def test_a_vector_of_zeros_is_none():
    matrix = np.array([[0, 0], [1, 0], [np.nan, 1]], np.float32)
    assert embeddings.Features(matrix, cosine=True, origin="").known().tolist() == [False, True, False]


@pytest.mark.parametrize("extension", ["parquet", "csv", "jsonl"])
def test_features_of_dedup_are_embeddings(tmp_path, extension):
    vectors = np.random.default_rng(2).normal(size=(12, 6)).astype(np.float32)
    info = FileInfo(90, 160, 8, True, num_bytes=1234)
    cells = [encode_feature(Feature(info, vector)) for vector in vectors]
    cells[3] = None
    vectors[3] = np.nan
    table, frame, rows = table_of(tmp_path, 12)
    listed = pl.DataFrame({"path": paths_of(12)[::-1], "clip_feature": cells[::-1]})
    listed.write_parquet(tmp_path / "meta_clip_feature.parquet")
    found, _ = find_embeddings(table, frame, rows)
    assert np.array_equal(found.matrix, vectors, equal_nan=True)
    with_column = listed[::-1]
    target = tmp_path / f"own.{extension}"
    write = {"csv": with_column.write_csv, "jsonl": with_column.write_ndjson}
    write.get(extension, with_column.write_parquet)(target)
    found, _ = find_embeddings(target, scan_table(target), 12)
    assert np.array_equal(found.matrix, vectors, equal_nan=True)


def test_a_column_of_lists_is_embeddings(tmp_path):
    vectors = np.random.default_rng(2).normal(size=(9, 3)).astype(np.float32)
    table, frame, rows = table_of(tmp_path, 9, embedding=vectors.tolist())
    found, _ = find_embeddings(table, frame, rows)
    assert np.array_equal(found.matrix, vectors) and found.origin == "the column embedding"
