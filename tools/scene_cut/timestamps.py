"""The column ``timestamp``: the shots of a video as half-open intervals of seconds since its first frame."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from fractions import Fraction

Interval = tuple[Fraction, Fraction]
"""Start and end in seconds; the end is not part of it."""

_TIME = r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d*)?)(?:\s*s)?"
_BETWEEN = r"(?:\s*,\s*|\s+)"  # NumPy writes the rows and columns of an array without commas


def _value(first_group: int) -> str:
    """A value as Python or NumPy 2 write it: 1.5, '00:01.5', np.str_('00:01.5'), np.float64(1.5).

    Its groups (call, quote, and the three of the time) count from `first_group` on.
    """
    return rf"(np\.(?:str_|float\d+|int\d+)\()?(['\"]?){_TIME}\{first_group + 1}(?({first_group})\))"


_PAIR = re.compile(rf"([\[(])\s*{_value(2)}{_BETWEEN}{_value(7)}\s*,?\s*([\])])", re.ASCII)
_END_OF_PAIR = re.compile(rf"{_BETWEEN}|$", re.ASCII)
_BRACKETS = ("[]", "()")


def format_timestamps(scenes: Sequence[Interval]) -> str:
    """Write intervals as JSON: ``[["00:00:00.000", "00:00:01.200"], ...]``.

    Args:
        scenes: Intervals whose ends are as exact as they are to be written, see `readable_boundary`.

    Returns:
        The text of a cell. Milliseconds, or as many digits more as a boundary needs.
    """
    return json.dumps([[_clock(start), _clock(end)] for start, end in scenes])


def readable_boundary(first: Fraction, before: Fraction | None) -> Fraction:
    """A short number that separates a frame from the one before it.

    Rounding a frame's start up, even by half a millisecond, would put it into the shot before. Rounded down
    it is safe, unless the frame before starts in the same millisecond; then further digits are kept.

    Args:
        first: Start of the first frame of a shot, seconds.
        before: Start of the frame before it; None when there is none.

    Returns:
        A number b with at most 9 decimals and ``before < b <= first``.

    Raises:
        ValueError: The two frames start within the same nanosecond.
    """
    for decimals in (3, 6, 9):
        boundary = Fraction(math.floor(first * 10**decimals), 10**decimals)
        if before is None or boundary > before:
            return boundary
    raise ValueError(f"two frames start within a nanosecond, at {float(first)} s")


def parse_timestamps(cell: str | Sequence[Sequence[str | float]]) -> list[Interval]:
    """Read intervals, exactly as they are written; nothing is evaluated.

    Args:
        cell: JSON as `format_timestamps` writes it, or the textual Python list of tuples that Open-Sora wrote
            (``[('00:00:00.000', '00:00:01.200')]``), also with NumPy's strings or as NumPy prints an array.
            Times are HH:MM:SS.mmm, MM:SS.mmm or seconds. A table that is not text may have a list of pairs.

    Returns:
        The intervals, in the order written.

    Raises:
        ValueError: The cell is something else, or an interval does not end after it starts.
    """
    text = cell.strip() if isinstance(cell, str) else _as_text(cell)
    if len(text) < 2 or text[0] + text[-1] not in _BRACKETS:
        raise ValueError(f"not a list of [start, end] pairs: {_shown(text)}")
    inner, at = text[1:-1].strip(), 0
    scenes: list[Interval] = []
    while at < len(inner):
        match = _PAIR.match(inner, at)
        if not match or match[1] + match[12] not in _BRACKETS:
            raise ValueError(f"not a list of [start, end] pairs: {_shown(inner[at:])}")
        scenes.append((_seconds(*match.group(4, 5, 6)), _seconds(*match.group(9, 10, 11))))
        between = _END_OF_PAIR.match(inner, match.end())
        if not between:
            raise ValueError(f"not a list of [start, end] pairs: {_shown(inner[match.end() :])}")
        at = between.end()
    for start, end in scenes:
        if end <= start:
            raise ValueError(f"ends at {_clock(end)}, not after its start at {_clock(start)}")
    return scenes


def parse_time(text: str) -> Fraction:
    """Read one time: HH:MM:SS.mmm, MM:SS.mmm or seconds (12.5 or 12.5s).

    Raises:
        ValueError: The text is something else.
    """
    match = re.fullmatch(_TIME, text.strip(), re.ASCII)
    if not match:
        raise ValueError(f"not a time: {_shown(text)}; write seconds or HH:MM:SS.mmm")
    return _seconds(*match.groups())


def _as_text(cell: Sequence[Sequence[str | float]]) -> str:
    try:
        return json.dumps(cell)
    except TypeError:
        raise ValueError(f"not a list of [start, end] pairs: {_shown(repr(cell))}") from None


def _seconds(first: str | None, second: str | None, seconds: str) -> Fraction:
    """In MM:SS the first group holds the minutes, in HH:MM:SS the hours."""
    hours, minutes = (first, second) if second is not None else (None, first)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)


def _clock(seconds: Fraction) -> str:
    """HH:MM:SS with 3, 6 or 9 decimals, whichever says it exactly; rounded down where none does."""
    decimals = next((d for d in (3, 6, 9) if (seconds * 10**d).denominator == 1), 9)
    ticks = math.floor(seconds * 10**decimals)
    whole, fraction = divmod(ticks, 10**decimals)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{fraction:0{decimals}}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
