"""Which frames of a video are searched for cuts, and how short and long shots may be."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.scene_cut.shots.options import invalid
from tools.scene_cut.timestamps import parse_time

if TYPE_CHECKING:
    from tools.media.reading.timeline.packets import PacketIndex


class FrameNumber(int):
    """A place in a video given as the number of a frame (from 0) instead of seconds."""

    def __str__(self) -> str:
        return f"{int(self)}f"


Position = Fraction | FrameNumber
"""Seconds since the first frame, or a frame number."""

MIN_SCENE_LEN = 15
"""PySceneDetect's default, in frames."""

_SECONDS = "seconds (12.5 or 12.5s), HH:MM:SS.mmm"


def check_limits(
    *,
    start_time: float | Fraction | str | None = None,
    end_time: float | Fraction | str | None = None,
    max_seconds: float | Fraction | str | None = None,
    min_scene_len: int | float | str = MIN_SCENE_LEN,
    frame_skip: int = 0,
) -> dict[str, Any]:
    """All limits in the types that the rest works with; see `detect_scenes` for their meaning.

    Returns:
        ``start_time`` and ``end_time``: `Position` or None; ``max_seconds``: Fraction or None;
        ``min_scene_len``: int (frames) or float (seconds); ``frame_skip``: int.

    Raises:
        UserError: A value out of range, or an end that is not after the start.
    """
    start, end = _position("start_time", start_time), _position("end_time", end_time)
    both_seconds_or_frames = isinstance(start, FrameNumber) == isinstance(end, FrameNumber)
    if end is not None and end <= (start if both_seconds_or_frames and start is not None else 0):
        raise UserError(f"end_time ({end_time}) must be after start_time ({start_time or 0})")
    longest = None if max_seconds is None else _seconds("max_seconds", max_seconds)
    if longest is not None and longest <= 0:
        raise invalid("max_seconds", max_seconds, f"{_SECONDS}, above 0")
    if not _is_count(frame_skip):
        raise invalid("frame_skip", frame_skip, "whole numbers from 0 on")
    return {
        "start_time": start,
        "end_time": end,
        "max_seconds": longest,
        "min_scene_len": _scene_length(min_scene_len),
        "frame_skip": int(frame_skip),
    }


def limits_without_transnetv2(limits: Mapping[str, Any], *, with_stats: bool = False) -> list[str]:
    """Flags that are given and not for transnetv2, which looks at all frames and knows no shortest shot.

    Args:
        limits: What `check_limits` gave.
        with_stats: Whether what the detector measures is to be written.
    """
    given = {
        "--min-scene-len": limits["min_scene_len"] != MIN_SCENE_LEN,
        "--frame-skip": limits["frame_skip"],
        "--stats-dir": with_stats,
    }
    return [flag for flag, is_given in given.items() if is_given]


def check_usable(detector: str, limits: Mapping[str, Any], *, with_stats: bool = False) -> None:
    """Make sure that a detector knows the limits given to it.

    Args:
        detector: Its name.
        limits: What `check_limits` gave.
        with_stats: Whether what it measures is to be written.

    Raises:
        UserError: TransNetV2 does not know one of them; and PySceneDetect's numbers are those of a frame and
            the one before it, so none may be left out.
    """
    if detector == "transnetv2":
        given = limits_without_transnetv2(limits, with_stats=with_stats)
        if given:
            raise UserError(f"{', '.join(given)}: not for detector transnetv2")
    if with_stats and limits["frame_skip"]:
        raise UserError("--stats-dir needs every frame: leave out --frame-skip")


def frames_to_search(
    index: PacketIndex, start_time: Position | None = None, end_time: Position | None = None
) -> range:
    """The frames from one place on and before another.

    Raises:
        MediaError: too_short; there are none.
    """
    first = 0 if start_time is None else _frame(index, start_time)
    stop = len(index.pts) if end_time is None else _frame(index, end_time)
    if first >= stop:
        until = "" if end_time is None else f" and before {_in_words(end_time)}"
        duration = float((index.end_pts - int(index.pts[0])) * index.time_base)
        raise MediaError(
            "too_short",
            index.path,
            f"no frame from {_in_words(start_time or Fraction(0))} on{until}; "
            f"the video has {len(index.pts)} frames and ends at {duration:.3f} s",
        )
    return range(first, stop)


def _frame(index: PacketIndex, position: Position) -> int:
    """The first frame at or behind a place, or one past the last."""
    if isinstance(position, FrameNumber):
        return min(int(position), len(index.pts))
    return index.frames_between(float(position)).start


def _in_words(position: Position) -> str:
    return f"frame {int(position)}" if isinstance(position, FrameNumber) else f"{float(position):g} s"


def _position(name: str, value: Any) -> Position | None:
    if value is None or isinstance(value, FrameNumber):
        return value
    if isinstance(value, str) and value.strip()[-1:] == "f":
        number = value.strip()[:-1]
        if not (number.isascii() and number.isdecimal()):
            raise invalid(name, value, f"{_SECONDS}, frame numbers (30f)")
        return FrameNumber(number)
    return _seconds(name, value, f"{_SECONDS}, frame numbers (30f)")


def _seconds(name: str, value: Any, supported: str = _SECONDS) -> Fraction:
    """Seconds, exactly; a float stands for the short decimal number that it is written as."""
    try:
        if isinstance(value, str):
            seconds = parse_time(value)
        elif isinstance(value, Real) and not isinstance(value, bool):
            seconds = Fraction(str(value))
        else:
            raise ValueError("not a number")
        if float(seconds) >= 0:
            return seconds
    except (ValueError, OverflowError):  # nan, or more seconds than a float holds
        pass
    raise invalid(name, value, supported)


def _scene_length(value: Any) -> int | float:
    """Frames where the value is a whole number, as PySceneDetect has it, else seconds."""
    if isinstance(value, str):
        digits = value.strip().removesuffix("f")
        if digits.isascii() and digits.isdecimal():
            return int(digits)
    if _is_count(value):
        return int(value)
    return float(_seconds("min_scene_len", value, f"frames (15 or 15f), {_SECONDS}"))


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0
