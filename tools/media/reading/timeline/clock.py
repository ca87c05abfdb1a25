"""One clock for a file whose time stamps are damaged: where it starts anew, and what is to be repaired."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

_STEP_BACK = 0.1  # seconds by which decoding times may step back at most, as in the ffmpeg program
_STEP_FORWARD = 10.0  # seconds; the program's -dts_delta_threshold
_FEW = 32  # packets; so many wrong stamps in a row are damage, more are another clock
_EDGE = 3  # packets; so few at either end of a file are no part with a clock of its own
_NEAR = 1.0  # seconds by which times that go on may be off what is expected
_MOST_REORDERED = 32  # places by which a picture may be stored ahead of its turn; H.264 and HEVC allow 16
_FAR = 5  # places; more than most encoders need
_SINGLE, _SINGLE_SHARE = 3, 0.1  # more times out of order, and a greater share, are no damage of single ones


@dataclasses.dataclass(frozen=True)
class Clock:
    """What has to be added to the times of a file whose clock starts anew, as joined recordings have it.

    Attributes:
        starts: For each new start the bytes between which it lies: where the last picture before it begins,
            and the first one behind it.
        offsets: Seconds to add before the first new start (0), and behind each.
    """

    starts: tuple[tuple[int, int], ...] = ()
    offsets: tuple[Fraction, ...] = (Fraction(0),)

    def follow(self) -> ClockFollower:
        """Begin to read a stream of the file from its first packet on."""
        return ClockFollower(self)


CONTINUOUS = Clock()
"""The clock of a file that goes through."""


class ClockFollower:
    """Puts the packets of one stream, sound for example, on the clock of the pictures, in stored order."""

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
        """Whether a packet lies behind the next new start."""
        before, behind = self._clock.starts[self._part]
        place = -1 if packet.pos is None else packet.pos
        if place >= behind:
            return True
        if 0 <= place < before or time is None or self._expected is None:
            return False
        # Between the two pictures, or at a place that is not known: by what goes on better.
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
    """Tell whether every time of a stream can be taken as it is.

    Args:
        pts: Presentation times of its pictures, in stored order.
        dts: Decoding times.
        time_base: Seconds per tick.
        reordered: Pictures may be stored in another order than they are shown.
        discontinuous: The format knows clocks that start anew (transport and program streams).
    """
    if not is_ordered(pts, reordered=reordered):
        return False
    known = [d for d in dts if d is not None] if None in dts else dts
    steps = np.diff(np.array(known, np.int64)) * float(time_base)
    longest = _STEP_FORWARD if discontinuous else np.inf
    return not ((steps < -_step_back(steps, discontinuous)) | (steps > longest)).any()


def _step_back(steps: np.ndarray, discontinuous: bool) -> float:
    """Seconds by which decoding times may step back: hardly where the file states them for every picture."""
    if not discontinuous or not len(steps):
        return _STEP_BACK
    return min(_STEP_BACK, float(np.median(np.abs(steps))) / 2)


def is_ordered(pts: Sequence[int | None], *, reordered: bool) -> bool:
    """Tell whether the times of stored pictures give the order in which these are shown.

    They do when all are known, none is there twice, and none lies farther from its place than pictures are
    stored ahead.
    """
    if None in pts:
        return False
    times = np.array(pts, np.int64)
    back = int((np.diff(times) < 0).sum())
    if not reordered and back <= _SINGLE_SHARE * len(times):  # more: the decoder's word is wrong
        return not (np.diff(times) <= 0).any()
    order = np.argsort(times, kind="stable")
    if (np.diff(times[order]) == 0).any():
        return False
    ahead = order - np.arange(len(order))
    far = int(np.abs(ahead).max(initial=0))
    # Pictures that are stored far ahead of their turn are so again and again; a single one has a wrong time.
    alone = far > _FAR and (np.abs(ahead) > far / 2).sum() == 1
    return far <= _MOST_REORDERED and not alone


@dataclasses.dataclass(frozen=True)
class Breaks:
    """Where a series of times does not go on.

    Attributes:
        restarts: Numbers of those that are the first of a clock that starts anew.
        wrong: Numbers of those that are wrong: a few between others that go on, or at either end.
    """

    restarts: list[int]
    wrong: set[int]


def find_breaks(stamps: Sequence[int | None], time_base: Fraction, *, discontinuous: bool) -> Breaks:
    """Tell a clock that starts anew from single wrong times.

    A new start is a step back by more than 0.1 s, and in formats that know it any step back, and a step
    forward by more than 10 s: about the rule of the ffmpeg program.

    Args:
        stamps: Decoding times in stored order, or presentation times in the order of showing.
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
            if behind is not None:  # those from here on are wrong
                at += behind
            elif before is not None and gap < 0:  # those just before were wrong
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
    """Times that go on: numbers of the first and behind the last, and these times in seconds."""

    start: int
    stop: int
    first: float
    last: float


def _few(runs: Sequence[_Run], fits: Callable[[_Run], bool]) -> int | None:
    """How many runs have to be left out, few packets in all, before one fits; None when none does."""
    packets = 0
    for number, run in enumerate(runs[1:], 1):
        packets += runs[number - 1].stop - runs[number - 1].start
        if packets > _FEW:
            return None
        if fits(run):
            return number
    return None


def repair(times: Sequence[int | None]) -> tuple[np.ndarray, int] | None:
    """Make times ascend: the sound ones stay, each of the others gets a place between its neighbours.

    Sound is the longest series of ascending times; of two equal ones it is the first. Where hardly any
    times ascend, they are those of another order (that of storing, mostly): then they are sorted.

    Args:
        times: Presentation times in ticks, in the order in which pictures are shown.

    Returns:
        int64, shape (frames,): the times in finer ticks, and how many of these make one of the old ones; None
        when no time is known.
    """
    known = [i for i, time in enumerate(times) if time is not None]
    values = [time for time in times if time is not None]
    if not known:
        return None
    sound = _ascending(values)
    if is_other_order(values):
        values = sorted(values)
        sound = _ascending(values)
    places = np.array([known[i] for i in sound], np.int64)
    kept = np.array([values[i] for i in sound], np.int64)
    between, ticks = np.diff(places), np.diff(kept)
    finer = int(np.max(-(-between // np.maximum(ticks, 1)), initial=1))
    step = _usual_step(between, ticks * finer)
    kept *= finer
    numbers = np.arange(len(times))
    # Whole numbers throughout: times of long files have more digits than floating point.
    left = np.clip(np.searchsorted(places, numbers, side="right") - 1, 0, max(0, len(places) - 2))
    repaired = kept[left].copy()
    if len(places) > 1:
        offset = numbers - places[left]
        repaired += (kept[left + 1] - kept[left]) * offset // (places[left + 1] - places[left])
    head, tail = numbers < places[0], numbers > places[-1]
    repaired[head] = kept[0] - (places[0] - numbers[head]) * step
    repaired[tail] = kept[-1] + (numbers[tail] - places[-1]) * step
    return repaired, finer


def _usual_step(between: np.ndarray, ticks: np.ndarray) -> int:
    """How far neighbours are apart, in ticks."""
    return max(1, int(np.median(ticks // between))) if len(ticks) else 1


def _ascending(values: Sequence[int]) -> list[int]:
    """Indices of the longest strictly ascending series (patience sorting; of equal values the first)."""
    tails: list[int] = []  # the smallest value that a series of each length ends with
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
    """Whether times are those of another order (that of storing): many are a few places off."""
    wrong = len(values) - len(_ascending(values))
    if wrong <= max(_SINGLE, _SINGLE_SHARE * len(values)):
        return False
    order = np.argsort(np.array(values, np.int64), kind="stable")
    return int(np.abs(order - np.arange(len(order))).max()) <= _MOST_REORDERED
