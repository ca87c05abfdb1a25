"""HEVC as files store it: parameter sets, the hvcC record (ISO/IEC 14496-15, 8.3.3.1), and the tag of a copy.

Encoded pictures can be joined with copied ones in one stream when their parameter sets have numbers that the
source does not use. x265 gives all of them the number 0, so they are renumbered, and with them the slices.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import av
from av.container import InputContainer

from tools.media.reading.timeline.bitstream import nal_length_size
from tools.media.reading.timeline.packets import packets
from tools.media.writing.nal_units import (
    Bits,
    escape,
    joined,
    split_annexb,
    to_bytes,
    ue_bits,
    unescape,
    units_of,
)

VPS, SPS, PPS = 32, 33, 34
"""NAL unit types (ITU-T H.265, table 7-1): video, sequence and picture parameter set."""
BLA, IDR, CRA = (16, 17, 18), (19, 20), 21
"""NAL unit types of pictures at which decoding can start, broken links, IDR, clean random access."""
_BLA_ALONE = 18  # BLA_N_LP: no picture that is stored after it is shown before it
_PICTURES = range(32)
_RANDOM_ACCESS = range(16, 24)
_SETS = (VPS, SPS, PPS)
_KEEP = ("hvc1", "dvh1")
_HEADER = 64  # bytes in which the beginning of a slice header is
# Numbers of picture parameter sets that have 9 bits as Exp-Golomb numbers: a byte more than number 0, so the
# rest of a slice stays as it is.
_NINE_BITS = range(15, 31)


class Numbers(NamedTuple):
    """Numbers of a video, a sequence and a picture parameter set."""

    vps: int
    sps: int
    pps: int


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
    if {unit_type(unit) for unit in header} != set(_SETS):
        return None
    first = next((packet for packet in packets(container, stream) if packet.is_keyframe), None)
    units = units_of(bytes(first), nal_length_size("hevc", extradata)) if first is not None else ()
    inside = {unit for unit in units if unit_type(unit) in _SETS}
    return "hvc1" if inside <= set(header) else None


def parameter_sets(extradata: bytes) -> list[bytes]:
    """The parameter sets of a header: an hvcC record, or a byte stream with start codes."""
    if extradata[:1] != b"\x01":
        return [unit for unit in split_annexb(extradata) if unit and unit_type(unit) in _SETS]
    return [unit for _, units in _arrays(extradata) for unit in units if unit_type(unit) in _SETS]


def merged(extradata: bytes, sets: Iterable[bytes]) -> bytes:
    """A header with more parameter sets."""
    sets = list(sets)
    if extradata[:1] != b"\x01":
        return extradata + joined(sets, None)
    arrays: dict[int, list[bytes]] = {}
    for head, units in _arrays(extradata):
        arrays.setdefault(head, []).extend(units)
    for kind in _SETS:  # in this order, as the record recommends
        own = next((head for head in arrays if head & 0x3F == kind), 0x80 | kind)
        arrays[own] = [*arrays.pop(own, []), *(unit for unit in sets if unit_type(unit) == kind)]
    others = [head for head in arrays if head & 0x3F not in _SETS]
    level = max([extradata[12], *(_level(unit) for unit in sets if unit_type(unit) == SPS)])
    record = bytearray(extradata[:23])
    record[12], record[22] = level, len(arrays)
    for head in (*(head for head in arrays if head not in others), *others):
        units = arrays[head]
        record += bytes([head]) + len(units).to_bytes(2, "big") + joined(units, 2)
    return bytes(record)


def unit_type(unit: bytes) -> int:
    """nal_unit_type."""
    return unit[0] >> 1 & 0x3F


def set_key(unit: bytes) -> tuple[int, int] | None:
    """Type and number of a parameter set; None for other NAL units."""
    kind = unit_type(unit)
    if kind not in _SETS:
        return None
    bits = Bits(unescape(unit[2:])[:256])
    if kind == VPS:
        return kind, bits.u(4)
    if kind == SPS:
        _skip_to_sps_number(bits)
    return kind, bits.ue()


def profile(sps: bytes) -> int:
    """general_profile_idc of a sequence parameter set."""
    return unescape(sps[2:])[1] & 0x1F


def free_numbers(taken: Iterable[tuple[int, int]]) -> Numbers | None:
    """Numbers that no parameter set has; None when all are taken."""
    free = []
    for kind, numbers in ((VPS, range(1, 16)), (SPS, range(1, 16)), (PPS, _NINE_BITS)):
        used = {number for own, number in taken if own == kind}
        free.append(next((n for n in numbers if n not in used), None))
    return None if None in free else Numbers(*free)


def renumbered(unit: bytes, numbers: Numbers) -> bytes:
    """A NAL unit of x265, whose parameter sets have the number 0, with other numbers of these.

    Raises:
        ValueError: It names another set.
    """
    kind = unit_type(unit)
    plain = unescape(unit[2:])
    if kind == VPS:
        text = f"{numbers.vps:04b}" + Bits(plain).text[4:]
    elif kind == SPS:
        bits = Bits(plain)
        at = _skip_to_sps_number(bits)
        bits.ue()
        text = f"{numbers.vps:04b}{bits.text[4:at]}{ue_bits(numbers.sps)}{bits.text[bits.at :]}"
    elif kind == PPS:
        bits = Bits(plain)
        bits.skip("ee")
        text = ue_bits(numbers.pps) + ue_bits(numbers.sps) + bits.text[bits.at :]
    elif kind in _PICTURES:
        bits = Bits(plain[:_HEADER])
        at = 2 if kind in _RANDOM_ACCESS else 1
        if bits.text[at] != "1":  # the number 0
            raise ValueError("a slice names another parameter set than the first")
        text = bits.text[:at] + ue_bits(numbers.pps) + bits.text[at + 1 :]
        return unit[:2] + escape(to_bytes(text) + plain[_HEADER:])
    else:
        return unit
    text = text.rstrip("0")  # rbsp_trailing_bits: a one, and zeros up to a whole byte
    return unit[:2] + escape(to_bytes(text + "0" * (-len(text) % 8)))


def without_leading(packet: bytes, length_size: int | None) -> bytes:
    """A packet with a CRA picture as one of a BLA picture: what is stored before it is not referred to.

    This is how the standard joins streams (ITU-T H.265, 3.12). Pictures that are stored after it and shown
    before it must be left out.
    """
    return joined([_broken_link(unit) for unit in units_of(packet, length_size)], length_size)


def _broken_link(unit: bytes) -> bytes:
    if unit_type(unit) != CRA:
        return unit
    plain = unescape(unit[2 : 2 + _HEADER])
    # no_output_of_prior_pics_flag is cleared: pictures before it are shown.
    changed = bytes([plain[0] & 0xBF])
    rest = unescape(unit[2:])[1:] if changed != plain[:1] else None
    head = bytes([unit[0] & 0x81 | _BLA_ALONE << 1, unit[1]])
    return head + (unit[2:] if rest is None else escape(changed + rest))


def _skip_to_sps_number(bits: Bits) -> int:
    """Read a sequence parameter set up to its number (7.3.2.2.1, 7.3.3); return where that begins."""
    bits.u(4)
    layers = bits.u(3)
    bits.u(1 + 88 + 8)
    present = [(bits.u(1), bits.u(1)) for _ in range(layers)]
    if layers:
        bits.u(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.u(88 * has_profile + 8 * has_level)
    return bits.at


def _level(sps: bytes) -> int:
    return unescape(sps[2:])[12]


def _arrays(record: bytes) -> list[tuple[int, list[bytes]]]:
    """The arrays of an hvcC record: the byte that each begins with, and its NAL units."""
    found, at = [], 23
    for _ in range(record[22] if len(record) > 22 else 0):
        head, count = record[at], int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        units = []
        for _ in range(count):
            length = int.from_bytes(record[at : at + 2], "big")
            units.append(record[at + 2 : at + 2 + length])
            at += 2 + length
        found.append((head, [unit for unit in units if unit]))
    return found
