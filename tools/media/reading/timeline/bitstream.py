"""Parse packets without decoding them: is a packet complete, and does it show a picture?"""

from __future__ import annotations

from collections.abc import Callable

_AV1_FRAMES = (3, 6, 7)  # OBU_FRAME_HEADER, OBU_FRAME, OBU_REDUNDANT_FRAME_HEADER


def nal_length_size(codec: str, extradata: bytes | None) -> int | None:
    """Bytes of the length before each NAL unit of H.264/HEVC as stored in mp4, mov and mkv.

    Args:
        codec: Name of the codec (h264 or hevc; others have no NAL units).
        extradata: The stream's avcC (ISO/IEC 14496-15, 5.3.3) or hvcC (8.3.3) record.

    Returns:
        1, 2 or 4; None for other codecs and for streams with start codes (mpegts, avi).
    """
    if not extradata or extradata[0] != 1:  # configurationVersion; a start code begins with 0
        return None
    if codec == "h264" and len(extradata) >= 7:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) >= 23:
        return (extradata[21] & 3) + 1
    return None


def hevc_has_one_layer(extradata: bytes | None) -> bool:
    """Whether a HEVC stream has no temporal sub-layers, by its hvcC record.

    Only then is a picture marked as non-reference not used by any other.
    """
    return bool(extradata) and len(extradata) >= 23 and extradata[0] == 1 and (extradata[21] >> 3) & 7 == 1


def units_fit(packet: memoryview, codec: str, length_size: int | None) -> bool:
    """Whether the units of a packet fill it; True for codecs, and ways to store them, without such units.

    Args:
        packet: The bytes.
        codec: Name of the codec.
        length_size: See `nal_length_size`.
    """
    if length_size:
        return nal_units_fit(packet, length_size)
    return codec != "av1" or obus_fit(packet)


def nal_units_fit(packet: memoryview, length_size: int) -> bool:
    """Whether the NAL units of a packet fill it exactly and none is empty.

    Otherwise decoders refuse the whole packet.
    """
    at, end = 0, len(packet)
    while at + length_size <= end:
        length = int.from_bytes(packet[at : at + length_size], "big")
        if length == 0:
            return False
        at += length_size + length
    return at == end


def obus_fit(packet: memoryview) -> bool:
    """Whether the open bitstream units of an AV1 packet fill it exactly, and one of them has a frame.

    AV1 bitstream specification, 5.3 (obu_header), 6.2.2 (obu_type) and 4.10.5 (leb128). Decoders refuse the
    rest of a packet in which a size is wrong, and ignore reserved bits.
    """
    at, end = 0, len(packet)
    has_frame = False
    while at < end:
        header = packet[at]
        at += 2 if header & 4 else 1  # obu_extension_flag
        has_frame |= header >> 3 & 15 in _AV1_FRAMES
        if not header & 2:  # no size: it fills the packet
            return has_frame
        size = shift = 0
        more = True
        while more:
            if at == end or shift > 49:  # eight bytes at most
                return False
            size |= (packet[at] & 127) << shift
            more = packet[at] > 127
            at, shift = at + 1, shift + 7
        at += size
    return has_frame and at == end


def is_hidden(codec: str) -> Callable[[memoryview], bool] | None:
    """The function that detects packets which only update the decoder and show no picture.

    Returns:
        A function of the packet's bytes for VP8 and VP9; None for codecs without such packets.
    """
    return {"vp8": _hidden_vp8, "vp9": _hidden_vp9}.get(codec)


def repeats_or_packs(packet: memoryview) -> bool:
    """Whether a MPEG-4 part 2 packet may contain no picture, or two.

    AVI files by DivX and Xvid pack a B-picture after its P-picture and store an empty packet instead.
    """
    return len(packet) <= 10 or bytes(packet).count(b"\x00\x00\x01\xb6") > 1


def _hidden_vp8(packet: memoryview) -> bool:
    """RFC 6386, 9.1: the fifth bit of the frame tag is show_frame."""
    return not packet[0] >> 4 & 1


def _hidden_vp9(packet: memoryview) -> bool:
    """VP9 bitstream specification, 6.2; a superframe (Annex B) shows its last frame."""
    if packet[-1] & 0xE0 == 0xC0:
        return False
    bits = f"{packet[0]:08b}"
    at = 4 + (bits[2:4] == "11")  # frame marker, profile, and a reserved bit in profile 3
    show_existing_frame, show_frame = bits[at], bits[at + 2]
    return show_existing_frame == "0" and show_frame == "0"
