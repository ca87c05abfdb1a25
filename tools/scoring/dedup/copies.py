"""From a table with fingerprints to the columns ``dup_of`` and ``dup_score``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tools.errors import UserError
from tools.scoring.dedup.criteria import KEEP, check_keep
from tools.scoring.dedup.features import decode_feature, find_similar
from tools.scoring.dedup.fingerprint import decode, decode_about
from tools.scoring.dedup.matching import Match, find_copies
from tools.scoring.dedup.ranking import rank
from tools.scoring.dedup.stage import FEATURE, FINGERPRINT

METHODS: dict[str, tuple[str, float]] = {"hash": (FINGERPRINT, 0.9), "clip": (FEATURE, 0.98)}
"""Name of a method to the column that it compares, and its threshold when none is given."""

_DECIMALS = 4


def mark_copies(
    table: pl.DataFrame,
    *,
    method: str = "hash",
    threshold: float | None = None,
    keep: Sequence[str] = KEEP,
    search: str = "auto",
    device: str = "cpu",
) -> pl.DataFrame:
    """Find the copies among the rows of a table.

    Args:
        table: A table with columns path and fingerprint (method hash) or clip_feature (method clip). A row
            whose fingerprint is empty is neither a copy nor has one. Images are compared with images.
        method: ``hash`` or ``clip``.
        threshold: Similarity from which on a row is a copy; by default 0.9 (hash) or 0.98 (clip).
        keep: What makes the better copy, the first criterion first; see `tools.scoring.dedup.ranking.rank`.
        search: For clip, see `tools.scoring.dedup.features.find_similar`.
        device: For clip, where it is computed.

    Returns:
        The table without the column of fingerprints, with ``dup_of``, the path of the row that it is a copy
        of, and ``dup_score``, how much it is one, 0 to 1. Both are empty in rows that are kept.

    Raises:
        UserError: There is no such method or column, or a cell is no fingerprint.
    """
    check_options(table.columns, method=method, threshold=threshold, keep=keep)
    column, usual = METHODS[method]
    threshold = usual if threshold is None else threshold
    if column not in table.columns:
        raise UserError(f"no column '{column}' (there are: {', '.join(table.columns)})")
    cells = table[column].cast(pl.String).to_list()
    if method == "hash":
        read, about = _Reader(cells, decode), _Reader(cells, decode_about)
    else:
        read = _Reader(cells, decode_feature)
        about = _Reader(cells, lambda cell: decode_feature(cell).about)
    known = [about(row) for row in range(len(cells))]
    order = rank(table, known, keep)
    found: dict[int, Match] = {}
    if method == "hash":
        found = _in_rows(find_copies(lambda i: read(order[i]), len(order), threshold), order)
    else:
        for video in (False, True):
            some = [row for row in order if (one := known[row]) is not None and one.video == video]
            if some:
                vectors = _vectors(read, some, column)
                found |= _in_rows(find_similar(vectors, threshold, search=search, device=device), some)
    return _with_columns(table.drop(column), found)


def check_options(
    columns: Sequence[str],
    *,
    method: str = "hash",
    threshold: float | None = None,
    keep: Sequence[str] = KEEP,
) -> None:
    """Check what can be checked before any file is read; arguments as for `mark_copies`.

    Raises:
        UserError: There is no such method, threshold or column.
    """
    if method not in METHODS:
        raise UserError(f"Invalid method ({method}). Supported values are {', '.join(METHODS)}.")
    if threshold is not None and not 0 < threshold <= 1:
        raise UserError(f"Invalid threshold ({threshold}). It must be greater than 0 and at most 1.")
    check_keep(keep, columns)


class _Reader:
    """Fingerprints by the number of their row, unpacked when they are asked for."""

    def __init__(self, cells: list[str | None], unpack: Callable[[str], Any]) -> None:
        self._cells, self._unpack = cells, unpack

    def __call__(self, row: int) -> Any:
        cell = self._cells[row]
        if not cell:
            return None
        try:
            return self._unpack(cell)
        except ValueError as error:
            raise UserError(f"row {row + 1}: {error}; make the fingerprints anew") from None


def _vectors(read: _Reader, rows: list[int], column: str) -> np.ndarray:
    vectors = [read(row).vector for row in rows]
    if len({len(vector) for vector in vectors}) > 1:
        raise UserError(f"column {column}: features of different models; make them anew")
    return np.stack(vectors)


def _in_rows(found: dict[int, Match], rows: Sequence[int]) -> dict[int, Match]:
    """The same by the numbers of the table's rows."""
    return {rows[copy]: Match(rows[match.kept], match.similarity) for copy, match in found.items()}


def _with_columns(table: pl.DataFrame, found: dict[int, Match]) -> pl.DataFrame:
    paths = table["path"].cast(pl.String).to_list()
    matches = [found.get(row) for row in range(table.height)]
    kept = [match and paths[match.kept] for match in matches]
    scores = [match and round(match.similarity, _DECIMALS) for match in matches]
    return table.with_columns(
        pl.Series("dup_of", kept, dtype=pl.String), pl.Series("dup_score", scores, dtype=pl.Float64)
    )
