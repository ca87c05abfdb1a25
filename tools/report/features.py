"""The numbers that rows are compared by: a matrix with one line for each row of a table, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tools.base.terminal import counted
from tools.columns import COLUMNS, ROW_COLUMN
from tools.report.summary.numbers import column_series, finite

BLOCK = 4096
"""Rows computed with at a time."""


@dataclass(frozen=True)
class Features:
    """What each row is compared by.

    Attributes:
        matrix: float32, shape (rows, D), in memory or a file that is mapped; a line with a number that is not
            finite belongs to a row without features.
        cosine: Rows are compared by angle, as CLIP embeddings are; else by Euclidean distance.
        origin: What they are, as part of a sentence.
    """

    matrix: np.ndarray
    cosine: bool
    origin: str

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Which rows, and their features: float64, shape (at most `BLOCK`, D)."""
        for start in range(0, len(self.matrix), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self.matrix)))
            yield rows, np.asarray(self.matrix[rows], np.float64)

    def known(self) -> np.ndarray:
        """Which rows have features: bool, shape (rows,)."""
        found = np.zeros(len(self.matrix), bool)
        for rows, block in self.blocks():
            found[rows] = np.isfinite(block).all(axis=1)
            if self.cosine:  # a vector without a length has no angle
                found[rows] &= (block != 0).any(axis=1)
        return found


def score_names(schema: Mapping[str, pl.DataType]) -> list[str]:
    """The columns of a table that rows can be compared by.

    Args:
        schema: Names and types; the user's own numbers in a CSV are numbers already.

    Returns:
        Scores of the contract, and columns of numbers that are the user's own.
    """
    return [
        name
        for name, dtype in schema.items()
        if (COLUMNS[name].score and not dtype.is_nested() if name in COLUMNS else dtype.is_numeric())
        and name != ROW_COLUMN
    ]


def score_features(frame: pl.LazyFrame, names: Sequence[str], rows: int) -> tuple[Features, list[str]]:
    """Standardised scores: each column has mean 0 and standard deviation 1.

    A score that is missing or not finite counts as the mean of its column. A row without any has no features.
    Columns that are the same in all rows, and those that number the rows, are left out.

    Args:
        frame: The table.
        names: Columns of numbers.
        rows: Rows of the table.

    Returns:
        The features, and the names of the columns that they consist of.
    """
    columns, used = [], []
    known = np.zeros(rows, bool)
    for name, values in column_series(frame, {name: finite(name) for name in names}, rows):
        column = values.to_numpy().astype(np.float64)  # nulls are NaN
        filled = np.isfinite(column)
        if not filled.any() or _is_row_number(column):
            continue
        standard = standardised(column, filled)
        if standard is not None:
            known |= filled
            columns.append(standard.astype(np.float32))
            used.append(name)
    matrix = np.column_stack(columns) if columns else np.empty((rows, 0), np.float32)
    matrix[~known] = np.nan
    return Features(matrix, cosine=False, origin=_counted(used)), used


def _counted(used: Sequence[str]) -> str:
    return counted(len(used), "standardised score")


def standardised(column: np.ndarray, filled: np.ndarray) -> np.ndarray | None:
    """A column with mean 0 and standard deviation 1 (that of the population), and 0 where it is empty.

    Args:
        column: float64, shape (rows,).
        filled: Which of its cells are numbers.

    Returns:
        The same shape; None where all numbers are the same.
    """
    values = column[filled]
    if values.min() == values.max():
        return None
    values = values / np.abs(values).max()  # the squares of large numbers would be infinite
    values = values - values.mean()
    deviation = np.sqrt(np.mean(values**2))
    if deviation == 0:
        return None
    found = np.zeros(len(column))
    found[filled] = values / deviation
    return found


def _is_row_number(column: np.ndarray) -> bool:
    """Whether a column counts the rows, as the index of a frame does."""
    return len(column) > 2 and bool((np.diff(column) == 1).all())
