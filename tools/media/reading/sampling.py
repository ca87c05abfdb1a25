"""Sampling policies: named rules that choose frames of a video by their times."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from tools.errors import UserError, VidsieveError

SAMPLING_POLICIES: dict[str, str] = {
    "first_middle_last": "first, middle and last; 1: the middle one, 2: first and last, n: evenly spaced",
    "opensora": "frame int(p * n) for p = 0.1, 0.5, 0.9 (1: 0.5; 2: 0.25, 0.5), as Open-Sora did",
    "middle": "the middle frame",
    "first": "the first frame",
    "uniform_mid": "the middle frame of each of n equal parts",
    "count_uniform": "n frames at equal distances in time, both ends included",
    "interval_time": "one frame every N seconds",
    "interval_frames": "every Nth frame",
    "fps": "N frames per second, each frame at most once",
    "timestamps": "the frame on screen at each of the given seconds",
}
"""Every sampling policy by name, with its meaning."""

NEAREST = ("key",)
"""What ``POLICY~NAME`` may name: each chosen frame is replaced by the nearest one of this kind."""

TIME_TOLERANCE = 0.001
"""Seconds by which a frame may start after the requested time: some containers round to milliseconds."""

_DEFAULT_COUNTS = {"first_middle_last": 3, "opensora": 3, "uniform_mid": 3, "count_uniform": 8}
_SINGLE = ("first", "middle")
_WHOLE = ("count", "step", "max_frames")
_REPEATING = ("opensora", "timestamps")  # these may choose a frame several times
_ARGUMENTS = {
    "interval_time": "interval",
    "interval_frames": "step",
    "fps": "fps",
    "timestamps": "timestamps",
}


class SamplingError(VidsieveError, ValueError):
    """The video has no frame at a requested time; readers turn this into a ``too_short`` MediaError."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """A sampling policy with its arguments, for any video.

    Frames are chosen by their true times, so variable frame rates are handled correctly. The frame *at* a
    time is the one on screen then: the last that starts at or before it. No frame is chosen twice: 3 frames
    of a clip that has 2 are 2, and count policies give ``min(count, frames from start to end)``. Two
    exceptions: ``opensora`` repeats frames of very short clips as the original does, and ``timestamps`` gives
    one frame for each timestamp between start and end, in ascending order.

    With ``nearest="key"`` each chosen frame is replaced by the key frame nearest to it in time, of two the
    earlier one, so that nothing else has to be decoded. A key frame that is nearest to several is taken once
    (by the two exceptions above, as often as it is nearest). Key frames before start or after end are not
    considered. The chosen frames themselves are read if there are fewer than two key frames, if one is
    nearest to all of several chosen frames, or if the container does not say which frames they are.

    Attributes:
        policy: first_middle_last, opensora, middle, first, uniform_mid, count_uniform, interval_time,
            interval_frames, fps or timestamps.
        count: Number of frames, for first_middle_last, opensora, uniform_mid and count_uniform.
        interval: Seconds between frames, for interval_time.
        step: Frames from one chosen frame to the next, for interval_frames.
        fps: Chosen frames per second, for fps.
        points: Positions from 0 to 1, for opensora; overrides `count`.
        timestamps: Seconds, for timestamps.
        start: Seconds; frames before it are not considered.
        end: Seconds; frames after it are not considered.
        max_frames: Keep only this many, the earliest ones.
        nearest: ``key`` for the nearest key frames; None for the chosen frames themselves.

    Raises:
        UserError: An unknown policy, or a value that is missing or out of range.
    """

    policy: str
    count: int | None = None
    interval: float | None = None
    step: int | None = None
    fps: float | None = None
    points: tuple[float, ...] | None = None
    timestamps: tuple[float, ...] | None = None
    start: float = 0.0
    end: float | None = None
    max_frames: int | None = None
    nearest: str | None = None

    def __post_init__(self) -> None:
        if self.policy not in SAMPLING_POLICIES:
            raise _unknown(self.policy)
        self._check_types()
        for name in ("points", "timestamps"):
            if getattr(self, name) is not None:  # lists (from JSON) become tuples, which can be hashed
                object.__setattr__(self, name, tuple(float(v) for v in getattr(self, name)))
        if self.count is None and self.policy in _DEFAULT_COUNTS:
            count = len(self.points) if self.points else _DEFAULT_COUNTS[self.policy]
            object.__setattr__(self, "count", count)
        self._check()

    def _check_types(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if value is None or name in ("policy", "nearest"):
                continue
            several = name in ("points", "timestamps")
            kind, what = (Integral, "a whole number") if name in _WHOLE else (Real, "a number")
            try:
                right = all(isinstance(v, kind) for v in value) if several else isinstance(value, kind)
            except TypeError:  # not several
                right = False
            if not right:
                what = "a list of numbers" if several else what
                raise UserError(f"sampling {self.policy}: {name} must be {what}, not {value!r}")

    def _check(self) -> None:
        needed = _ARGUMENTS.get(self.policy)
        if needed and getattr(self, needed) in (None, ()):
            raise UserError(f"sampling {self.policy}: needs {needed}, for example {_example(self.policy)}")
        for name in ("count", "interval", "step", "fps", "max_frames"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"sampling {self.policy}: {name} must be greater than 0, not {value}")
        for value in self.points or ():
            if not 0.0 <= value <= 1.0:
                raise UserError(f"sampling {self.policy}: points must be between 0 and 1, not {value}")
        for value in self.timestamps or ():
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"sampling {self.policy}: timestamps must be 0 or more seconds, not {value}")
        if self.nearest not in (None, *NEAREST):
            raise UserError(
                f"sampling {self.policy}: Invalid nearest ({self.nearest}). "
                f"Supported values are {', '.join(NEAREST)}."
            )
        if not (math.isfinite(self.start) and self.start >= 0):
            raise UserError(f"sampling {self.policy}: start must be 0 or more seconds, not {self.start}")
        if self.end is not None and not self.end >= self.start:
            raise UserError(f"sampling {self.policy}: end {self.end} is before start {self.start}")
        if self.policy == "opensora" and not self.points and self._count > 3:
            raise UserError(f"sampling opensora: takes 1, 2 or 3 frames, not {self.count}; try uniform_mid")
        if self.policy in _SINGLE and self.count not in (None, 1):
            raise UserError(
                f"sampling {self.policy}: takes one frame, not {self.count}; try first_middle_last"
            )

    def indices(self, times: np.ndarray, keys: np.ndarray | None = None) -> list[int]:
        """Choose frames.

        Args:
            times: Float64, shape (frames,): when each frame starts, in seconds, ascending from 0.0.
            keys: Int64: indices of the key frames, ascending, for `nearest`; None if they are not known.

        Returns:
            Indices into `times`, ascending.

        Raises:
            SamplingError: No frame is between start and end, or a timestamp is after the end of the video.
        """
        times = np.asarray(times, dtype=np.float64)
        first, last = self._window(times)
        chosen = _CHOOSERS[self.policy](self, times, first, last)[: self.max_frames]
        if self.nearest is None or keys is None:
            return chosen
        keys = keys[(keys >= first) & (keys <= last)]
        found = _nearest(keys, times, chosen) if len(keys) > 1 else chosen
        if len(set(found)) == 1 < len(set(chosen)):
            return chosen
        return found if self.policy in _REPEATING else sorted(set(found))

    def asdict(self) -> dict[str, Any]:
        """The fields that are set, for JSON (tuples as lists). ``Sampling(**d)`` is the inverse."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
            if value is not None
        }

    @property
    def _count(self) -> int:
        assert self.count is not None, "policies with a count have a default"
        return self.count

    def _window(self, times: np.ndarray) -> tuple[int, int]:
        """First and last frame whose time is in [start, end]."""
        if len(times) == 0:
            raise SamplingError("the video has no frames")
        first = int(np.searchsorted(times, self.start - TIME_TOLERANCE))
        last = len(times) - 1 if self.end is None else frame_at(times, self.end)
        if first > last:
            until = "" if self.end is None else f" to {self.end:g} s"
            raise SamplingError(f"no frame from {self.start:g} s{until}; the last is at {times[-1]:.3f} s")
        return first, last


def parse_sampling(name: str, num_frames: int | None = None) -> Sampling:
    """Parse a sampling policy as users type it.

    Args:
        name: ``POLICY`` or ``POLICY:VALUE``, where the value is the policy's argument: a number of frames
            (``count_uniform:8``), seconds (``interval_time:0.5``), frames (``interval_frames:30``), frames
            per second (``fps:2``), a list (``timestamps:1,2.5``, ``opensora:0.1,0.5,0.9``). A leading
            ``by_`` is ignored. With ``~key`` at the end, the key frames nearest to these.
        num_frames: Number of frames for the policies that have one, an upper limit for the others.

    Raises:
        UserError: Unknown name (the message lists the names) or an invalid value.
    """
    policy, text, nearest = split_sampling(name)
    if policy not in SAMPLING_POLICIES:
        raise _unknown(policy)
    values: dict[str, Any] = {} if nearest is None else {"nearest": nearest}
    if num_frames is not None:
        values["count" if policy in _DEFAULT_COUNTS or policy in _SINGLE else "max_frames"] = num_frames
    if text:
        key, value = _parse_value(policy, text)
        if key in values and values[key] != value:
            raise UserError(
                f"sampling {name}: names {value} frames, but the number of frames is {values[key]}"
            )
        values[key] = value
    return Sampling(policy, **values)


def split_sampling(name: str) -> tuple[str, str, str | None]:
    """The parts of ``POLICY:VALUE~NEAREST``; VALUE is empty and NEAREST None where it is left out."""
    chosen, tilde, nearest = name.strip().partition("~")
    policy, _, text = chosen.partition(":")
    return policy.removeprefix("by_"), text, nearest if tilde else None


def frame_at(times: np.ndarray, seconds: float) -> int:
    """Index of the frame on screen at a time: the last that starts at or before it; -1 before the first."""
    return int(np.searchsorted(times, seconds + TIME_TOLERANCE, side="right")) - 1


def _parse_value(policy: str, text: str) -> tuple[str, Any]:
    try:
        if policy == "timestamps" or (policy == "opensora" and "." in text):
            return ("points" if policy == "opensora" else policy), tuple(float(v) for v in text.split(","))
        if policy in _DEFAULT_COUNTS or policy in _SINGLE:
            return "count", int(text)
        return _ARGUMENTS[policy], int(text) if policy == "interval_frames" else float(text)
    except ValueError:
        raise UserError(
            f"sampling {policy}: invalid value ({text}); for example {_example(policy)}"
        ) from None


def _example(policy: str) -> str:
    values = {"interval_time": "0.5", "interval_frames": "30", "fps": "2", "timestamps": "1,2.5"}
    return f"{policy}:{values.get(policy, '3')}"


def _unknown(policy: str) -> UserError:
    return UserError(f"Invalid sampling ({policy}). Supported values are {', '.join(SAMPLING_POLICIES)}.")


def _nearest(keys: np.ndarray, times: np.ndarray, chosen: list[int]) -> list[int]:
    """For each chosen frame the key frame nearest in time; of two, the earlier one."""
    moments, wanted = times[keys], times[chosen]
    later = np.searchsorted(moments, wanted).clip(1, len(keys) - 1)
    earlier = later - 1
    # Equal distances of binary fractions of a second may differ in the last bits.
    closer = moments[later] - wanted < wanted - moments[earlier] - 1e-9
    return [int(i) for i in keys[np.where(closer, later, earlier)]]


def _evenly(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    """Index distance (n - 1) / (count - 1), halves rounded up, so that the middle of n frames is n // 2."""
    n = last - first + 1
    count = min(self._count, n)
    if count == 1:
        return [first + n // 2]
    return [first + (2 * i * (n - 1) + count - 1) // (2 * (count - 1)) for i in range(count)]


def _opensora(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    """Open-Sora 1.2, tools/datasets/utils.py: frame int(p * n), the last frame when that is past the end."""
    n = last - first + 1
    points = self.points or {1: (0.5,), 2: (0.25, 0.5), 3: (0.1, 0.5, 0.9)}[self._count]
    return [first + min(int(p * n), n - 1) for p in points]


def _middle(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    return [first + (last - first + 1) // 2]


def _first(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    return [first]


def _uniform_mid(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    n = last - first + 1
    count = min(self._count, n)
    return [first + (2 * i + 1) * n // (2 * count) for i in range(count)]


def _count_uniform(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    """Equal distances in time; of two that fall into one long frame, the second takes the next frame."""
    count = min(self._count, last - first + 1)
    chosen = [frame_at(times, t) for t in np.linspace(times[first], times[last], count)]
    for i in range(1, count):
        chosen[i] = max(chosen[i], chosen[i - 1] + 1)
    for i in range(count):
        chosen[i] = min(chosen[i], last - (count - 1 - i))
    return chosen


def _interval_time(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    assert self.interval is not None, "checked with the policy"
    return _every(times, first, last, self.interval)


def _fps(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    assert self.fps is not None, "checked with the policy"
    return _every(times, first, last, 1.0 / self.fps)


def _every(times: np.ndarray, first: int, last: int, seconds: float) -> list[int]:
    """Frames at start, start + seconds, ... up to and including the time of the last frame."""
    steps = math.floor((times[last] - times[first] + TIME_TOLERANCE) / seconds)
    targets = times[first] + np.arange(steps + 1) * seconds
    found = np.searchsorted(times, targets + TIME_TOLERANCE, side="right") - 1
    return [int(i) for i in np.unique(np.clip(found, first, last))]


def _interval_frames(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    assert self.step is not None, "checked with the policy"
    return list(range(first, last + 1, self.step))


def _timestamps(self: Sampling, times: np.ndarray, first: int, last: int) -> list[int]:
    """The last frame is on screen for as long as the frame before it was."""
    end = times[-1] + (times[-1] - times[-2] if len(times) > 1 else math.inf)
    stop = math.inf if self.end is None else self.end
    chosen = sorted(t for t in self.timestamps or () if self.start <= t <= stop)
    if chosen and chosen[-1] > end:
        raise SamplingError(f"there is no frame at {chosen[-1]:g} s: the video ends at {end:.3f} s")
    if not chosen:
        raise SamplingError(f"no timestamp is between {self.start:g} s and {stop:g} s")
    return [max(first, frame_at(times, t)) for t in chosen]


_CHOOSERS: dict[str, Callable[[Sampling, np.ndarray, int, int], list[int]]] = {
    "first_middle_last": _evenly,
    "opensora": _opensora,
    "middle": _middle,
    "first": _first,
    "uniform_mid": _uniform_mid,
    "count_uniform": _count_uniform,
    "interval_time": _interval_time,
    "interval_frames": _interval_frames,
    "fps": _fps,
    "timestamps": _timestamps,
}
