"""Put wrong times into the packets of real files, byte by byte, as broken recorders do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av


def set_times(path: Path, target: Path, times: Mapping[int, float | None]) -> Path:
    """Write a copy of a file in which some pictures have another time.

    Args:
        path: A Matroska, FLV or MPEG-TS file.
        target: The copy.
        times: Seconds by number of the packet in stored order; None leaves the time out (MPEG-TS).
    """
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        form = container.format.name
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    for number, seconds in times.items():
        _WRITERS[form](data, places[number], seconds)
    target.write_bytes(data)
    return target


def _matroska(data: bytearray, at: int, seconds: float) -> None:
    """RFC 9559, 10.2: a SimpleBlock has the track and 16 bits of time, which count from its cluster's."""
    cluster = data.rindex(b"\x1f\x43\xb6\x75", 0, at)
    stamp = data.index(b"\xe7", cluster)
    size = data[stamp + 1] & 0x7F
    begin = int.from_bytes(data[stamp + 2 : stamp + 2 + size], "big")
    data[at + 1 : at + 3] = (round(seconds * 1000) - begin).to_bytes(2, "big", signed=True)


def _flv(data: bytearray, at: int, seconds: float) -> None:
    """Adobe's FLV specification, E.4.1: 24 bits of milliseconds, and 8 more above them."""
    assert data[at] == 9
    stamp = round(seconds * 1000).to_bytes(4, "big")
    data[at + 4 : at + 7], data[at + 7] = stamp[1:], stamp[0]


def _mpegts(data: bytearray, at: int, seconds: float | None) -> None:
    """ISO/IEC 13818-1, 2.4.3.7: PTS, and DTS where it is another, in 33 bits of 1/90000 s."""
    start = data.index(b"\x00\x00\x01\xe0", at, at + 188)
    both = data[start + 7] >> 6 == 3
    length = data[start + 8]
    if seconds is None:
        data[start + 7] &= 0x3F
        data[start + 9 : start + 9 + length] = b"\xff" * length
        return
    ticks = round(seconds * 90_000) % 2**33
    data[start + 9 : start + 14] = _stamp(3 if both else 2, ticks)
    if both:
        data[start + 14 : start + 19] = _stamp(1, ticks)


def _stamp(mark: int, ticks: int) -> bytes:
    return bytes(
        [
            mark << 4 | ticks >> 29 & 14 | 1,
            ticks >> 22 & 255,
            ticks >> 14 & 254 | 1,
            ticks >> 7 & 255,
            ticks << 1 & 254 | 1,
        ]
    )


_WRITERS = {"matroska,webm": _matroska, "flv": _flv, "mpegts": _mpegts}
