"""Which frames of a video are searched for cuts, and how short and long shots may be."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.options.values import Parsed, Whole
from tools.scene_cut.timestamps import parse_time

if TYPE_CHECKING:
    from tools.media.reading.timeline.packets import PacketIndex


class FrameNumber(int):
    """A position in a video as the number of a frame (from 0) instead of seconds."""

    def __str__(self) -> str:
        return f"{int(self)}f"


Position = Fraction | FrameNumber
"""Seconds since the first frame, or a frame number."""

DIVIDE_AT_TRANSITIONS = ("transnetv2", "fast")
"""Detectors other than PySceneDetect's: they have none of its limits, and always leave out transitions."""

MIN_SCENE_LEN = 15
"""PySceneDetect's default, in frames."""

_SECONDS = "seconds (12.5 or 12.5s), HH:MM:SS.mmm"


def check_order(start_time: Position | None, end_time: Position | None) -> None:
    """Make sure that the end is after the start, where both are seconds or both are frames.

    Raises:
        UserError: It is not.
    """
    comparable = isinstance(start_time, FrameNumber) == isinstance(end_time, FrameNumber)
    if end_time is not None and end_time <= (start_time if comparable and start_time is not None else 0):
        raise UserError(f"end_time ({end_time}) must be after start_time ({start_time or 0})")


def limits_without_transnetv2(
    min_scene_len: int | float, frame_skip: int, *, with_stats: bool = False
) -> list[str]:
    """Flags that are given and not for `DIVIDE_AT_TRANSITIONS`.

    Args:
        min_scene_len: Shortest shot.
        frame_skip: Frames left out after each one that is examined.
        with_stats: Whether what the detector measures is to be written.
    """
    given = {
        "--min-scene-len": min_scene_len != MIN_SCENE_LEN,
        "--frame-skip": frame_skip,
        "--stats-dir": with_stats,
    }
    return [flag for flag, is_given in given.items() if is_given]


def check_usable(
    detector: str, min_scene_len: int | float, frame_skip: int, *, with_stats: bool = False
) -> None:
    """Make sure that a detector supports the limits given to it.

    Args:
        detector: Its name.
        min_scene_len: Shortest shot.
        frame_skip: Frames left out after each one that is examined.
        with_stats: Whether what it measures is to be written.

    Raises:
        UserError: The detector does not support one of them; and PySceneDetect's numbers are those of a frame
            and the one before it, so none may be left out.
    """
    if detector in DIVIDE_AT_TRANSITIONS:
        given = limits_without_transnetv2(min_scene_len, frame_skip, with_stats=with_stats)
        if given:
            raise UserError(f"{', '.join(given)}: not for detector {detector}")
    if with_stats and frame_skip:
        raise UserError("--stats-dir needs every frame: leave out --frame-skip")


def frames_to_search(
    index: PacketIndex, start_time: Position | None = None, end_time: Position | None = None
) -> range:
    """The frames from one position up to another.

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
    """The first frame at or after a position, or one past the last."""
    if isinstance(position, FrameNumber):
        return min(int(position), len(index.pts))
    return index.frames_between(float(position)).start


def _in_words(position: Position) -> str:
    return f"frame {int(position)}" if isinstance(position, FrameNumber) else f"{float(position):g} s"


def _position(value: Any) -> Position:
    if isinstance(value, FrameNumber):
        return value
    if isinstance(value, str) and value.strip()[-1:] == "f":
        return FrameNumber(_digits(value.strip()[:-1]))
    return _seconds(value)


def _seconds(value: Any) -> Fraction:
    """Seconds, exactly; a float stands for the short decimal number that it is written as."""
    if isinstance(value, str):
        seconds = parse_time(value)
    elif isinstance(value, Real) and not isinstance(value, bool):
        seconds = Fraction(str(value))
    else:
        raise ValueError(value)
    if float(seconds) < 0:  # an OverflowError for more seconds than a float holds
        raise ValueError(value)
    return seconds


def _length(value: Any) -> Fraction:
    seconds = _seconds(value)
    if not seconds:
        raise ValueError(value)
    return seconds


def _scene_length(value: Any) -> int | float:
    """Frames where the value is a whole number, as in PySceneDetect, else seconds."""
    if isinstance(value, str):
        text = value.strip().removesuffix("f")
        if text.isascii() and text.isdecimal():
            return int(text)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Whole(0).convert(value)
    return float(_seconds(value))


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return text


POSITION = Parsed(_position, "T", f"{_SECONDS}, frame numbers (30f)")
"""Values of ``start_time`` and ``end_time``: a `Position`."""
LENGTH = Parsed(_length, "S", f"{_SECONDS}, above 0")
"""Values of ``max_seconds``: a Fraction."""
SCENE_LENGTH = Parsed(_scene_length, "LEN", f"frames (15 or 15f), {_SECONDS}")
"""Values of ``min_scene_len``: frames as int, seconds as float."""
