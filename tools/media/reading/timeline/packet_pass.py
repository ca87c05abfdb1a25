"""One pass over the packets of a video: what they say without being decoded."""

from __future__ import annotations

import dataclasses

import av
from av.container import InputContainer

from tools.media.reading.timeline import bitstream
from tools.media.reading.timeline.packets import packets
from tools.media.reading.timeline.size_changes import HeaderChanges

_SAMPLE_PACKETS = 24
# Formats without packet sizes: a recording that stops within a picture does not reveal it.
_UNBOUNDED = ("mpegts", "mpeg")
LONGEST_TAIL = 1000
"""Packets of the last group of pictures that are kept to check whether the last one is complete."""


@dataclasses.dataclass
class Scan:
    """The result of one pass over the packets, in stored order.

    Attributes:
        codec: Name of the codec.
        headers: The headers of key frames, in which sizes change.
        pts: Presentation time of each packet that is a frame.
        dts: Its decoding time.
        durations: Its duration in ticks; 0 if unknown.
        positions: Its number among all packets of the stream.
        damaged: Whether it is incomplete.
        sizes: Its bytes.
        keys: Packets at which decoding can start: number, pts and dts.
        head: The first packets from a key frame on, with their numbers.
        tail: The packets of the last group of pictures, with their numbers.
        suspicious: Whether packets need not be pictures.
        byte_offsets: Where each packet is in the file; only read if times are damaged.
        bytes: Bytes of all packets.
    """

    codec: str
    headers: HeaderChanges
    pts: list[int | None] = dataclasses.field(default_factory=list)
    dts: list[int | None] = dataclasses.field(default_factory=list)
    durations: list[int] = dataclasses.field(default_factory=list)
    positions: list[int] = dataclasses.field(default_factory=list)
    damaged: list[bool] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    keys: list[tuple[int, int | None, int | None]] = dataclasses.field(default_factory=list)
    head: list[tuple[int, av.Packet]] = dataclasses.field(default_factory=list)
    tail: list[tuple[int, av.Packet]] = dataclasses.field(default_factory=list)
    suspicious: bool = False
    byte_offsets: list[int] = dataclasses.field(default_factory=list)
    bytes: int = 0

    def keep(self, chosen: list[bool]) -> None:
        """Remove packets that are not frames."""
        for name in ("pts", "dts", "durations", "positions", "damaged", "sizes"):
            setattr(self, name, [v for v, kept in zip(getattr(self, name), chosen, strict=True) if kept])


def scan_packets(container: InputContainer, stream: av.VideoStream) -> Scan:
    """Read all packets of an open video, to its end."""
    context = stream.codec_context
    codec = context.codec.canonical_name
    length_size = bitstream.nal_length_size(codec, context.extradata)
    scan = Scan(codec, HeaderChanges(codec, length_size))
    hidden = bitstream.is_hidden(codec)
    unbounded = container.format.name in _UNBOUNDED
    # AVI and QuickTime store palettes beside pictures. Libav gives each once, with the packet after it.
    paletted, palettes = context.pix_fmt == "pal8", False
    for position, packet in enumerate(packets(container, stream)):
        scan.bytes += packet.size
        palettes |= paletted and packet.has_sidedata("palette")
        if packet.is_keyframe:
            scan.headers.check(position, packet)
            scan.keys.append((position, packet.pts, packet.dts))
            scan.tail.clear()
        if scan.keys and len(scan.head) < _SAMPLE_PACKETS:
            scan.head.append((position, packet))
        if unbounded and scan.keys and len(scan.tail) <= LONGEST_TAIL:
            scan.tail.append((position, packet))
        if packet.is_discard or (hidden and hidden(memoryview(packet))):
            continue
        scan.positions.append(position)
        scan.pts.append(packet.pts)
        scan.dts.append(packet.dts)
        scan.durations.append(packet.duration or 0)
        scan.sizes.append(packet.size)
        # Transport streams flag every lost byte, but decoders continue.
        whole = unbounded or not packet.is_corrupt
        if whole:
            whole = bitstream.units_fit(memoryview(packet), codec, length_size)
        scan.damaged.append(not whole)
        if codec == "mpeg4" and bitstream.repeats_or_packs(memoryview(packet)):
            scan.suspicious = True
    if palettes:
        scan.keys = [key for key in scan.keys if key[0] == 0]
    if not scan.keys:  # without marked key frames, decoding can only start at the beginning
        scan.suspicious = True
    return scan
