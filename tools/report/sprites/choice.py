"""Which rows of a table are shown as pictures, where there are too many to show all."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

DEFAULT_BUDGET = 300
"""Rows that are shown: at 6 to 10 KB a sprite, 2 to 3 MB."""

_RANDOM_PART = 0.2  # of the budget: rows that no score has chosen, to see what is usual
_END_PART = 4  # each end of a score gets one in so many of its rows
_MOST_AT_END = 12  # a contact sheet of the best or the worst


def choose(
    num_rows: int, scores: Mapping[str, np.ndarray], budget: int = DEFAULT_BUDGET, seed: int = 0
) -> np.ndarray:
    """Choose rows so that every score has clips at both ends, and on both sides of any bound.

    A fifth of the budget is a random sample of all rows. The scores share the rest, taking turns: first each
    takes its best and its worst rows, then, again and again, the row in the middle of the widest gap between
    chosen rows, in the order of its values. What one score has chosen narrows the gaps of the others, so
    scores that agree cost no row twice. A gap between equal values needs no row: no bound lies in it. Among
    equal values chance decides, not the order of the table.

    Args:
        num_rows: Rows of the table.
        scores: Float64 arrays of `num_rows` values by name; NaN where a row has none. Infinities are values.
        budget: Most rows to choose.
        seed: The same seed, the same rows.

    Returns:
        Int64, ascending: numbers of the chosen rows, each once; all rows where there are no more than
        `budget`, else exactly `budget`.

    Raises:
        ValueError: An array has another length.
    """
    for name, values in scores.items():
        if len(values) != num_rows:
            raise ValueError(f"score {name}: {len(values)} values for {num_rows} rows")
    if num_rows <= budget:
        return np.arange(num_rows)
    budget = max(0, budget)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(num_rows)
    orders = [order for values in scores.values() if (order := _Order.of(values, shuffled)) is not None]
    chosen = set(shuffled[: round(budget * _RANDOM_PART)].tolist())
    for order in orders:
        order.mark(chosen)
    share = (budget - len(chosen)) // max(1, len(orders))
    at_end = min(_MOST_AT_END, max(1, share // _END_PART))
    for row in _in_turns([order.proposals(at_end) for order in orders], chosen):
        if len(chosen) >= budget:
            break
        chosen.add(row)
        for order in orders:
            order.mark((row,))
    rest = (int(row) for row in shuffled if row not in chosen)
    while len(chosen) < budget:  # no score has a row left to choose
        chosen.add(next(rest))
    return np.sort(np.fromiter(chosen, np.int64, len(chosen)))


def _in_turns(proposals: list[Iterator[int]], chosen: set[int]) -> Iterator[int]:
    """The next row of each in turn; one that is chosen already does not cost a turn."""
    while proposals:
        still = []
        for rows in proposals:
            row = next((row for row in rows if row not in chosen), None)
            if row is not None:
                still.append(rows)
                yield row
        proposals = still


class _Order:
    """The rows of one score in the order of its values, and which of them are chosen.

    Args:
        rows: Rows that have a value, the lowest first.
        values: Their values.
        num_rows: Rows of the table.
    """

    def __init__(self, rows: np.ndarray, values: np.ndarray, num_rows: int) -> None:
        self._rows, self._values = rows, values
        self._ranks = np.full(num_rows, -1, np.int32)
        self._ranks[rows] = np.arange(len(rows), dtype=np.int32)
        self._chosen = array("i")  # ranks, ascending

    @classmethod
    def of(cls, values: np.ndarray, shuffled: np.ndarray) -> _Order | None:
        """The order of an array; None where it has fewer than two values, so that no bound divides rows.

        Args:
            values: Shape (rows,).
            shuffled: All rows, in the order that decides among equal values.
        """
        values = np.asarray(values, np.float64)
        rows = shuffled[~np.isnan(values[shuffled])].astype(np.int32)
        rows = rows[np.argsort(values[rows], kind="stable")]
        if not len(rows) or values[rows[0]] == values[rows[-1]]:
            return None
        return cls(rows, values[rows], len(values))

    def mark(self, rows: Iterable[int]) -> None:
        """Rows are chosen, by this score or for another reason."""
        for row in rows:
            if (rank := int(self._ranks[row])) >= 0:
                bisect.insort(self._chosen, rank)

    def proposals(self, at_end: int) -> Iterator[int]:
        """Rows that this score would choose next, given those that are chosen meanwhile.

        Args:
            at_end: Best rows, and worst rows, that come first.
        """
        last = len(self._rows) - 1
        for i in range(min(at_end, len(self._rows) // 2)):
            yield int(self._rows[last - i])
            yield int(self._rows[i])
        while (rank := self._middle_of_gap()) is not None:
            yield int(self._rows[rank])

    def _middle_of_gap(self) -> int | None:
        """The rank in the middle of the widest gap in which a bound may lie; None where there is none."""
        ranks = np.frombuffer(self._chosen, "i")
        between = np.diff(ranks) - 1
        between[self._values[ranks[1:]] == self._values[ranks[:-1]]] = 0
        if not len(between) or not between.max():
            return None
        widest = int(between.argmax())
        return int(ranks[widest] + (between[widest] + 1) // 2)
