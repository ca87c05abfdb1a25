"""A random sample of a table's rows, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sample:
    """Rows drawn for an audit.

    Attributes:
        rows: Row numbers from 0, int64, in the order in which they were drawn.
        population: Rows of the table.
        wanted: Rows that were asked for.
        seed: What they were drawn with.
    """

    rows: np.ndarray
    population: int
    wanted: int
    seed: int

    @property
    def describe(self) -> str:
        """``500 of 12,000 rows, drawn with seed 1``."""
        if self.rows.size == self.population:
            fewer = f"; {self.wanted:,} were asked for" if self.wanted > self.population else ""
            return f"all {self.population:,} rows{fewer}"
        return f"{self.rows.size:,} of {self.population:,} rows, drawn with seed {self.seed}"


def draw(population: int, wanted: int, seed: int) -> Sample:
    """Draw rows: a simple random sample without replacement.

    Every row gets a random number, and those with the smallest are drawn, in the order of their numbers. So
    any first part of the sample is a random sample itself: a person who stops half way has rated one, and
    with a larger ``wanted`` the same seed gives the same rows and then more.

    The numbers are the raw output of the generator Philox (Salmon et al. 2011), which NumPy promises not to
    change (NEP 19), unlike what it makes of it; so a seed gives the same rows with every version.

    Args:
        population: Rows of the table.
        wanted: Rows to draw; all where the table has no more.
        seed: 0 or more.

    Returns:
        The sample.
    """
    # Rows with the same number, of 2^64, stay in the order of the table.
    order = np.argsort(np.random.Philox(seed).random_raw(population), kind="stable")
    return Sample(order[: max(0, wanted)].astype(np.int64), population, wanted, seed)
