"""NAL units, which H.264 and HEVC streams consist of: how they are joined into packets, and their bits.

Both standards have the same byte stream (ITU-T H.264 and H.265, Annex B), the same bytes that keep start
codes from appearing by chance (7.4.1, 7.4.2), and the same Exp-Golomb numbers (9.1, 9.2). In mp4 and
Matroska, each unit follows its length instead (ISO/IEC 14496-15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_START_CODE = re.compile(rb"\x00\x00\x01")
_WOULD_END = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def split_annexb(data: bytes) -> list[bytes]:
    """The NAL units of a byte stream with start codes."""
    return list(_annexb(data))


def units_of(packet: bytes, length_size: int | None) -> Iterator[bytes]:
    """The NAL units of a packet that are not empty, one by one.

    Args:
        packet: The packet.
        length_size: Bytes of the lengths; None for start codes.
    """
    units = _annexb(packet) if length_size is None else _lengths(packet, length_size)
    return (unit for unit in units if unit)


def joined(units: Sequence[bytes], length_size: int | None) -> bytes:
    """A packet of NAL units, the reverse of `units_of`."""
    if length_size is None:
        return b"".join(b"\0\0\0\1" + unit for unit in units)
    return b"".join(with_length(unit, length_size) for unit in units)


def with_length(unit: bytes, size: int) -> bytes:
    """A NAL unit behind its length."""
    return len(unit).to_bytes(size, "big") + unit


def unescape(data: bytes) -> bytes:
    """Remove the bytes that keep start codes from appearing by chance."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def escape(data: bytes) -> bytes:
    """Insert the bytes that keep start codes from appearing by chance."""
    escaped = _WOULD_END.sub(b"\x00\x00\x03", data)
    return escaped + b"\x03" if escaped.endswith(b"\x00") else escaped


class Bits:
    """Reads bits from the beginning of some bytes.

    Args:
        data: The bytes, without those that `unescape` removes.

    Attributes:
        text: All bits, as "0" and "1".
        at: How many have been read.
    """

    def __init__(self, data: bytes) -> None:
        self.text = bin(int.from_bytes(b"\x01" + data, "big"))[3:]
        self.at = 0

    def u(self, count: int) -> int:
        """A number of so many bits."""
        if self.at + count > len(self.text):
            raise ValueError("the bits end within a number")
        self.at += count
        return int(self.text[self.at - count : self.at] or "0", 2)

    def flag(self) -> bool:
        """One bit."""
        return bool(self.u(1))

    def ue(self) -> int:
        """An Exp-Golomb number."""
        zeros = self.text.find("1", self.at) - self.at
        if zeros < 0:
            raise ValueError("the bits end within a number")
        self.at += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        """A signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def skip(self, kinds: str) -> None:
        """Read what is not needed.

        Args:
            kinds: "u" for a bit, "e" for an Exp-Golomb number, signed or not, for each.
        """
        for kind in kinds:
            read = self.flag if kind == "u" else self.ue
            read()


def ue_bits(number: int) -> str:
    """An Exp-Golomb number as bits."""
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


def to_bytes(bits: str) -> bytes:
    """Whole bytes from their bits."""
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def _annexb(data: bytes) -> Iterator[bytes]:
    begin = None
    for match in _START_CODE.finditer(data):
        if begin is not None:
            yield data[begin : match.start()].rstrip(b"\x00")
        begin = match.end()
    if begin is not None:
        yield data[begin:].rstrip(b"\x00")


def _lengths(data: bytes, length_size: int) -> Iterator[bytes]:
    at = 0
    while at + length_size <= len(data):
        length = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        yield data[at : at + length]
        at += length
