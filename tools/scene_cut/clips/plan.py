"""From scenes in seconds to clips in frames: which source frames each clip shows, and when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tools.errors import MediaError
from tools.media.packets import PacketIndex

Scene = tuple[Fraction, Fraction]
"""Start and end in seconds from the first shown frame, half-open."""

_ROUNDED = 0.0005 + 1e-7  # seconds; the most by which a time written with milliseconds was rounded up
_NOISE = 1e-7  # seconds; what floating point does to a time
_STEADY = 0.25  # a rounding error above this share of a frame interval says nothing about the rate


@dataclasses.dataclass(frozen=True)
class Plan:
    """One clip to be made.

    Attributes:
        scene: Number of the scene in the list it came from.
        frames: The source frames from the first to the last one.
        time_base: Seconds per tick of `ticks`.
        ticks: When each picture of the clip is shown, from 0 on, and at the end when the last one ends.
        shown: Which source frame each picture is: `frames`, unless the rate was changed.
        rate: Pictures per second, on average.
        left: Seconds of the scene that were cut off because it is longer than allowed.
    """

    scene: int
    frames: range
    time_base: Fraction
    ticks: list[int]
    shown: Sequence[int]
    rate: Fraction
    left: Fraction = Fraction(0)

    @property
    def duration(self) -> Fraction:
        """Seconds from the start of the first picture to the end of the last."""
        return self.ticks[-1] * self.time_base


def source_times(index: PacketIndex, frames: range) -> tuple[Fraction, Fraction]:
    """When the first of some frames starts and the last ends, in exact seconds from the first frame."""
    begin = int(index.pts[frames.start] - index.pts[0])
    return begin * index.time_base, (_end_pts(index, frames) - int(index.pts[0])) * index.time_base


def plan_clips(
    index: PacketIndex,
    scenes: Sequence[Scene] | None,
    *,
    min_seconds: float | None = None,
    max_seconds: float | None = None,
    target_fps: Fraction | None = None,
) -> tuple[list[Plan], dict[int, MediaError], list[int]]:
    """Turn scenes into clips.

    Args:
        index: The packets of the source.
        scenes: The scenes; None for the whole file as one.
        min_seconds: Leave out scenes that are shorter.
        max_seconds: Cut off what is longer.
        target_fps: Frame rate of the clips: picture k shows what is on screen after k / target_fps seconds.

    Returns:
        The clips; errors by scene for scenes without any frame (bad_value, too_short); scenes left out.
    """
    plans: list[Plan] = []
    errors: dict[int, MediaError] = {}
    skipped: list[int] = []
    whole = Fraction(index.duration).limit_denominator(10**9)
    for number, (start, end) in enumerate([(Fraction(0), whole)] if scenes is None else scenes):
        length = (max(end, start) if start >= whole else min(end, whole)) - start
        if start < 0 or end <= start:
            errors[number] = MediaError("bad_value", index.path, "ends before it starts")
            continue
        if min_seconds is not None and length < Fraction(min_seconds):
            skipped.append(number)
            continue
        left = Fraction(0)
        if max_seconds is not None and length > Fraction(max_seconds):
            left = length - Fraction(max_seconds)
            end = start + Fraction(max_seconds)
        frames = frames_of(index, (start, end))
        if not frames:
            message = f"no frame starts between {float(start):.3f} s and {float(end):.3f} s"
            errors[number] = MediaError("too_short", index.path, message)
            continue
        plans.append(plan_clip(index, number, frames, target_fps=target_fps, left=left))
    return plans, errors, skipped


def frames_of(index: PacketIndex, scene: Scene) -> range:
    """The frames that start in a scene.

    Ends that were rounded up by at most half a millisecond, as PySceneDetect writes them, still mean the
    frame that they were rounded from; with frames closer than 2 ms to each other an end is taken as it is.
    """
    shortest = float(np.diff(index.times).min()) if len(index.times) > 1 else 1.0
    grace = _ROUNDED if shortest > 4 * _ROUNDED else _NOISE
    first, stop = np.searchsorted(index.times, [float(t) - grace for t in scene]).tolist()
    return range(first, max(first, stop))


def plan_clip(
    index: PacketIndex,
    scene: int,
    frames: range,
    *,
    target_fps: Fraction | None = None,
    left: Fraction = Fraction(0),
) -> Plan:
    """Plan one clip of some consecutive frames.

    Where the frames keep a constant rate as well as the file's clock can say, the clip gets exactly this
    rate; otherwise it has the source's own times.
    """
    pts = np.append(index.pts[frames.start : frames.stop], _end_pts(index, frames)) - index.pts[frames.start]
    steady = _steady(pts, index)
    if steady:
        rate, ticks = steady
        time_base = 1 / rate
    else:
        time_base, ticks = index.time_base, pts.tolist()
        rate = Fraction(len(frames), 1) / max(ticks[-1] * time_base, Fraction(1, 10**6))
    if target_fps is None:
        return Plan(scene, frames, time_base, ticks, frames, rate, left)
    times = np.array(ticks[:-1], np.float64) * float(time_base)
    grace = _NOISE if steady else min(_ROUNDED, float(time_base))  # what rounding did to the source's times
    count = max(1, math.ceil((float(ticks[-1] * time_base) - grace) * target_fps))
    wanted = np.arange(count) / float(target_fps) + grace
    shown = frames.start + np.searchsorted(times, wanted, side="right") - 1
    return Plan(scene, frames, 1 / target_fps, list(range(count + 1)), shown.tolist(), target_fps, left)


def _end_pts(index: PacketIndex, frames: range) -> int:
    return int(index.pts[frames.stop]) if frames.stop < len(index.pts) else index.end_pts


def _steady(pts: np.ndarray, index: PacketIndex) -> tuple[Fraction, list[int]] | None:
    """The constant rate that explains some times up to their rounding, and the times as numbers of frames."""
    if not index.average_rate:
        return None
    stated = Fraction(index.average_rate)
    ntsc = Fraction(round(stated * 1001 / 1000) * 1000, 1001)
    near = [r for r in (Fraction(round(stated)), ntsc) if r > 0 and abs(r / stated - 1) < Fraction(1, 1000)]
    tick = float(index.time_base)
    times = pts.astype(np.float64) * tick
    for rate in (stated, *near):
        numbers = np.rint(times * float(rate))
        error = np.abs(times - numbers / float(rate))
        # The end of the last frame is often a guess, so it need not fit.
        allowed = tick * 1.001 if tick * float(rate) < _STEADY else 1e-9
        if error[:-1].max() > allowed or not (np.diff(numbers[:-1]) > 0).all():
            continue
        numbers[-1] = max(numbers[-1], numbers[-2] + 1)
        return rate, [int(n) for n in numbers]
    return None
