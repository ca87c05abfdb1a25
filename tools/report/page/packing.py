"""Numbers as bytes for a page: whole multiples of a power of ten, in as few bytes as they need.

Scores are rounded decimals as a rule, and these are kept exactly. A column of numbers with all their digits
does not compress; of a large table such numbers are kept as the multiples of a fine step that they lie on or
above. A bound that is itself a multiple of the step then still separates exactly the rows that it separates
in the table, which is all that a page that counts rows has to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT = 2**51 - 2
"""Numbers from this multiple on are listed: twice the multiple, and one, are exact in Float64."""

_EXACT_BYTES = 3  # a column of decimals that needs more is kept exactly only in a small table
_EXACT_BYTES_OF_WHOLE = 4  # whole numbers are counts of something, or bytes; thousands of them would look odd
_SMALL_TABLE = 20_000  # rows
_STEPS, _STEPS_OF_SMALL = 2e5, 1e9  # between the 1 % and 99 % quantiles, at least
_MOST_DECIMALS = 15
_LARGEST_POWER = 22  # powers of ten up to this one are exact in Float64, so quotients are rounded once


@dataclass(frozen=True)
class PackedNumbers:
    """A column of numbers as bytes.

    A cell is a code: 0 where it is empty, else its key + 1 - ``least``. Keys are in the order of the numbers.
    Of an exact column the key is the multiple itself; else it is twice the multiple, plus 1 where the number
    lies above it. Numbers with more multiples than keys can tell apart, and infinite ones, are listed: their
    keys come one after the other, before and after those of all others.

    Attributes:
        planes: The lowest byte of the codes of all rows, then the next byte of all, and so on.
        width: Bytes of a code, 0 to 7; 0 where every cell is empty.
        least: The smallest key.
        decimals: Multiples are of 10^-decimals.
        exact: Every number is a multiple, or listed.
        below: The listed numbers of the smallest keys, in their order.
        above: Those of the largest keys.
    """

    planes: bytes
    width: int
    least: int
    decimals: int
    exact: bool
    below: tuple[float, ...] = ()
    above: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything but the bytes, as the page reads it (``assets/columns.js``)."""
        return {
            "width": self.width,
            "least": self.least,
            "decimals": self.decimals,
            "exact": self.exact,
            "below": [_as_text(number) for number in self.below],
            "above": [_as_text(number) for number in self.above],
        }


def pack_numbers(values: np.ndarray) -> PackedNumbers:
    """Pack a column.

    Args:
        values: Float64, NaN where a cell is empty.

    Returns:
        The column; its keys are in the order of the numbers.
    """
    filled = ~np.isnan(values)
    finite = values[np.isfinite(values)]
    decimals = _exact_decimals(finite) if finite.size else 0
    if decimals is None:
        decimals = _decimals_of_grid(finite, values.size)
    multiples = _multiples(values, decimals)
    inner = filled & (np.abs(multiples) < LIMIT)
    listed = filled & ~inner
    keys, exact = _keys(values, np.where(inner, multiples, 0.0), inner, decimals)
    below, above = (np.unique(values[listed & side]) for side in (values < 0, values > 0))
    between = keys[inner]
    start, end = (between.min() - below.size, between.max() + 1) if between.size else (0, below.size)
    keys[listed] = np.where(
        values[listed] < 0,
        start + np.searchsorted(below, values[listed]),
        end + np.searchsorted(above, values[listed]),
    )
    least = int(keys[filled].min()) if filled.any() else 0
    codes = np.where(filled, keys - least + 1, 0).astype("<u8")
    width = (int(codes.max()).bit_length() + 7) // 8 if codes.size else 0
    raw = codes.view(np.uint8).reshape(-1, 8)
    planes = b"".join(raw[:, place].tobytes() for place in range(width))
    return PackedNumbers(planes, width, least, decimals, exact, tuple(below.tolist()), tuple(above.tolist()))


def _as_text(number: float) -> str:
    """A number as JavaScript reads it; JSON has no infinite ones."""
    return repr(number).replace("inf", "Infinity")


def _scaled(values: np.ndarray, decimals: int) -> np.ndarray:
    return values * 10.0**decimals if decimals >= 0 else values / 10.0**-decimals


def _multiple(multiples: np.ndarray, decimals: int) -> np.ndarray:
    """The Float64 nearest to each multiple, as a program reads it when the decimal is written out."""
    return multiples / 10.0**decimals if decimals >= 0 else multiples * 10.0**-decimals


def _exact_decimals(finite: np.ndarray) -> int | None:
    """The fewest decimals that all numbers have; None where they have too many to be kept."""
    few = finite[:: max(1, finite.size // 1000)]
    for decimals in range(_MOST_DECIMALS + 1):
        if not _are_multiples(few, decimals) or not _are_multiples(finite, decimals):
            continue
        span = _scaled(np.array([finite.min(), finite.max()]), decimals)
        width = _EXACT_BYTES if decimals else _EXACT_BYTES_OF_WHOLE
        small = finite.size <= _SMALL_TABLE or (span[1] - span[0] + 2) < 256**width
        return decimals if small else None
    return None


def _are_multiples(values: np.ndarray, decimals: int) -> bool:
    with np.errstate(over="ignore"):
        multiples = np.rint(_scaled(values, decimals))
    return bool((np.abs(multiples) < LIMIT).all() and (_multiple(multiples, decimals) == values).all())


def _decimals_of_grid(finite: np.ndarray, rows: int) -> int:
    low, high = np.quantile(finite, (0.01, 0.99), method="nearest")
    if not high > low:
        low, high = finite.min(), finite.max()
    with np.errstate(over="ignore"):
        spread = float(high - low)
    if not 0 < spread < np.inf:
        spread = max(abs(float(low)), 1.0)
    steps = _STEPS_OF_SMALL if rows <= _SMALL_TABLE else _STEPS
    decimals = np.ceil(np.log10(steps) - np.log10(spread))
    # Of numbers that are large beside their spread, as many decimals as leave multiples below the limit.
    most = np.floor(np.log10(LIMIT) - np.log10(max(abs(float(low)), abs(float(high)), 1e-300)))
    return int(np.clip(min(decimals, most), -_LARGEST_POWER, _LARGEST_POWER))


def _multiples(values: np.ndarray, decimals: int) -> np.ndarray:
    """The multiple that each number lies on or above; of one to be listed, any beyond the limit."""
    with np.errstate(over="ignore", invalid="ignore"):
        multiples = np.floor(_scaled(values, decimals))
        # The product was rounded: one step to either side puts it right.
        multiples -= _multiple(multiples, decimals) > values
        multiples += _multiple(multiples + 1, decimals) <= values
    return multiples


def _keys(
    values: np.ndarray, multiples: np.ndarray, inner: np.ndarray, decimals: int
) -> tuple[np.ndarray, bool]:
    """The key of each number that is not listed, and whether all are multiples; of others, anything."""
    above = inner & (_multiple(multiples, decimals) < values)
    whole = multiples.astype(np.int64)
    exact = not bool(above.any())
    return (whole if exact else 2 * whole + above), exact
