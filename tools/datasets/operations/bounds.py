"""The bounds on several columns that keep a given amount of a table, and how they are written down."""

from __future__ import annotations

import keyword
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from tools.datasets.operations.ranks import Scale, Score

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-9
"""Sums of lengths that differ by this share are equal: they were added in another order."""


@dataclass(frozen=True)
class Bounds:
    """Which bounds keep an amount.

    Attributes:
        worst: For each scale the place of the worst number that is kept; 0 where the column cuts nothing.
        kept: What they keep, in the unit of the amounts.
        next: What the next tighter bounds would keep: less than was asked for.
    """

    worst: list[int]
    kept: float
    next: float


def find_bounds(scales: Sequence[Scale], amount: np.ndarray, goal: float) -> Bounds:
    """The tightest bounds that keep at least ``goal``.

    One setting moves all bounds together, see `tools.datasets.operations.ranks.scales_of`, until its next
    step would leave less than the goal. If several columns are left then, the bound of the one whose step
    cuts most stays where it is, and the others move on; so a column of few distinct numbers does not keep the
    rest from coming closer.

    Args:
        scales: The columns, each with all rows.
        amount: What each row counts, float64 (rows), above 0.
        goal: Above 0, and not above the sum of ``amount``.
    """
    import numpy as np

    worst, less = [0] * len(scales), 0.0
    rows, moving = np.arange(amount.size), list(range(len(scales)))
    while True:
        level = np.minimum.reduce([scales[i].level[scales[i].index[rows]] for i in moving])
        order = np.argsort(-level)
        fallen, total = -level[order], np.cumsum(amount[rows[order]])
        at = level[order[min(np.searchsorted(total, goal * (1 - TOLERANCE)), rows.size - 1)]]
        begin, end = np.searchsorted(fallen, -at, "left"), np.searchsorted(fallen, -at, "right")
        kept = float(total[end - 1])
        less = max(less, float(total[begin - 1]) if begin else 0.0)
        rows = rows[level >= at]
        for i in moving:
            worst[i] = int(np.searchsorted(scales[i].level, at, "left"))
        if len(moving) == 1 or np.isinf(at) or kept <= goal * (1 + TOLERANCE):
            return Bounds(worst, kept, less)
        cut = [amount[rows[scales[i].level[scales[i].index[rows]] == at]].sum() for i in moving]
        moving.remove(moving[int(np.argmax(cut))])


@dataclass(frozen=True)
class Clause:
    """One part of the condition that keeps the rows.

    Attributes:
        text: In the language of ``--where``.
        failed: What is said of a row that it removes.
        column: The column that it is about; empty for several.
    """

    text: str
    failed: str
    column: str = ""


def bound_clause(score: Score, scale: Scale, worst: int) -> Clause:
    """``aes >= 4.71``: the shortest number that separates the worst kept one from the best that is cut."""
    name = spell_column(score.column)
    at, below = float(scale.values[worst]), float(scale.values[worst - 1])
    sign = -1.0 if score.low else 1.0
    if math.isinf(at):  # no number is as large, so the one below it has to say it
        below = max(below, -1.7976931348623157e308)
        more, not_more = ("<", ">=") if score.low else (">", "<=")
        number = spell_number(sign * below)
        return Clause(f"{name} {more} {number}", f"{score.column} {not_more} {number}", score.column)
    number = spell_number(sign * _shortest(below, at))
    inside, outside = ("<=", ">") if score.low else (">=", "<")
    return Clause(f"{name} {inside} {number}", f"{score.column} {outside} {number}", score.column)


def _shortest(below: float, at: float) -> float:
    """The number of fewest digits above ``below`` and not above ``at``."""
    exact = Decimal(at)
    for digits in range(1, 18):
        step = Decimal(1).scaleb(exact.adjusted() - digits + 1)
        for rounding in (ROUND_HALF_EVEN, ROUND_FLOOR):
            number = float((exact / step).to_integral_value(rounding) * step)
            if below < number <= at:
                return number
    return at


def spell_number(number: float) -> str:
    """A finite number so that ``--where`` reads the same one."""
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def spell_column(name: str) -> str:
    """A column as ``--where`` takes it: bare, in backticks, or as ``col('...')``."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    return f"`{name}`" if "`" not in name and "\n" not in name else f"col({name!r})"
