"""The column ``timestamp``: the shots of a video as half-open intervals of seconds since its first frame."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from fractions import Fraction

Interval = tuple[Fraction, Fraction]
"""Start and end in seconds; the end is not part of it."""

_TIME = r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)(?:\s*s)?"
_PAIR = re.compile(rf"[\[(]\s*(['\"]?){_TIME}\1\s*,\s*(['\"]?){_TIME}\5\s*[\])]")


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


def parse_timestamps(text: str) -> list[Interval]:
    """Read intervals, exactly as they are written; nothing is evaluated.

    Args:
        text: JSON as `format_timestamps` writes it, or the textual Python list of tuples that Open-Sora wrote
            (``[('00:00:00.000', '00:00:01.200')]``). Times are HH:MM:SS.mmm, MM:SS.mmm or seconds.

    Returns:
        The intervals, in the order written.

    Raises:
        ValueError: The text is something else, or an interval does not end after it starts.
    """
    text = text.strip()
    if not (text[:1] in "[(" and text[-1:] in "])") or len(text) < 2:
        raise ValueError(f"not a list of [start, end] pairs: {_shown(text)}")
    inner = text[1:-1].strip()
    scenes: list[Interval] = []
    at = 0
    while at < len(inner):
        match = _PAIR.match(inner, at)
        if not match:
            raise ValueError(f"not a list of [start, end] pairs: {_shown(inner[at:])}")
        scenes.append((_seconds(*match.group(2, 3, 4)), _seconds(*match.group(6, 7, 8))))
        at = match.end()
        comma = re.compile(r"\s*,?\s*").match(inner, at)
        at = comma.end()
    for start, end in scenes:
        if end <= start:
            raise ValueError(f"ends at {_clock(end)}, not after its start at {_clock(start)}")
    return scenes


def parse_time(text: str) -> Fraction:
    """Read one time: HH:MM:SS.mmm, MM:SS.mmm or seconds.

    Raises:
        ValueError: The text is something else.
    """
    match = re.fullmatch(_TIME, text.strip())
    if not match:
        raise ValueError(f"not a time: {_shown(text)}; write seconds or HH:MM:SS.mmm")
    return _seconds(*match.groups())


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
