"""Statistics of one column of numbers: quantiles, mean, and a histogram to draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from tools.table import numeric

QUANTILES: tuple[float, ...] = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
BINS = 100
_MEMORY = 512 * 2**20  # bytes of columns in memory at a time


@dataclass(frozen=True)
class Histogram:
    """How often values fall between edges.

    Attributes:
        edges: The ``len(counts) + 1`` edges of the bins, ascending; a bin counts ``[edge, next edge)``, the
            last one its upper edge too.
        counts: Values in each bin.
        below: Values under the first edge.
        above: Values over the last edge.
    """

    edges: list[float]
    counts: list[int]
    below: int = 0
    above: int = 0


@dataclass(frozen=True)
class NumberSummary:
    """Statistics of the numbers in one column.

    Attributes:
        count: Cells with a finite number.
        empty: Cells that are empty or NaN.
        unreadable: Filled cells that are no finite number.
        minimum: Smallest number; None, as all below, when there is no number.
        maximum: Largest number.
        mean: Arithmetic mean.
        quantiles: For each of `QUANTILES` the value at position q x (count - 1) of the sorted numbers,
            between two of them linearly interpolated (Hyndman and Fan 1996, type 7; the default of NumPy and
            pandas).
        histogram: At most `BINS` bins.
    """

    count: int
    empty: int
    unreadable: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    quantiles: dict[float, float] | None = None
    histogram: Histogram | None = None


def finite(column: str) -> pl.Expr:
    """A column as finite Float64; everything else is null."""
    number = numeric(column)
    return pl.when(number.is_finite()).then(number).alias(column)


def summarize_numbers(values: pl.Series, *, empty: int = 0, unreadable: int = 0) -> NumberSummary:
    """Statistics of the numbers in a series.

    Args:
        values: Float64, finite; nulls are left out.
        empty: How many cells of the column are empty.
        unreadable: How many filled cells of the column are no finite number.

    Returns:
        The statistics.
    """
    ordered = values.drop_nulls().sort()
    if ordered.is_empty():
        return NumberSummary(0, empty, unreadable)
    quantiles = {q: float(ordered.quantile(q, "linear")) for q in QUANTILES}
    return NumberSummary(
        count=ordered.len(),
        empty=empty,
        unreadable=unreadable,
        minimum=ordered[0],
        maximum=ordered[-1],
        mean=float(ordered.mean()),
        quantiles=quantiles,
        histogram=histogram(ordered.to_numpy(), quantiles[0.01], quantiles[0.99]),
    )


def histogram(ordered: np.ndarray, low: float, high: float) -> Histogram:
    """Count values in at most `BINS` bins of equal width.

    A few far values would press all others into one bin: where the extremes are further from the 1 % and
    99 % quantiles than these are from each other, the bins end at the quantiles, and what lies beyond is
    counted in ``below`` and ``above``. Bins of whole numbers have a whole width, or some would count one
    number more than their neighbours.

    Args:
        ordered: Finite numbers, float64, ascending, at least one.
        low: Their 1 % quantile.
        high: Their 99 % quantile.

    Returns:
        The counts.
    """
    first, last = float(ordered[0]), float(ordered[-1])
    if high > low:
        first = low if low - first > high - low else first
        last = high if last - high > high - low else last
    # Beyond 2^53 every float is whole, and the half between two of them is none.
    if max(-first, last) < 2**53 and bool((ordered == np.floor(ordered)).all()):
        first, last = math.floor(first), math.ceil(last)
        width = max(1, math.ceil((last - first + 1) / BINS))
        bins = math.ceil((last - first + 1) / width)
        edges = first - 0.5 + width * np.arange(bins + 1)
    elif first == last:
        half = max(0.5, abs(first) / 1000)
        edges = np.array([first - half, first + half])
    else:
        scale = 1.0 if math.isfinite(last - first) else 2.0
        edges = scale * np.linspace(first / scale, last / scale, BINS + 1)
        edges[0], edges[-1] = first, last
    counts = np.histogram(ordered, edges)[0]
    below = int(np.searchsorted(ordered, edges[0], side="left"))
    above = ordered.size - int(np.searchsorted(ordered, edges[-1], side="right"))
    return Histogram(edges.tolist(), counts.tolist(), below, above)


def column_series(
    frame: pl.LazyFrame, columns: dict[str, pl.Expr], rows: int
) -> Iterator[tuple[str, pl.Series]]:
    """Read columns, so many at a time as fit into 512 MiB.

    Args:
        frame: The table.
        columns: Name to an expression of 8 bytes a row.
        rows: Rows of the table.

    Yields:
        Name and cells.
    """
    names = list(columns)
    group = max(1, _MEMORY // (8 * max(1, rows)))
    for start in range(0, len(names), group):
        chosen = names[start : start + group]
        read = frame.select([columns[name].alias(name) for name in chosen]).collect(engine="streaming")
        for name in chosen:
            yield name, read.drop_in_place(name)
