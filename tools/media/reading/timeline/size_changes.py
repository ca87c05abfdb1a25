"""Find changes of the size or orientation of pictures within a stream, without decoding all of it.

A key frame repeats the headers that state them, or the container provides new ones. Only if these differ from
the previous ones is the key frame decoded, to check whether size or orientation differ as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av

from tools.media.reading.container import open_video
from tools.media.reading.orientation import Orientation, orientation_of
from tools.media.reading.timeline.packets import SizeChange, decode_packet, packets

Stated = Callable[[memoryview], dict[str, bytes]]
"""From the bytes of a key frame to those that state its ``size`` and its ``turn`` (rotation), if present."""

_HEADERS = 4096  # bytes at the start of a packet that are searched for headers


class HeaderChanges:
    """Collects the key frames of a stream whose headers differ from those of the previous one.

    Args:
        codec: Name of the codec.
        length_size: Bytes of the length before a NAL unit; None for start codes.

    Attributes:
        candidates: Packet numbers of the key frames with other headers.
    """

    def __init__(self, codec: str, length_size: int | None) -> None:
        self._stated = _reader(codec, length_size)
        self._last: dict[str, bytes] = {}
        self._keys = 0
        self.candidates: list[int] = []

    def check(self, position: int, packet: av.Packet) -> None:
        """Compare a key frame, given with its packet number, with the previous one."""
        stated = self._stated(memoryview(packet)) if self._stated is not None else {}
        other = any(self._last.get(what) != value for what, value in stated.items())
        if (other or packet.has_sidedata("new_extradata")) and self._keys:
            self.candidates.append(position)
        self._keys += 1
        self._last |= stated


def size_changes(path: str | Path, candidates: list[int], first: av.VideoFrame) -> tuple[SizeChange, ...]:
    """Decode the key frames with other headers, and compare size and orientation.

    Args:
        path: The file.
        candidates: Their packet numbers, ascending.
        first: The first picture.

    Returns:
        The changes.
    """
    if not candidates:
        return ()
    found: list[SizeChange] = []
    left = set(candidates)
    before = _stored(first)
    with open_video(path) as (container, stream):
        context = stream.codec_context
        for position, packet in enumerate(packets(container, stream)):
            if position not in left:
                continue
            left.remove(position)
            shown = [*decode_packet(context, packet), *decode_packet(context, None)]
            context.flush_buffers()
            if shown and (now := _stored(shown[0])) != before:
                found.append(SizeChange(position, *now))
                before = now
            if not left:
                break
    return tuple(found)


def _stored(picture: av.VideoFrame) -> tuple[int, int, Orientation]:
    return picture.width, picture.height, orientation_of(picture)


def _reader(codec: str, length_size: int | None) -> Stated | None:
    if codec in ("h264", "hevc"):
        return lambda packet: _units(packet, codec, length_size)
    size = {
        "vp8": _vp8,
        "vp9": _vp9,
        "av1": _av1,
        "mpeg1video": _mpeg2,
        "mpeg2video": _mpeg2,
        "mpeg4": _mpeg4,
        "mjpeg": _mjpeg,
    }.get(codec)
    if size is None:
        return None
    return lambda packet: {"size": value} if (value := size(packet)) else {}


def _units(packet: memoryview, codec: str, length_size: int | None) -> dict[str, bytes]:
    """Sequence parameter sets and the display orientation message of a picture.

    ITU-T H.264, table 7-1: types 7 and 6; H.265, table 7-1: types 33 and 39.
    """
    found: dict[str, bytes] = {}
    for unit in _with_lengths(packet, length_size) if length_size else _with_start_codes(packet):
        if not unit:
            continue
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind == (7 if codec == "h264" else 33):
            found["size"] = found.get("size", b"") + bytes(unit)
        elif kind == (6 if codec == "h264" else 39):
            if turn := _display_orientation(unit[1 if codec == "h264" else 2 :]):
                found["turn"] = turn
        elif kind in (1, 5) if codec == "h264" else kind < 32:
            break  # of the picture itself
    return found


def _display_orientation(messages: memoryview) -> bytes | None:
    """Supplemental enhancement information of type 47: ITU-T H.264, 7.3.2.3.1, D.1.27; H.265, D.2.17."""
    at = 0
    while at + 2 < len(messages):
        numbers = []
        for _ in range(2):  # payloadType, payloadSize: bytes of 255 add up
            number = 0
            while at < len(messages) and messages[at] == 255:
                number, at = number + 255, at + 1
            numbers.append(number + (messages[at] if at < len(messages) else 0))
            at += 1
        if numbers[0] == 47:
            return bytes(messages[at : at + numbers[1]])
        at += numbers[1]
    return None


def _with_lengths(packet: memoryview, length_size: int) -> Iterator[memoryview]:
    at = 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        yield packet[at + length_size : at + length_size + length]
        at += length_size + length


def _with_start_codes(packet: memoryview) -> Iterator[memoryview]:
    data = bytes(packet[:_HEADERS])
    begin = data.find(b"\0\0\1")
    while begin >= 0:
        end = data.find(b"\0\0\1", begin + 3)
        yield memoryview(data)[begin + 3 : end if end >= 0 else None]
        begin = end


def _vp8(packet: memoryview) -> bytes | None:
    """RFC 6386, 9.1: behind the start code of a key frame 14 bits of width, 14 of height."""
    return bytes(packet[6:10]) if bytes(packet[3:6]) == b"\x9d\x01\x2a" else None


def _vp9(packet: memoryview) -> bytes | None:
    """VP9 bitstream specification, 6.2: uncompressed_header of a key frame, frame_size."""
    bits = "".join(f"{byte:08b}" for byte in packet[:20])
    profile = int(bits[3] + bits[2], 2)
    at = 4 + (profile == 3)
    if len(bits) < 160 or bits[at : at + 2] != "00":  # show_existing_frame; frame_type 0 is a key frame
        return None
    at += 4  # frame_type, show_frame and error_resilient_mode behind it
    at += 24  # frame_sync_code
    at += profile >= 2  # ten_or_twelve_bit
    space, at = bits[at : at + 3], at + 3
    if space != "111":  # not RGB
        at += 1 + (3 if profile in (1, 3) else 0)
    elif profile in (1, 3):
        at += 1
    return bits[at : at + 32].encode()


def _av1(packet: memoryview) -> bytes | None:
    """AV1 bitstream specification, 5.3: the sequence header is OBU type 1."""
    at = 0
    while at < min(len(packet), _HEADERS):
        header = packet[at]
        at += 1 + (header >> 2 & 1)
        if not header >> 1 & 1:  # no size: it fills the packet
            return None
        size = shift = 0
        while at < len(packet):
            byte = packet[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        if header >> 3 & 15 == 1:
            return bytes(packet[at : at + size])
        at += size
    return None


def _mpeg2(packet: memoryview) -> bytes | None:
    """ISO/IEC 13818-2, 6.2.2.1: behind sequence_header_code 12 bits of width, 12 of height."""
    at = bytes(packet[:_HEADERS]).find(b"\0\0\1\xb3")
    return bytes(packet[at + 4 : at + 7]) if at >= 0 else None


def _mpeg4(packet: memoryview) -> bytes | None:
    """ISO/IEC 14496-2, 6.2.3: the video object layer, start codes 0x20 to 0x2f."""
    for unit in _with_start_codes(packet):
        if len(unit) and 0x20 <= unit[0] <= 0x2F:
            return bytes(unit)
    return None


def _mjpeg(packet: memoryview) -> bytes | None:
    """ITU-T T.81, B.2.2: the frame header (SOF) has height and width behind its precision."""
    at = 2
    while at + 9 <= len(packet) and packet[at] == 0xFF:
        marker = packet[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return bytes(packet[at + 5 : at + 9])
        at += 2 + int.from_bytes(packet[at + 2 : at + 4], "big")
    return None
