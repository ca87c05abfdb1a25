"""Presentation times and order of the frames of a scanned video, from valid or damaged times."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from tools.media.reading.timeline.clock import (
    CONTINUOUS,
    Breaks,
    Clock,
    find_breaks,
    is_ordered,
    is_other_order,
    repair,
)
from tools.media.reading.timeline.order import (
    audio_continues,
    byte_offsets,
    decoded_order,
    replace_by_decoded,
    times_give_order,
)
from tools.media.reading.timeline.packet_pass import Scan

_STEADY = 0.002  # seconds, the largest difference of intervals in a constant rate
_FEWEST = 8  # frames needed to conclude from a constant rate that the header's is wrong
_OFF = 0.02  # largest relative error of a header's rate


@dataclasses.dataclass(frozen=True)
class FrameTimes:
    """The frames of a video in presentation order.

    Attributes:
        order: int64, shape (frames,): which packet of the scan each frame is.
        pts: int64, shape (frames,): when it is shown, ascending.
        time_base: Seconds per tick of `pts`.
        counted: Whether frames are known by counting only, see `PacketIndex`.
        timing: See `PacketIndex`.
        clock: Converts the file's times to the clock of `pts`.
        parts: First packet of each part of the file, between restarts of the clock.
        finer: Ticks of `pts` per tick of the stream.
    """

    order: np.ndarray
    pts: np.ndarray
    time_base: Fraction
    counted: bool = False
    timing: str = "ok"
    clock: Clock = CONTINUOUS
    parts: tuple[int, ...] = (0,)
    finer: int = 1

    def key_time(self, position: int, stamp: int) -> int:
        """Convert a presentation time in the file to this clock.

        Args:
            position: The packet.
            stamp: Its time in ticks of the stream.
        """
        part = int(np.searchsorted(self.parts, position, side="right")) - 1
        return stamp * self.finer + int(self.clock.offsets[max(0, part)] / self.time_base)


def time_frames(
    path: str | Path,
    scan: Scan,
    time_base: Fraction,
    rate: Fraction | None,
    *,
    valid: bool,
    verdict: str,
    reordered: bool,
    discontinuous: bool,
    stored_dts: bool,
    delay: int | None,
) -> FrameTimes:
    """Put the packets of a scan into presentation order, with a time for each.

    Args:
        path: The file.
        scan: Its packets; those that are not pictures are removed.
        time_base: Seconds per tick.
        rate: Frames per second according to the file.
        valid: Whether all times can be used unchanged.
        verdict: "packets" if packets are pictures, "order" if they are but their times do not give their
            order, "decode" if they need not be pictures.
        reordered: Pictures may be stored in another order than they are shown.
        discontinuous: The format allows restarts of the clock.
        stored_dts: The format stores decoding times; otherwise libav derives them from the others.
        delay: In a format without presentation times, the number of packets by which decoding precedes
            presentation; None in other formats.
    """
    if valid and verdict == "packets":
        pts = np.array(scan.pts, np.int64)
        order = np.argsort(pts, kind="stable")
        return FrameTimes(order, pts[order], time_base)
    order = None
    if verdict == "decode":
        order = replace_by_decoded(path, scan)
        if order is None:
            return _counted(scan, time_base, rate, 0)
        times = [scan.pts[i] for i in order]
        if None not in times and all(a < b for a, b in itertools.pairwise(times)):
            return FrameTimes(order, np.array(times, np.int64), time_base)
        if delay is not None:
            return _counted(scan, time_base, rate, 0)
    reordered = reordered or verdict != "packets"
    known = sum(time is not None for time in scan.pts)
    if (delay is not None and reordered) or 2 * known < len(scan.pts):
        return _counted(scan, time_base, rate, delay)
    if known > 1 and len(set(scan.pts) - {None}) == 1:  # nothing to interpolate between
        return dataclasses.replace(_counted(scan, time_base, rate, delay), timing="repaired")
    scan.byte_offsets = byte_offsets(path)
    if order is None and reordered and not stored_dts:
        order = decoded_order(path, scan)
    if order is not None and not stored_dts:
        stamps = [scan.pts[i] for i in order]
        shuffled = is_other_order([stamp for stamp in stamps if stamp is not None])
        found = Breaks([], set()) if shuffled else find_breaks(stamps, time_base, discontinuous=discontinuous)
        parts = np.split(order, found.restarts)
        return _repaired(scan, parts, {int(order[n]) for n in found.wrong}, time_base)
    stamps = [p if d is None or not stored_dts else d for p, d in zip(scan.pts, scan.dts, strict=True)]
    found = find_breaks(stamps, time_base, discontinuous=discontinuous)
    starts = [i for i in found.restarts if not audio_continues(path, scan, stamps, i, time_base)]
    if order is None:
        order = _order(
            path, scan, starts, by_times=verdict == "packets" and not found.wrong, reordered=reordered
        )
    part_of = np.searchsorted(starts, order, side="right")
    parts = [order[part_of == part] for part in range(len(starts) + 1)]
    return _repaired(scan, parts, found.wrong, time_base)


def _order(path: str | Path, scan: Scan, starts: list[int], *, by_times: bool, reordered: bool) -> np.ndarray:
    """The presentation order of packets: by their times if these define it, else by decoding."""
    parts = [range(a, b) for a, b in itertools.pairwise([0, *starts, len(scan.pts)])]
    ordered = by_times and all(is_ordered([scan.pts[i] for i in part], reordered=reordered) for part in parts)
    if ordered and (not (reordered and starts) or times_give_order(path, scan, starts)):
        orders = [
            np.argsort(np.array(scan.pts[part.start : part.stop], np.int64), kind="stable") for part in parts
        ]
        return np.concatenate([part.start + order for part, order in zip(parts, orders, strict=True)])
    if not reordered and _mostly_ascends(scan.pts):
        return np.arange(len(scan.pts))
    return decoded_order(path, scan)


def _mostly_ascends(times: list[int | None]) -> bool:
    known = np.array([time for time in times if time is not None], np.int64)
    return int((np.diff(known) < 0).sum()) * 20 <= len(known) + 20


def _counted(scan: Scan, time_base: Fraction, rate: Fraction | None, delay: int | None) -> FrameTimes:
    """Frames with decoding times, starting at the first one.

    If pictures are reordered by n positions, picture k is shown when packet k + n is decoded.
    """
    order = np.arange(len(scan.pts))
    if None in scan.dts or len(set(scan.dts)) < len(scan.dts):
        scan.durations = [1] * len(order)
        return FrameTimes(order, order, 1 / Fraction(rate or 25), counted=True)
    dts = np.sort(np.array(scan.dts, np.int64))
    ahead = min(delay or 0, len(dts) - 1)
    usual = int(np.median(np.diff(dts))) if len(dts) > 1 else 0
    behind = dts[-1] + usual * np.arange(1, ahead + 1)
    pts = np.concatenate([dts[ahead:], behind]) - dts[ahead] + dts[0]
    return FrameTimes(order, pts, time_base, counted=True)


def _repaired(scan: Scan, parts: list[np.ndarray], wrong: set[int], time_base: Fraction) -> FrameTimes:
    """Repair the times of each part of the file, and join each part to the end of the previous one.

    Args:
        scan: The packets.
        parts: The packets of each part, in presentation order.
        wrong: Packets whose times are known to be wrong.
        time_base: Seconds per tick.
    """
    found = [repair([None if i in wrong else scan.pts[i] for i in part.tolist()]) for part in parts]
    finer = math.lcm(*(f[1] for f in found if f is not None))
    steps = [np.diff(f[0]) * (finer // f[1]) for f in found if f is not None]
    usual = max(1, int(np.median(np.concatenate(steps))) if sum(map(len, steps)) else finer)
    pieces: list[np.ndarray] = []
    offsets = [0]
    for number, times in enumerate(found):
        if times is None:
            ticks = np.arange(len(parts[number]), dtype=np.int64) * usual
        else:
            ticks = times[0] * (finer // times[1])
        if pieces:
            end = int(pieces[-1][-1]) + (scan.durations[int(parts[number - 1][-1])] * finer or usual)
            offsets.append(end - int(ticks[0]))
            ticks = ticks + offsets[-1]
        pieces.append(ticks)
    order = np.concatenate(parts)
    original = [scan.pts[i] for i in order]
    pts = np.concatenate(pieces)
    same = None not in original and np.array_equal(np.array(original, np.int64) * finer, pts)
    time_base /= finer
    starts = [(int(before.max()), int(part.min())) for before, part in itertools.pairwise(parts)]
    clock = Clock(
        tuple(
            (scan.byte_offsets[scan.positions[a]], scan.byte_offsets[scan.positions[b]]) for a, b in starts
        ),
        tuple(offset * time_base for offset in offsets),
    )
    return FrameTimes(
        order,
        pts,
        time_base,
        timing="restarted" if starts else "ok" if same else "repaired",
        clock=clock,
        parts=(0, *(scan.positions[behind] for _, behind in starts)),
        finer=finer,
    )


def stated_rate(timed: FrameTimes, scan: Scan, rate: Fraction | None) -> tuple[Fraction | None, int]:
    """The file's frame rate, or that of its times if the header is wrong by a factor.

    Returns:
        Frames per second; and the duration of the last frame in ticks.
    """
    pts, tick = timed.pts, timed.time_base
    steps = np.diff(pts)
    usual = int(np.median(steps)) if len(steps) else 0
    length = scan.durations[timed.order[-1]] * timed.finer or usual
    if not length and rate:
        length = round(1 / rate / tick)
    if not rate or len(pts) < _FEWEST or float((steps.max() - steps.min()) * tick) > _STEADY:
        return rate, length
    span = int(pts[-1] - pts[0])
    measured = Fraction(len(steps), span) / tick
    if abs(measured / rate - 1) <= _OFF:
        return rate, length
    if not length or abs(length - 1 / rate / tick) <= timed.finer:  # agrees with the header's rate
        length = round(Fraction(span, len(steps)))
    slack = Fraction(1, 1000) + Fraction(2 * timed.finer, span)
    near = [Fraction(round(measured)), Fraction(round(measured * 1001 / 1000) * 1000, 1001)]
    near += [rate * k for k in range(2, 9)] + [rate / k for k in range(2, 9)]
    best = min(near, key=lambda r: abs(r / measured - 1))
    return (best if abs(best / measured - 1) <= slack else measured.limit_denominator(100_000)), length
