"""H.264 as files store it: NAL units, parameter sets, and the avcC record (ISO/IEC 14496-15, 5.3.3.1).

Encoded pictures can be joined with copied ones in one stream when their parameter sets have numbers that the
source does not use: both sets then lie in the file's header, and each picture names its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_IDR, _SPS, _PPS = 5, 7, 8
_START_CODE = re.compile(rb"\x00\x00\x01")
_MAX_SETS = 31  # sequence parameter sets are numbered 0 to 31


def split_annexb(data: bytes) -> list[bytes]:
    """The NAL units of a byte stream with start codes (ITU-T H.264, Annex B)."""
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    return [data[a:b].rstrip(b"\x00") for a, b in zip(starts, ends, strict=True)]


def split_lengths(data: bytes, length_size: int) -> list[bytes]:
    """The NAL units of a packet in which each follows its length."""
    units, at = [], 0
    while at + length_size <= len(data):
        length = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        units.append(data[at : at + length])
        at += length
    return units


def is_idr(packet: bytes, length_size: int | None) -> bool:
    """Whether a packet is a picture before which the decoder forgets everything.

    Args:
        packet: The packet.
        length_size: Bytes of the lengths; None for start codes.
    """
    units = split_annexb(packet) if length_size is None else split_lengths(packet, length_size)
    return any(unit and unit[0] & 0x1F == _IDR for unit in units)


class ParameterSets:
    """The parameter sets of a stream's header.

    Args:
        extradata: An avcC record, or a byte stream with start codes.
    """

    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata
        self.is_avcc = extradata[:1] == b"\x01"
        if self.is_avcc:
            self.sps, at = _read_sets(extradata, 5, 0x1F)
            self.pps, self._rest = _read_sets(extradata, at, 0xFF)
        else:
            units = split_annexb(extradata)
            self.sps = [unit for unit in units if unit[0] & 0x1F == _SPS]
            self.pps = [unit for unit in units if unit[0] & 0x1F == _PPS]

    @property
    def profile(self) -> int:
        """profile_idc of the first sequence parameter set."""
        return self.sps[0][1]

    def free_number(self) -> int | None:
        """A number that no parameter set has; None when all are taken."""
        taken = {_ue(_unescape(unit[4:])) for unit in self.sps} | {
            _ue(_unescape(unit[1:])) for unit in self.pps
        }
        return next((n for n in range(1, _MAX_SETS + 1) if n not in taken), None)

    def merged(self, other: ParameterSets) -> bytes:
        """This stream's header with the parameter sets of another stream added."""
        if not self.is_avcc:
            return self._extradata + b"".join(b"\0\0\0\1" + unit for unit in (*other.sps, *other.pps))
        level = max([self._extradata[3], *(unit[3] for unit in other.sps)])
        head = bytes([*self._extradata[:3], level, self._extradata[4]])
        sps, pps = self.sps + other.sps, self.pps + other.pps
        return (
            head
            + bytes([0xE0 | len(sps)])
            + b"".join(_with_length(unit, 2) for unit in sps)
            + bytes([len(pps)])
            + b"".join(_with_length(unit, 2) for unit in pps)
            + self._extradata[self._rest :]
        )


def as_lengths(packet: bytes, length_size: int) -> bytes:
    """Turn a packet with start codes into one with lengths, without the sets that the header has."""
    units = [u for u in split_annexb(packet) if u[0] & 0x1F not in (_SPS, _PPS)]
    return b"".join(_with_length(unit, length_size) for unit in units)


def _with_length(unit: bytes, size: int) -> bytes:
    return len(unit).to_bytes(size, "big") + unit


def _read_sets(record: bytes, at: int, mask: int) -> tuple[list[bytes], int]:
    count = record[at] & mask
    at += 1
    sets = []
    for _ in range(count):
        length = int.from_bytes(record[at : at + 2], "big")
        sets.append(record[at + 2 : at + 2 + length])
        at += 2 + length
    return sets, at


def _unescape(data: bytes) -> bytes:
    """Remove the bytes that keep start codes from appearing by chance (7.4.1)."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def _ue(data: bytes) -> int:
    """The Exp-Golomb number that data begins with (9.1)."""
    bits = _bits(data)
    zeros = 0
    while next(bits) == 0:
        zeros += 1
    value = 1
    for _ in range(zeros):
        value = 2 * value + next(bits)
    return value - 1


def _bits(data: bytes) -> Iterator[int]:
    for byte in data[:8]:
        for shift in range(7, -1, -1):
            yield byte >> shift & 1
