"""Confidence intervals of a share, such as that of bad clips in a table."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

_ROUNDING = 1e-9  # rows: an end this close to a whole number of rows is that number


class Interval(NamedTuple):
    """Two shares, 0 to 1, between which the true one is with the chosen confidence."""

    low: float
    high: float


def wilson(found: int, tried: int, *, population: int | None = None, confidence: float = 0.95) -> Interval:
    """Wilson's score interval: every share that a two-sided test does not reject (Wilson 1927).

    The ends are the roots ``p`` of ``(found/tried - p)^2 = z^2 V(p)`` with ``V(p) = p (1 - p) / tried``.
    Unlike ``share ± z sqrt(V)`` it is right for small counts: 0 of 100 gives 0 to 3.7 %, not 0 to 0.

    With ``population`` the share is that of a finite table, from which clips were drawn without replacement.
    Then ``V(p)`` is the variance of the hypergeometric distribution,
    ``p (1 - p) / tried x (N - tried) / (N - 1)`` (Cochran 1977, Sampling Techniques, section 3.2), that is,
    Wilson's interval of ``tried (N - 1) / (N - tried)`` trials. Its ends are moved outward to the next share
    that N rows can have, and inward to what the tried ones leave possible. Without the former an interval of
    nearly all rows is too short: of 95 of 100 rows, as few as 86 % of the intervals would hold the truth.

    Args:
        found: Clips with the property, 0 to ``tried``.
        tried: Clips looked at. Of none nothing is known: 0 to 1.
        population: Rows of the table from which they were drawn; None for one without end.
        confidence: The share of intervals that hold the truth.

    Returns:
        The interval. It always holds ``found / tried``.

    Raises:
        ValueError: The counts do not go together.
    """
    if not 0 <= found <= tried or (population is not None and tried > population):
        whole = "" if population is None else f" <= {population}"
        raise ValueError(f"Invalid counts. Needed is 0 <= {found} <= {tried}{whole}.")
    if not 0 < confidence < 1:
        raise ValueError(f"Invalid confidence ({confidence}). It is between 0 and 1.")
    if not tried:
        return Interval(0.0, 1.0)
    if population is None:
        return _roots(found / tried, tried, confidence)
    if population == tried:
        return Interval(found / tried, found / tried)
    low, high = _roots(found / tried, tried * (population - 1) / (population - tried), confidence)
    return Interval(
        max(math.floor(low * population + _ROUNDING), found) / population,
        min(math.ceil(high * population - _ROUNDING), population - tried + found) / population,
    )


def _roots(share: float, trials: float, confidence: float) -> Interval:
    """The interval of a share that was seen in so many trials."""
    square = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    middle = share + square / (2 * trials)
    half = math.sqrt(square * share * (1 - share) / trials + (square / (2 * trials)) ** 2)
    scale = 1 + square / trials
    # A share of 0 or 1 is an end of its interval exactly; in floating point it would miss it by a hair.
    low = 0.0 if share == 0 else max(0.0, (middle - half) / scale)
    high = 1.0 if share == 1 else min(1.0, (middle + half) / scale)
    return Interval(low, high)
