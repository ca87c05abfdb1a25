"""CLIP embeddings of the rows of a table: in a column of it, or in a file beside it.

The files are those of ``--save-embeddings`` (docs/embeddings.md), and the column ``clip_feature`` of dedup.
A Parquet file is matched by ``path``. In a ``.npy`` file nothing says which row a vector belongs to but its
position, so one is taken only when it is named, or has the name of the table.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tools.base.disk import system_message
from tools.errors import UserError, first_line
from tools.report.features import Features
from tools.stage.stage import VECTOR
from tools.table import table_stem

if TYPE_CHECKING:
    import pyarrow as pa

FEATURE = "clip_feature"
"""The column of ``dedup --method clip``: base64 of a header and of a vector."""
_FEATURE_HEADER = 22  # bytes, see `tools.scoring.dedup.fingerprint.FileInfo.pack`
_COLUMNS = (VECTOR, FEATURE)
_BATCH = 4096  # rows of a Parquet file in memory at a time
_IN_MEMORY = 1 << 28  # bytes of vectors; more of them are in a temporary file
_MOST_FILES = 200  # Parquet files of a folder that are looked into
_ENOUGH = 0.5  # share of the rows that a file beside the table must have, to be used unasked


def read_embeddings(path: Path, frame: pl.LazyFrame, rows: int) -> Features:
    """The embeddings of a table in a file.

    Args:
        path: A ``.npy`` file of as many rows as the table has, or a Parquet file with a column ``path`` and
            one of ``embedding`` and ``clip_feature``.
        frame: The table.
        rows: Its number of rows.

    Returns:
        The embeddings; a row of the table that the file does not have, or has empty, has none.

    Raises:
        UserError: The file cannot be read, or does not fit the table.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file of embeddings")
    if path.suffix.lower() == ".npy":
        return _of_npy(path, rows)
    if path.suffix.lower() != ".parquet":
        raise UserError(f"{path}: embeddings are read from .npy and .parquet files")
    column = _vector_column(path)
    if column is None:
        raise UserError(f"{path}: no column 'path' with '{VECTOR}' or '{FEATURE}': no file of embeddings")
    sources = _matched(path, frame)
    if sources is None:
        raise UserError(f"{path}: embeddings are matched by the column 'path', which the table lacks")
    if not (sources >= 0).any():
        raise UserError(f"{path}: none of its paths is in the table; is it another table's?")
    return Features(_filled(path, column, sources), cosine=True, origin=f"the embeddings in {path}")


def find_embeddings(table: Path, frame: pl.LazyFrame, rows: int) -> tuple[Features | None, str]:
    """The embeddings that a table has: in a column of its own, or in a file in its folder.

    Args:
        table: Path of the table.
        frame: The table.
        rows: Its number of rows.

    Returns:
        The embeddings, None if there are none, and a line about a file that was not taken; or nothing.
    """
    schema = frame.collect_schema()
    for name in _COLUMNS:
        if name in schema and (schema[name].is_nested() or name == FEATURE):
            return _of_column(frame, name, rows), ""
    found: list[tuple[int, Path]] = []
    for path in sorted(table.parent.glob("*.parquet"))[:_MOST_FILES]:
        if _same_file(path, table) or _vector_column(path) is None:
            continue
        sources = _matched(path, frame)
        if sources is not None:
            found.append((int((sources >= 0).sum()), path))
    if found:
        most, path = max(found, key=lambda pair: pair[0])  # the first of several
        if most >= _ENOUGH * rows:
            return read_embeddings(path, frame, rows), ""
        if most:
            return None, f"{path} has embeddings of {most:,} of {rows:,} rows; --embeddings uses it"
    for path in sorted(table.parent.glob("*.npy"))[:_MOST_FILES]:
        if _npy_shape(path) == rows:
            if path.stem in (table_stem(table), f"{table_stem(table)}_embeddings"):
                return read_embeddings(path, frame, rows), ""
            return None, f"{path} has as many rows as the table; --embeddings uses it"
    return None, ""


def _of_npy(path: Path, rows: int) -> Features:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read the embeddings: {first_line(error)}") from None
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.floating):
        raise UserError(f"{path}: holds {matrix.dtype} of shape {matrix.shape}, not a line of numbers a row")
    if len(matrix) != rows:
        raise UserError(
            f"{path}: has {len(matrix):,} rows, the table {rows:,}; row i must belong to row i. "
            "A .parquet file is matched by path"
        )
    return Features(matrix, cosine=True, origin=f"the embeddings in {path}")


def _npy_shape(path: Path) -> int | None:
    """Rows of a file of vectors; None if it is something else."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return len(matrix) if matrix.ndim == 2 and np.issubdtype(matrix.dtype, np.floating) else None


def _of_column(frame: pl.LazyFrame, name: str, rows: int) -> Features:
    cells = frame.select(name).collect(engine="streaming")[name]
    matrix = _fill(f"column '{name}'", name, _batches(cells), np.arange(rows))
    return Features(matrix, cosine=True, origin=f"the column {name}")


def _batches(cells: pl.Series) -> Iterator[pa.Array]:
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    for start in range(0, len(cells), _BATCH):
        yield cells[start : start + _BATCH].to_arrow()


def _vector_column(path: Path) -> str | None:
    """The column of vectors in a Parquet file; None if it is another table, or unreadable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return None
    return next((name for name in _COLUMNS if name in names and "path" in names), None)


def _matched(path: Path, frame: pl.LazyFrame) -> np.ndarray | None:
    """For each row of a table the row of a Parquet file with the same path, or -1; None without paths."""
    if "path" not in frame.collect_schema():
        return None
    text = pl.col("path").cast(pl.String)
    try:
        there = pl.scan_parquet(path, glob=False).select(text).collect()["path"]
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: cannot read the embeddings: {first_line(error)}") from None
    here = frame.select(text).collect(engine="streaming")["path"]
    if here.equals(there):  # a path may be in several rows, as of clips that are not cut yet
        return np.arange(len(here))
    numbered = pl.DataFrame({"path": there, "source": np.arange(len(there))}).drop_nulls("path")
    first = numbered.unique("path", keep="first")
    joined = pl.DataFrame({"path": here}).join(first, on="path", how="left", maintain_order="left")
    return joined["source"].fill_null(-1).to_numpy()


def _filled(path: Path, column: str, sources: np.ndarray) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if pa.types.is_fixed_size_list(file.schema_arrow.field(column).type):
                # Arrow cannot read one with an empty cell: https://github.com/apache/arrow/issues/35692
                cells = pl.read_parquet(path, columns=[column], glob=False)[column]
                return _fill(str(path), column, _batches(cells), sources)
            batches = (batch.column(0) for batch in file.iter_batches(_BATCH, columns=[column]))
            return _fill(str(path), column, batches, sources)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot read the embeddings: {system_message(error)}") from None


def _fill(what: str, column: str, batches: Iterator[pa.Array], sources: np.ndarray) -> np.ndarray:
    """A matrix of the vectors in a column.

    Args:
        what: What the column is called in errors.
        column: Its name.
        batches: Its cells.
        sources: int64, shape (rows,): which cell each line of the matrix comes from; -1 for none.

    Returns:
        float32, shape (rows, D); NaN in lines without a vector.
    """
    order = np.argsort(sources, kind="stable")
    ordered = sources[order]
    matrix: np.ndarray | None = None
    start = 0
    for cells in batches:
        filled, vectors = _vectors(cells, column, what)
        stop = start + len(cells)
        low, high = np.searchsorted(ordered, [start, stop])
        lines, wanted = order[low:high], ordered[low:high] - start
        start = stop
        if not len(vectors):
            continue
        if matrix is None:
            matrix = _empty_matrix(len(sources), vectors.shape[1])
        if vectors.shape[1] != matrix.shape[1]:
            raise UserError(f"{what}: vectors of {matrix.shape[1]} and of {vectors.shape[1]} numbers")
        place = np.cumsum(filled) - 1  # of each filled cell among the vectors
        has = filled[wanted]
        matrix[lines[has]] = vectors[place[wanted[has]]]
    if matrix is None:
        raise UserError(f"{what}: no embedding in it, all cells are empty")
    return matrix


def _vectors(cells: pa.Array, column: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are filled, and the vectors of those: float32, shape (filled cells, D)."""
    filled = np.asarray(cells.is_valid())
    known = cells.drop_null()
    if column == FEATURE:
        texts = known.to_pylist()
        filled[filled] = [bool(text) for text in texts]
        vectors = [_decoded(text, what) for text in texts if text]
    else:
        lengths = known.value_lengths().to_numpy(zero_copy_only=False) if len(known) else np.empty(0)
        if len(set(lengths.tolist())) <= 1:
            values = known.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            return filled, values.reshape(len(known), -1) if len(known) else np.empty((0, 0), np.float32)
        vectors = known.to_pylist()
    if not vectors:
        return filled, np.empty((0, 0), np.float32)
    sizes = sorted({len(vector) for vector in vectors})
    if len(sizes) > 1:
        raise UserError(f"{what}: vectors of {sizes[0]} and of {sizes[-1]} numbers")
    return filled, np.asarray(vectors, np.float32)


def _decoded(text: str, what: str) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True)[_FEATURE_HEADER:], "<f4")
    except (ValueError, binascii.Error):
        raise UserError(f"{what}: {text[:20]!r} is no CLIP feature") from None


def _empty_matrix(rows: int, width: int) -> np.ndarray:
    """A float32 matrix of NaN; a large one in a file that has no name."""
    if rows * width * 4 <= _IN_MEMORY:
        return np.full((rows, width), np.nan, np.float32)
    try:
        with tempfile.TemporaryFile() as file:
            file.truncate(rows * width * 4)
            matrix = np.memmap(file, np.float32, "r+", shape=(rows, width))
            matrix[:] = np.nan
    except OSError as error:
        where = tempfile.gettempdir()
        raise UserError(f"{where}: no room for the embeddings: {system_message(error)}; set TMPDIR") from None
    return matrix


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
