"""HEVC as files store it: the hvcC record (ISO/IEC 14496-15, 8.3.3.1), and the tag of a copy."""

from __future__ import annotations

import av
from av.container import InputContainer

from tools.media.reading.timeline.bitstream import nal_length_size
from tools.media.reading.timeline.packets import packets
from tools.media.writing.h264 import split_annexb, split_lengths

_SETS = (32, 33, 34)  # NAL unit types (ITU-T H.265, table 7-1): video, sequence and picture parameter sets
_KEEP = ("hvc1", "dvh1")


def copied_tag(container: InputContainer, stream: av.VideoStream) -> str | None:
    """The tag that a copy of an HEVC stream gets in mp4; None leaves it to the muxer, which writes hev1.

    Apple's players take only hvc1: all parameter sets are in the header. So it is written whenever that is
    true, also for what Matroska, a transport stream, or hev1 contained.

    Args:
        container: The source, open, at its beginning.
        stream: Its HEVC stream.
    """
    if stream.codec_tag in _KEEP:
        return stream.codec_tag
    extradata = stream.codec_context.extradata or b""
    header = parameter_sets(extradata)
    if {_type(unit) for unit in header} != set(_SETS):
        return None
    first = next((packet for packet in packets(container, stream) if packet.is_keyframe), None)
    length_size = nal_length_size("hevc", extradata)
    data = bytes(first) if first is not None else b""
    units = split_lengths(data, length_size) if length_size else split_annexb(data)
    inside = {unit for unit in units if unit and _type(unit) in _SETS}
    return "hvc1" if inside <= set(header) else None


def parameter_sets(extradata: bytes) -> list[bytes]:
    """The parameter sets of a header: an hvcC record, or a byte stream with start codes."""
    if extradata[:1] != b"\x01":
        return [unit for unit in split_annexb(extradata) if unit and _type(unit) in _SETS]
    found, at = [], 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(extradata[at : at + 2], "big")
            found.append(extradata[at + 2 : at + 2 + length])
            at += 2 + length
    return [unit for unit in found if unit and _type(unit) in _SETS]


def _type(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F
