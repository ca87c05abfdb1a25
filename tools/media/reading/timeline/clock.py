"""One continuous clock for a file with damaged timestamps: find restarts of the clock, repair times."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

_STEP_BACK = 0.1  # seconds, the largest step back of decoding times, as in the ffmpeg program
_STEP_FORWARD = 10.0  # seconds; the program's -dts_delta_threshold
_FEW = 32  # packets; up to so many wrong timestamps in a row are damage, more are another clock
_EDGE = 3  # packets; so few at either end of a file are not a part with another clock
_NEAR = 1.0  # seconds, the largest deviation of continuous times from the expected ones
_MOST_REORDERED = 32  # positions by which a picture may be stored early; H.264 and HEVC allow 16
_FAR = 5  # positions; more than most encoders use
_SINGLE, _SINGLE_SHARE = 3, 0.1  # more times out of order, in number and share, are not isolated damage


@dataclasses.dataclass(frozen=True)
class Clock:
    """Offsets to the times of a file whose clock restarts, as in joined recordings.

    Attributes:
        starts: For each restart, the byte offsets of the last picture before and the first picture after it.
        offsets: Seconds to add before the first restart (0), and after each.
    """

    starts: tuple[tuple[int, int], ...] = ()
    offsets: tuple[Fraction, ...] = (Fraction(0),)

    def follow(self) -> ClockFollower:
        """Start to follow a stream of the file, from its first packet."""
        return ClockFollower(self)


CONTINUOUS = Clock()
"""The clock of a file without restarts."""


class ClockFollower:
    """Puts the packets of one stream, for example audio, on the clock of the video, in stored order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._part = 0
        self._expected: Fraction | None = None

    def offset(self, packet: av.Packet) -> Fraction:
        """Seconds to add to the times of a packet."""
        starts, offsets = self._clock.starts, self._clock.offsets
        stamp = packet.dts if packet.pts is None else packet.pts
        time = None if stamp is None else stamp * packet.time_base
        while self._part < len(starts) and self._is_behind(packet, time):
            self._part += 1
        if time is not None:
            self._expected = time + offsets[self._part] + (packet.duration or 0) * packet.time_base
        return offsets[self._part]

    def _is_behind(self, packet: av.Packet, time: Fraction | None) -> bool:
        """Whether a packet comes after the next restart."""
        before, behind = self._clock.starts[self._part]
        byte_offset = -1 if packet.pos is None else packet.pos
        if byte_offset >= behind:
            return True
        if 0 <= byte_offset < before or time is None or self._expected is None:
            return False
        # Between the two pictures, or at an unknown offset: the clock that continues better.
        here, there = (
            abs(time + offset - self._expected) for offset in self._clock.offsets[self._part : self._part + 2]
        )
        return here > _STEP_BACK and there < here


def times_are_valid(
    pts: Sequence[int | None],
    dts: Sequence[int | None],
    time_base: Fraction,
    *,
    reordered: bool,
    discontinuous: bool,
) -> bool:
    """Whether all times of a stream can be used unchanged.

    Args:
        pts: Presentation times of its pictures, in stored order.
        dts: Decoding times.
        time_base: Seconds per tick.
        reordered: Pictures may be stored in another order than they are shown.
        discontinuous: The format allows restarts of the clock (transport and program streams).
    """
    if not is_ordered(pts, reordered=reordered):
        return False
    known = [d for d in dts if d is not None] if None in dts else dts
    steps = np.diff(np.array(known, np.int64)) * float(time_base)
    longest = _STEP_FORWARD if discontinuous else np.inf
    return not ((steps < -_step_back(steps, discontinuous)) | (steps > longest)).any()


def _step_back(steps: np.ndarray, discontinuous: bool) -> float:
    """Largest step back of decoding times in seconds: small if the file states them for every picture."""
    if not discontinuous or not len(steps):
        return _STEP_BACK
    return min(_STEP_BACK, float(np.median(np.abs(steps))) / 2)


def is_ordered(pts: Sequence[int | None], *, reordered: bool) -> bool:
    """Whether the times of stored pictures define the order in which they are shown.

    They do if all are known and different, and none is farther from its position than reordering allows.
    """
    if None in pts:
        return False
    times = np.array(pts, np.int64)
    back = int((np.diff(times) < 0).sum())
    if not reordered and back <= _SINGLE_SHARE * len(times):  # more: the decoder is wrong about reordering
        return not (np.diff(times) <= 0).any()
    order = np.argsort(times, kind="stable")
    if (np.diff(times[order]) == 0).any():
        return False
    ahead = order - np.arange(len(order))
    far = int(np.abs(ahead).max(initial=0))
    # Encoders that store pictures far ahead do so repeatedly; a single one has a wrong time.
    alone = far > _FAR and (np.abs(ahead) > far / 2).sum() == 1
    return far <= _MOST_REORDERED and not alone


@dataclasses.dataclass(frozen=True)
class Breaks:
    """Where a series of times is not continuous.

    Attributes:
        restarts: Indices of the first times after a restart of the clock.
        wrong: Indices of wrong times: a few between continuous ones, or at either end.
    """

    restarts: list[int]
    wrong: set[int]


def find_breaks(stamps: Sequence[int | None], time_base: Fraction, *, discontinuous: bool) -> Breaks:
    """Distinguish restarts of the clock from isolated wrong times.

    A restart is a step back by more than 0.1 s (in formats that allow restarts, any step back) or a step
    forward by more than 10 s: approximately the rule of the ffmpeg program.

    Args:
        stamps: Decoding times in stored order, or presentation times in presentation order.
        time_base: Seconds per tick.
        discontinuous: As for `times_are_valid`.
    """
    numbers = [i for i, stamp in enumerate(stamps) if stamp is not None]
    times = np.array([stamps[i] for i in numbers], np.float64) * float(time_base)
    if len(times) < 2:
        return Breaks([], set())
    steps = np.diff(times)
    usual = float(np.median(np.abs(steps)))
    back = _step_back(steps, discontinuous)
    bounds = [0, *(np.flatnonzero((steps < -back) | (steps > 3 * usual)) + 1).tolist(), len(times)]
    runs = [_Run(a, b, float(times[a]), float(times[b - 1])) for a, b in itertools.pairwise(bounds)]

    def goes_on(run: _Run, following: _Run) -> bool:
        expected = (following.start - run.stop + 1) * usual
        return -back <= following.first - run.last <= _NEAR + 2 * expected

    kept, restarts, at = [runs[0]], [], 1
    while at < len(runs):
        gap = runs[at].first - kept[-1].last
        if not -back <= gap <= _STEP_FORWARD:
            behind = _few(runs[at:], lambda run, last=kept[-1]: goes_on(last, run))
            before = _few(kept[::-1], lambda run, following=runs[at]: goes_on(run, following))
            if behind is not None:  # the next ones are wrong
                at += behind
            elif before is not None and gap < 0:  # the previous ones were wrong
                kept = kept[: len(kept) - before]
            elif runs[-1].stop - runs[at].start <= _EDGE:
                break
            elif runs[at].start <= _EDGE:
                kept = []
            elif gap < 0 or discontinuous:
                restarts.append(runs[at].start)
        kept.append(runs[at])
        at += 1
    good = {n for run in kept for n in range(run.start, run.stop)}
    return Breaks(
        [numbers[n] for n in restarts if n in good],
        {numbers[n] for n in range(len(numbers)) if n not in good},
    )


class _Run(NamedTuple):
    """Continuous times: index of the first, index after the last, first and last time in seconds."""

    start: int
    stop: int
    first: float
    last: float


def _few(runs: Sequence[_Run], fits: Callable[[_Run], bool]) -> int | None:
    """How many runs, with few packets in all, to skip before one fits; None if none does."""
    packets = 0
    for number, run in enumerate(runs[1:], 1):
        packets += runs[number - 1].stop - runs[number - 1].start
        if packets > _FEW:
            return None
        if fits(run):
            return number
    return None


def repair(times: Sequence[int | None]) -> tuple[np.ndarray, int] | None:
    """Make times ascend: valid times are kept, the others interpolated between their neighbours.

    The valid times are the longest ascending subsequence; of equal times the first. If hardly any times
    ascend, they are in another order (mostly that of storage), and are sorted.

    Args:
        times: Presentation times in ticks, in presentation order.

    Returns:
        int64, shape (frames,): the times in finer ticks, and the number of finer ticks per tick; None if no
        time is known.
    """
    known = [i for i, time in enumerate(times) if time is not None]
    values = [time for time in times if time is not None]
    if not known:
        return None
    valid = _ascending(values)
    if is_other_order(values):
        values = sorted(values)
        valid = _ascending(values)
    positions = np.array([known[i] for i in valid], np.int64)
    kept = np.array([values[i] for i in valid], np.int64)
    between, ticks = np.diff(positions), np.diff(kept)
    finer = int(np.max(-(-between // np.maximum(ticks, 1)), initial=1))
    step = _usual_step(between, ticks * finer)
    kept *= finer
    numbers = np.arange(len(times))
    # Integers throughout: times of long files exceed the precision of floating point.
    left = np.clip(np.searchsorted(positions, numbers, side="right") - 1, 0, max(0, len(positions) - 2))
    repaired = kept[left].copy()
    if len(positions) > 1:
        offset = numbers - positions[left]
        repaired += (kept[left + 1] - kept[left]) * offset // (positions[left + 1] - positions[left])
    head, tail = numbers < positions[0], numbers > positions[-1]
    repaired[head] = kept[0] - (positions[0] - numbers[head]) * step
    repaired[tail] = kept[-1] + (numbers[tail] - positions[-1]) * step
    return repaired, finer


def _usual_step(between: np.ndarray, ticks: np.ndarray) -> int:
    """Median distance of neighbours, in ticks."""
    return max(1, int(np.median(ticks // between))) if len(ticks) else 1


def _ascending(values: Sequence[int]) -> list[int]:
    """Indices of the longest strictly ascending subsequence (patience sorting; of equal values the first)."""
    tails: list[int] = []  # the smallest last value of a subsequence of each length
    ends: list[int] = []
    before: list[int] = []
    for i, value in enumerate(values):
        length = bisect.bisect_left(tails, value)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(value)
            ends.append(i)
        elif value < tails[length]:
            tails[length], ends[length] = value, i
    series = []
    at = ends[-1]
    while at >= 0:
        series.append(at)
        at = before[at]
    return series[::-1]


def is_other_order(values: Sequence[int]) -> bool:
    """Whether times are in another order (that of storage): many are a few positions off."""
    wrong = len(values) - len(_ascending(values))
    if wrong <= max(_SINGLE, _SINGLE_SHARE * len(values)):
        return False
    order = np.argsort(np.array(values, np.int64), kind="stable")
    return int(np.abs(order - np.arange(len(order))).max()) <= _MOST_REORDERED
