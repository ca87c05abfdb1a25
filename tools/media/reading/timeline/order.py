"""Facts that need a second pass over a file: decoded order of pictures, byte offsets, continuity of audio."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from tools.media.reading.container import open_video
from tools.media.reading.timeline.packet_pass import Scan
from tools.media.reading.timeline.packets import decode_packet, numbered, packets

_SAMPLE_PACKETS = 24  # packets after a restart that are decoded to check whether their times give the order


def decoded_order(path: str | Path, scan: Scan) -> np.ndarray:
    """The order of packets in a full decode; those that cannot be decoded follow the one stored before."""
    entry = {position: i for i, position in enumerate(scan.positions)}
    ranks: dict[int, int] = {}
    for number, _ in _decoded(path):
        if number in entry:
            ranks.setdefault(entry[number], len(ranks))
    rank, last = [], -1
    for i in range(len(scan.pts)):
        last = ranks.get(i, last)
        rank.append((last, i not in ranks, i))
    return np.array(sorted(range(len(scan.pts)), key=rank.__getitem__), np.int64)


def times_give_order(path: str | Path, scan: Scan, starts: list[int]) -> bool:
    """Whether pictures after each restart (a few are decoded) are in the order of their times."""
    times = {n: pts for n, pts in zip(scan.positions, scan.pts, strict=True) if pts is not None}
    keys = np.array([position for position, *_ in scan.keys], np.int64)
    firsts = np.searchsorted(keys, [scan.positions[i] for i in starts])
    restarts = {int(keys[k]): None for k in firsts if k < len(keys)}
    with open_video(path) as (container, stream):
        context = stream.codec_context
        shown: list[int | None] = []
        left = 0

        def finish() -> bool:
            shown.extend(picture.pts for picture in decode_packet(context, None))
            context.flush_buffers()
            stamps = [times[number] for number in shown if number in times]
            shown.clear()
            return all(a < b for a, b in itertools.pairwise(stamps))

        for position, packet in enumerate(packets(container, stream)):
            if position in restarts:
                if left and not finish():
                    return False
                left = _SAMPLE_PACKETS
            if left:
                shown += [p.pts for p in decode_packet(context, numbered(position, packet))]
                left -= 1
                if not left and not finish():
                    return False
        return not left or finish()


def replace_by_decoded(path: str | Path, scan: Scan) -> np.ndarray | None:
    """Keep in a scan only the packets that a full decode shows, and return their order.

    The decoding times become those of the packets with which the pictures were output, in presentation order,
    less the delay of the first.

    Returns:
        None if packets and pictures cannot be matched; then the scan has no presentation times.
    """
    decoded = _decoded(path)
    shown = [number for number, _ in decoded]
    stamps = dict(zip(scan.positions, scan.dts, strict=True))
    dts = _extended([None if packet is None else stamps.get(packet) for _, packet in decoded])
    if dts and dts[0] is not None and scan.dts[0] is not None:
        delay = dts[0] - scan.dts[0]
        dts = [None if time is None else time - delay for time in dts]
    entry = {position: i for i, position in enumerate(scan.positions)}
    numbers = [number for number in shown if number in entry]
    matched = len(set(shown)) == len(shown) == len(numbers)
    if not matched:
        count = len(shown)
        scan.pts = [None] * count
        scan.positions = [0] * count
    else:
        stored = sorted(entry[number] for number in numbers)
        for name in ("pts", "positions"):
            setattr(scan, name, [getattr(scan, name)[i] for i in stored])
    scan.dts = dts
    # Pictures with concealed errors were output, too; durations are not known from the packets.
    scan.durations, scan.damaged = [0] * len(shown), [False] * len(shown)
    if not matched:
        return None
    entry = {position: i for i, position in enumerate(scan.positions)}
    return np.array([entry[number] for number in numbers], np.int64)


def _decoded(path: str | Path) -> list[tuple[int | None, int | None]]:
    """Decode all pictures, and return their packets in presentation order.

    Returns:
        For each picture the number of its packet, and of the packet with which it was output; None for those
        that were flushed at the end.
    """
    shown: list[tuple[int | None, int | None]] = []
    with open_video(path) as (container, stream):
        context = stream.codec_context
        for position, packet in enumerate(packets(container, stream)):
            pictures = decode_packet(context, numbered(position, packet))
            shown += [(picture.pts, position) for picture in pictures]
        shown += [(picture.pts, None) for picture in decode_packet(context, None)]
    return shown


def _extended(stamps: list[int | None]) -> list[int | None]:
    """Extrapolate unknown times at the end."""
    steps = [b - a for a, b in itertools.pairwise(stamps) if a is not None and b is not None]
    if not steps:
        return stamps
    usual = int(np.median(steps))
    last, stamp = [(i, stamp) for i, stamp in enumerate(stamps) if stamp is not None][-1]
    return stamps[: last + 1] + [stamp + usual * i for i in range(1, len(stamps) - last)]


def byte_offsets(path: str | Path) -> list[int]:
    """The byte offset of each packet in the file; -1 if unknown."""
    with open_video(path) as (container, stream):
        return [-1 if packet.pos is None else packet.pos for packet in packets(container, stream)]


def audio_continues(
    path: str | Path, scan: Scan, stamps: list[int | None], behind: int, time_base: Fraction
) -> bool:
    """Whether the audio continues during a step forward: then a picture is just shown for long."""
    before, earlier = [(i, stamp) for i, stamp in enumerate(stamps[:behind]) if stamp is not None][-1]
    later = stamps[behind]
    assert later is not None, "a step is one between known times"
    begin, end = earlier * time_base, later * time_base
    if end < begin:
        return False
    margin = (end - begin) / 4
    first, last = scan.byte_offsets[scan.positions[before]], scan.byte_offsets[scan.positions[behind]]
    with open_video(path) as (container, stream):
        for other in container.streams.audio:
            other.discard = Discard.default
        for packet in _all_packets(container):
            if packet.stream_index == stream.index or packet.dts is None:
                continue
            at = packet.dts * packet.time_base
            inside = begin + margin < at < end - margin
            if inside and (packet.pos is None or first <= packet.pos <= last):
                return True
    return False


def _all_packets(container: InputContainer) -> Iterator[av.Packet]:
    try:
        yield from container.demux()
    except FFmpegError:
        return
