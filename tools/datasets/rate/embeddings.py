"""Embeddings of rows, reduced to a few numbers: principal components, from a file as scorers save it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from tools.base.disk import system_message
from tools.errors import UserError, first_line

COMPONENTS = 128
"""Principal components that are kept at most."""

_VECTOR = "embedding"
_BATCH = 8192  # rows in memory at a time: 25 MB of 768 numbers
_SAMPLE = 10_000  # rows from which the components are computed


def reduce_embeddings(file: str | Path, paths: pl.Series, seed: int) -> np.ndarray:
    """Principal components of the embeddings of a table's rows.

    They are computed from rows of the table, rated or not, and know nothing of ratings. All are divided by
    the standard deviation of the first, so that they keep their proportions.

    Args:
        file: Embeddings, see docs/embeddings.md: ``.npy``, whose rows are those of the table, or ``.parquet``
            with the columns path and embedding, whose rows are found by path.
        paths: The column path of the table.
        seed: Of the sample of rows that the components are computed from.

    Returns:
        float32, shape (rows, at most `COMPONENTS`); NaN in rows without an embedding.

    Raises:
        UserError: The file cannot be read, or does not belong to the table.
    """
    file = Path(file)
    try:
        if file.suffix.lower() == ".npy":
            source: _Vectors = _NpyVectors(file, len(paths))
        elif file.suffix.lower() == ".parquet":
            source = _ParquetVectors(file, paths)
        else:
            raise UserError(f"{file}: embeddings are in a file whose name ends in .npy or .parquet")
        return _reduced(source, seed)
    except OSError as error:
        raise UserError(f"{file}: cannot read the embeddings: {system_message(error)}") from None


class _Vectors:
    """Embeddings in a file.

    Attributes:
        file: Its path.
        count: Rows of the file.
        rows: For each row of the table its row in the file; -1 for none.
    """

    file: Path
    count: int
    rows: np.ndarray

    def batches(self) -> Iterator[np.ndarray]:
        """The vectors in order, float32, shape (some, D); NaN in rows that have none."""
        raise NotImplementedError


class _NpyVectors(_Vectors):
    def __init__(self, file: Path, rows: int) -> None:
        self.file = file
        try:
            self._array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UserError(f"{file}: cannot read the embeddings: {first_line(error)}") from None
        if self._array.ndim != 2 or self._array.dtype.kind not in "fiu":
            shape = f"{self._array.dtype} of shape {self._array.shape}"
            raise UserError(f"{file}: embeddings are numbers of shape (rows, D), not {shape}")
        self.count = len(self._array)
        if self.count != rows:
            raise UserError(
                f"{file}: {self.count:,} embeddings, but the table has {rows:,} rows; a .npy belongs to the "
                "table that it was written with, embeddings in Parquet are found by path"
            )
        self.rows = np.arange(rows)

    def batches(self) -> Iterator[np.ndarray]:
        for start in range(0, self.count, _BATCH):
            yield np.asarray(self._array[start : start + _BATCH], np.float32)


class _ParquetVectors(_Vectors):
    def __init__(self, file: Path, paths: pl.Series) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.file = file
        try:
            self._parquet = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise UserError(f"{file}: cannot read the embeddings: {first_line(error)}") from None
        names = self._parquet.schema_arrow.names
        for name in ("path", _VECTOR):
            if name not in names:
                raise UserError(f"{file}: no column '{name}' (it has: {', '.join(names)})")
        there = pl.from_arrow(self._parquet.read(["path"]))
        assert isinstance(there, pl.DataFrame)
        self.count = there.height
        self.rows = _find(there["path"].cast(pl.String), paths)
        if (self.rows < 0).all():
            raise UserError(f"{file}: has the path of no row of the table")

    def batches(self) -> Iterator[np.ndarray]:
        width = 0
        for batch in self._parquet.iter_batches(_BATCH, columns=[_VECTOR]):
            cells = pl.Series(_VECTOR, batch.column(0))
            if not isinstance(cells.dtype, (pl.List, pl.Array, pl.Null)):
                raise UserError(f"{self.file}: column {_VECTOR} holds {cells.dtype}, not lists of numbers")
            cells = cells.cast(pl.List(pl.Float32), strict=False)
            lengths = cells.list.len().fill_null(0).to_numpy()
            filled = lengths > 0
            width = width or int(lengths.max(initial=0))
            if (odd := lengths[filled & (lengths != width)]).size:
                raise UserError(f"{self.file}: holds embeddings of {width} numbers, and of {odd[0]}")
            block = np.full((len(cells), width), np.nan, np.float32)
            if width:
                block[filled] = cells.filter(filled).explode().to_numpy().reshape(-1, width)
            yield block


def _find(there: pl.Series, paths: pl.Series) -> np.ndarray:
    """For each path the first row of the file that has it; the same row where both are the same table."""
    if there.len() == paths.len() and there.eq_missing(paths).all():
        return np.arange(paths.len())
    first = pl.DataFrame({"path": there}).with_row_index("row").unique("path", keep="first")
    found = pl.DataFrame({"path": paths}).join(first, on="path", how="left", maintain_order="left")
    return found["row"].cast(pl.Int64).fill_null(-1).to_numpy()


def _reduced(source: _Vectors, seed: int) -> np.ndarray:
    used = source.rows[source.rows >= 0]  # in the order of the table, so that any file gives the same sample
    if len(used) > _SAMPLE:
        used = np.random.default_rng(seed).choice(used, _SAMPLE, replace=False)
    used = np.unique(used)
    picked, start = [], 0
    for block in source.batches():
        inside = used[(used >= start) & (used < start + len(block))] - start
        sample = block[inside]
        picked.append(sample[np.isfinite(sample).all(1)] if sample.shape[1] else sample[:0])
        start += len(block)
    picked = [block for block in picked if block.size]
    if sum(map(len, picked)) < 2:
        raise UserError(f"{source.file}: no row of the table has an embedding")
    center, basis = _components(np.concatenate(picked).astype(np.float64))
    in_file = np.full((source.count, basis.shape[1]), np.nan, np.float32)
    start = 0
    for block in source.batches():
        if block.shape[1]:
            block = np.where(np.isfinite(block).all(1, keepdims=True), block, np.nan)
            in_file[start : start + len(block)] = (block - center) @ basis
        start += len(block)
    reduced = in_file[np.maximum(source.rows, 0)]
    reduced[source.rows < 0] = np.nan
    return reduced


def _components(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the first principal axes as columns, divided by the deviation along the first."""
    center = sample.mean(0)
    values, axes = np.linalg.eigh(np.cov(sample - center, rowvar=False).reshape(len(center), -1))
    order = np.argsort(values)[::-1][: min(COMPONENTS, len(sample) - 1)]
    order = order[values[order] > values[order[0]] * 1e-9] if values[order[0]] > 0 else order[:1]
    basis = axes[:, order] / np.sqrt(max(values[order[0]], 1e-30))
    # The sign of an axis is free; the largest entry is made positive, so that every machine has the same.
    signs = np.sign(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])])
    return center.astype(np.float32), (basis * signs).astype(np.float32)
