"""H.264 parameter sets, and the avcC record in which files store them (ISO/IEC 14496-15, 5.3.3.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from tools.media.writing.nal_units import Bits, split_annexb, unescape, with_length

SPS, PPS = 7, 8
"""NAL unit types (ITU-T H.264, table 7-1): sequence and picture parameter set."""
_MAX_SETS = 31  # sequence parameter sets are numbered 0 to 31
_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)  # profile_idc, 7.3.2.1.1


def unit_type(unit: bytes) -> int:
    """nal_unit_type."""
    return unit[0] & 0x1F


def set_key(unit: bytes) -> tuple[int, int] | None:
    """Type and number of a parameter set; None for other NAL units."""
    kind = unit_type(unit)
    if kind not in (SPS, PPS):
        return None
    return kind, Bits(unescape(unit[4 if kind == SPS else 1 :])[:8]).ue()


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
            units = [unit for unit in split_annexb(extradata) if unit]
            self.sps = [unit for unit in units if unit_type(unit) == SPS]
            self.pps = [unit for unit in units if unit_type(unit) == PPS]

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
            + b"".join(with_length(unit, 2) for unit in sps)
            + bytes([len(pps)])
            + b"".join(with_length(unit, 2) for unit in pps)
            + self._extradata[self._rest :]
        )


def free_number(taken: Iterable[tuple[int, int]]) -> int | None:
    """A number that no parameter set has; None when all are taken."""
    numbers = {number for _, number in taken}
    return next((n for n in range(1, _MAX_SETS + 1) if n not in numbers), None)


@dataclasses.dataclass(frozen=True)
class SliceForm:
    """What the parameter sets say about slice headers (7.3.3).

    Attributes:
        number_bits: Bits of frame_num.
        order_bits: Bits of pic_order_cnt_lsb; 0 where the order of pictures is that of decoding.
        second_order: Whether delta_pic_order_cnt_bottom follows it.
        cabac: Whether slices are coded arithmetically, from a whole byte on.
        references: How many references slices have in each list where they do not say it.
        weights: Whether P and B slices have weights.
        deblocking: Whether slices say how they are filtered.
        redundant: Whether they have redundant_pic_cnt.
    """

    number_bits: int
    order_bits: int
    second_order: bool
    cabac: bool
    references: tuple[int, int]
    weights: tuple[bool, bool]
    deblocking: bool
    redundant: bool


def slice_forms(sets: Sequence[bytes]) -> dict[int, SliceForm]:
    """The forms of slice headers by the number of their picture parameter set.

    Raises:
        ValueError: Some set is incomplete, or of a kind that is not supported: fields, slice groups, colours
            that are coded separately, orders of pictures that depend on a cycle.
    """
    orders = {set_key(unit): _read_sps(unit) for unit in sets if unit_type(unit) == SPS}
    forms = {}
    for unit in sets:
        if unit_type(unit) != PPS:
            continue
        bits = Bits(unescape(unit[1:]))
        own, sps = bits.ue(), bits.ue()
        if (SPS, sps) not in orders:
            raise ValueError("no sequence parameter set")
        number_bits, order_bits = orders[SPS, sps]
        cabac, second_order = bits.flag(), bits.flag()
        if bits.ue():
            raise ValueError("slice groups")
        references = bits.ue() + 1, bits.ue() + 1
        weights = bits.flag(), bits.u(2) == 1
        bits.skip("eee")  # quantisers
        deblocking, _, redundant = bits.flag(), bits.flag(), bits.flag()
        second_order = second_order and bool(order_bits)
        forms[own] = SliceForm(
            number_bits, order_bits, second_order, cabac, references, weights, deblocking, redundant
        )
    return forms


def _read_sps(unit: bytes) -> tuple[int, int]:
    """Bits of frame_num and of pic_order_cnt_lsb (7.3.2.1.1)."""
    bits = Bits(unescape(unit[4:]))
    bits.ue()
    if unit[1] in _WITH_CHROMA:
        chroma = bits.ue()
        if chroma == 3 and bits.flag():
            raise ValueError("colours that are coded separately")
        bits.skip("eeu")  # bit depths, lossless
        if bits.flag():
            for number in range(8 if chroma != 3 else 12):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    number_bits = bits.ue() + 4
    kind = bits.ue()
    if kind == 1:
        raise ValueError("an order in cycles")
    order_bits = bits.ue() + 4 if kind == 0 else 0
    bits.skip("euee")  # references, gaps, width, height
    if not bits.flag():
        raise ValueError("fields")
    return number_bits, order_bits


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _read_sets(record: bytes, at: int, mask: int) -> tuple[list[bytes], int]:
    count = record[at] & mask
    at += 1
    sets = []
    for _ in range(count):
        length = int.from_bytes(record[at : at + 2], "big")
        sets.append(record[at + 2 : at + 2 + length])
        at += 2 + length
    return [unit for unit in sets if unit], at
