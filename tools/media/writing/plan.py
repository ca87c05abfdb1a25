"""From scenes in seconds to clips in frames: which source frames each clip shows, and when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tools.errors import MediaError
from tools.media.reading.timeline.packets import LONG_FRAME_SECONDS, PacketIndex

Scene = tuple[Fraction, Fraction]
"""Start and end in seconds from the first shown frame, half-open."""

_ROUNDED = 0.0005 + 1e-7  # seconds; the most by which a time written with milliseconds was rounded up
_GRACE = 0.001  # seconds; the most by which a boundary is rounded down, see `readable_boundary`
_NOISE = 1e-7  # seconds; what floating point does to a time
_FINEST = 1_000_000  # ticks per second at most; 32 bits of them are longer than half an hour
_STEADY = 0.25  # a rounding error above this share of a frame interval is no evidence of the rate


@dataclasses.dataclass(frozen=True)
class Plan:
    """One clip to be cut.

    Attributes:
        scene: Number of the scene in the list it came from.
        frames: The source frames from the first to the last one.
        start: When it begins, seconds in the source from its first frame.
        end: When it ends.
        time_base: Seconds per tick of `ticks`.
        ticks: When each picture of the clip is shown, from 0 on, and at the end when the last one ends.
        shown: Which source frame each picture is: `frames`, unless the rate was changed.
        rate: Pictures per second, on average.
        left: Seconds of the scene that were cut off because it is longer than allowed.
    """

    scene: int
    frames: range
    start: Fraction
    end: Fraction
    time_base: Fraction
    ticks: list[int]
    shown: Sequence[int]
    rate: Fraction
    left: Fraction = Fraction(0)

    @property
    def last_tick(self) -> int:
        """Ticks for which the last picture is shown."""
        return self.ticks[-1] - self.ticks[-2]

    @property
    def regular(self) -> bool:
        """Whether every picture is shown for one tick."""
        return self.ticks == list(range(len(self.ticks)))

    @property
    def duration(self) -> Fraction:
        """Seconds from the start of the first picture to the end of the last."""
        return self.ticks[-1] * self.time_base


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
        The clips; errors by scene for those that end before they start (bad_value) or start behind the end
        of the video (too_short); scenes left out.
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
        found = _frames_shown(index, (start, end))
        if found is None:
            message = f"starts at {float(start):.3f} s, the video ends at {float(frame_time(index)):.3f} s"
            errors[number] = MediaError("too_short", index.path, message)
            continue
        frames, *ends = found
        plans.append(plan_clip(index, number, frames, *ends, target_fps=target_fps, left=left))
    return plans, errors, skipped


def _frames_shown(index: PacketIndex, scene: Scene) -> tuple[range, Fraction | None, Fraction | None] | None:
    """The frames that are on screen during a scene, and where it begins or ends within a long one.

    A frame that is on screen for up to a tenth of a second belongs as a whole to the scene in which it
    starts: so clips keep the rate of their source. A longer one (a slide, a screen recording,
    a gap) may be in several scenes, in each for as long as it lasts there.

    Returns:
        The frames, when the first of them is first shown and when the last of them ends, None for its own
        start or end; None when the scene lies behind the end of the video.
    """
    start, end = scene
    if start >= frame_time(index):
        return None
    frames = frames_of(index, scene)
    first, stop, begins, ends = frames.start, frames.stop, None, None
    if not frames:  # nothing new appears in it
        shown = range(max(0, first - 1), max(0, first - 1) + 1)
        return shown, max(start, frame_time(index, shown.start)), min(end, frame_time(index, shown.stop))
    if first and _is_long(index, first - 1) and frame_time(index, first) - start > _GRACE:
        first, begins = first - 1, start
    if _is_long(index, stop - 1) and frame_time(index, stop) - end > _GRACE:
        ends = end
    return range(first, stop), begins, ends


def frame_time(index: PacketIndex, frame: int | None = None) -> Fraction:
    """When a frame starts, in exact seconds from the first one; for none or one past the last, the end."""
    last = frame is None or frame >= len(index.pts)
    pts = index.end_pts if last else int(index.pts[frame])
    return (pts - int(index.pts[0])) * index.time_base


def _is_long(index: PacketIndex, frame: int) -> bool:
    """Whether a frame is on screen for so long that a scene may begin or end within it."""
    return frame_time(index, frame + 1) - frame_time(index, frame) > LONG_FRAME_SECONDS + _GRACE


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
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    target_fps: Fraction | None = None,
    left: Fraction = Fraction(0),
) -> Plan:
    """Plan one clip of some consecutive frames.

    Where the frames keep a constant rate within the precision of the file's clock, the clip gets exactly this
    rate; otherwise it has the source's own times.

    Args:
        index: The packets of the source.
        scene: Number of the scene.
        frames: The frames.
        start: When the first of them is first shown, seconds; None for its own start.
        end: When the last of them ends, seconds; None for its own end.
        target_fps: As for `plan_clips`.
        left: Seconds of the scene that were cut off.
    """
    start = None if start == frame_time(index, frames.start) else start
    end = None if end == frame_time(index, frames.stop) else end
    tick = _tick(index, start, end)
    stop = int(index.pts[frames.stop]) if frames.stop < len(index.pts) else index.end_pts
    ticks = np.append(index.pts[frames.start : frames.stop], stop) - index.pts[0]
    ticks *= int(index.time_base / tick)
    if start is not None:
        ticks[0] = round(start / tick)
    if end is not None:
        ticks[-1] = max(round(end / tick), ticks[-2] + 1)
    begins, ends = int(ticks[0]) * tick, int(ticks[-1]) * tick
    ticks -= ticks[0]
    steady = _steady(ticks, tick, index, whole=end is None) if start is None else None
    if steady:
        rate, numbers = steady
        time_base = 1 / rate
    else:
        time_base, numbers = tick, ticks.tolist()
        rate = Fraction(len(frames), 1) / max(numbers[-1] * time_base, Fraction(1, 10**6))
    if target_fps is None:
        return Plan(scene, frames, begins, ends, time_base, numbers, frames, rate, left)
    times = np.array(numbers[:-1], np.float64) * float(time_base)
    grace = _NOISE if steady else min(_ROUNDED, float(time_base))  # what rounding did to the source's times
    count = max(1, math.ceil((float(numbers[-1] * time_base) - grace) * target_fps))
    times_shown = np.arange(count) / float(target_fps) + grace
    shown = (frames.start + np.searchsorted(times, times_shown, side="right") - 1).tolist()
    return Plan(scene, frames, begins, ends, 1 / target_fps, list(range(count + 1)), shown, target_fps, left)


def _tick(index: PacketIndex, start: Fraction | None, end: Fraction | None) -> Fraction:
    """Seconds per tick: those of the source, or less where a start or an end lies between its ticks."""
    tick = index.time_base
    for time in (start, end):
        if time is not None and (time / tick).denominator != 1:
            shared = math.lcm(tick.denominator, time.denominator)
            tick = Fraction(math.gcd(round(tick * shared), round(time * shared)), shared)
    if tick < Fraction(1, _FINEST):
        tick = index.time_base / max(1, math.floor(index.time_base * _FINEST))
    return tick


def _steady(
    ticks: np.ndarray, tick: Fraction, index: PacketIndex, *, whole: bool
) -> tuple[Fraction, list[int]] | None:
    """The constant rate that explains some times up to their rounding, and the times as numbers of frames.

    Args:
        ticks: The times.
        tick: Seconds per tick.
        index: The packets of the source.
        whole: The last frame is shown to its own end, which is often a guess, so it need not fit.
    """
    if not index.average_rate:
        return None
    stated = Fraction(index.average_rate)
    ntsc = Fraction(round(stated * 1001 / 1000) * 1000, 1001)
    near = [r for r in (Fraction(round(stated)), ntsc) if r > 0 and abs(r / stated - 1) < Fraction(1, 1000)]
    clock = float(index.time_base)
    times = ticks.astype(np.float64) * float(tick)
    for rate in (stated, *near):
        numbers = np.rint(times * float(rate))
        error = np.abs(times - numbers / float(rate))
        allowed = clock * 1.001 if clock * float(rate) < _STEADY else 1e-9
        fits = error[:-1] if whole else error
        if fits.max() > allowed or not (np.diff(numbers[:-1]) > 0).all():
            continue
        numbers[-1] = max(numbers[-1], numbers[-2] + 1)
        return rate, [int(n) for n in numbers]
    return None
