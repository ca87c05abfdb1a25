"""Open groups of pictures in H.264: their first picture becomes one before which decoders forget everything.

Pictures shown after a recovery point do not need those stored before it, but only an IDR picture may begin a
stream, or follow pictures with other parameter sets. So the slices of the recovery point become those of an
IDR picture (ITU-T H.264, 7.3.3), and the pictures up to the next one are numbered from it on. Only headers of
slices change: what follows them is the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tools.media.writing.h264 import SliceForm, unit_type
from tools.media.writing.nal_units import Bits, escape, joined, to_bytes, ue_bits, unescape, units_of

IDR, SLICE = 5, 1
"""NAL unit types: a slice of an IDR picture, and of another one."""
_PARTITIONS = (2, 3, 4)
_P, _B, _I = 0, 1, 2  # slice_type modulo 5
_HEADER = 256  # bytes in which a slice header surely ends
_IDR_NUMBER = 7  # idr_pic_id; x264 and others give small ones, and neighbours must differ
_MARKED = {
    1: 1,
    2: 1,
    3: 2,
    4: 1,
    6: 1,
}  # numbers behind each memory_management_control_operation; 5 is refused


def is_intra(units: Iterable[bytes]) -> bool:
    """Whether all slices of a picture are coded without references, and others may refer to it."""
    slices = [unit for unit in units if unit_type(unit) in (SLICE, *_PARTITIONS)]
    return bool(slices) and all(
        unit_type(unit) == SLICE and unit[0] & 0x60 and _slice_type(unit) == _I for unit in slices
    )


def _slice_type(unit: bytes) -> int:
    bits = Bits(unescape(unit[1:16]))
    bits.ue()
    return bits.ue() % 5


class OpenedGroup:
    """Turns the packets of a stream, from a recovery point on, into ones that can be decoded alone.

    Args:
        forms: The forms of slice headers, see `tools.media.writing.h264.slice_forms`.
        length_size: Bytes of the lengths in packets; None for start codes.
    """

    def __init__(self, forms: dict[int, SliceForm], length_size: int | None) -> None:
        self._forms, self._length_size = forms, length_size
        self._form: SliceForm | None = None
        self._order = 0  # pic_order_cnt_lsb of the recovery point
        self._last = 0  # frame_num of the picture before
        self._count = 0  # the same, from the recovery point on

    def packets(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the packets, in stored order, changed up to the next IDR picture.

        Raises:
            ValueError: They cannot be changed.
        """
        first, done = True, False
        for packet in stored:
            units = [] if done else list(units_of(packet, self._length_size))
            done = done or any(unit_type(unit) == IDR for unit in units)
            if done:
                yield packet
                continue
            if any(unit_type(unit) in _PARTITIONS for unit in units):
                raise ValueError("data partitions")
            changed = [self._slice(u, first) if unit_type(u) == SLICE else u for u in units]
            yield joined(changed, self._length_size)
            first = False

    def _slice(self, unit: bytes, first: bool) -> bytes:
        """One slice with numbers from the recovery point on; as one of an IDR picture if it is the first."""
        plain = unescape(unit[1:])
        bits = Bits(plain[:_HEADER])
        bits.ue()
        kind = bits.ue() % 5
        form = self._forms.get(bits.ue())
        if form is None or self._form not in (None, form):
            raise ValueError("pictures with other parameter sets")
        begin = bits.text[: bits.at]
        number, order = bits.u(form.number_bits), bits.u(form.order_bits)
        at = bits.at
        second = bits.se() if form.second_order else 0
        if self._form is None:
            self._form, self._order, self._last = form, order + min(0, second), number
        many = 1 << form.number_bits
        step = (number - self._last) % many
        if step > many // 2 or (first and step):
            raise ValueError("numbers of pictures that begin anew")
        self._count, self._last = self._count + step, number
        begin += f"{self._count % many:0{form.number_bits}b}"
        begin += ue_bits(_IDR_NUMBER) if first else ""
        if form.order_bits:
            begin += f"{(order - self._order) % (1 << form.order_bits):0{form.order_bits}b}"
        _skip_to_marking(bits, form, kind)
        begin += bits.text[at : bits.at]
        if unit[0] & 0x60:
            begin += self._marking(bits, first)
        head = bytes([unit[0] & 0xE0 | IDR]) if first else unit[:1]
        return head + escape(_with_header(begin, bits, plain, form, kind))

    def _marking(self, bits: Bits, first: bool) -> str:
        """How references are marked, without marks of pictures that are not there any more (7.3.3.3)."""
        if first:
            self._operations(bits)
            return "00"  # pictures before are shown, and this one is not kept for long
        operations = self._operations(bits)
        if operations is None:
            return "0"
        kept = [text for which, back, text in operations if which not in (1, 3) or back <= self._count]
        return "1" + "".join(kept) + ue_bits(0)

    @staticmethod
    def _operations(bits: Bits) -> list[tuple[int, int, str]] | None:
        """The memory management operations: which, how many pictures back, its bits; None without any."""
        if not bits.flag():
            return None
        found = []
        at = bits.at
        while operation := bits.ue():
            if operation not in _MARKED:  # 5: everything is forgotten
                raise ValueError("numbers of pictures that begin anew")
            numbers = [bits.ue() for _ in range(_MARKED[operation])]
            found.append((operation, numbers[0] + 1, bits.text[at : bits.at]))
            at = bits.at
        return found


def _skip_to_marking(bits: Bits, form: SliceForm, kind: int) -> None:
    """Read a slice header from behind the order of its picture up to the marking of references."""
    if form.redundant:
        bits.ue()
    if kind not in (_P, _B, _I):
        raise ValueError("slices for switching")
    lists = 0 if kind == _I else 1 + (kind == _B)
    counts = list(form.references[:lists])
    if kind == _B:
        bits.flag()
    if lists and bits.flag():
        counts = [bits.ue() + 1 for _ in range(lists)]
    for _ in range(lists):  # ref_pic_list_modification
        while_given = bits.flag()
        while while_given and bits.ue() != 3:
            bits.ue()
    if lists and form.weights[kind]:
        bits.skip("ee")
        for _ in range(sum(counts)):
            for values in (2, 4):  # luma, chroma
                if bits.flag():
                    bits.skip("e" * values)


def _with_header(begin: str, bits: Bits, plain: bytes, form: SliceForm, kind: int) -> bytes:
    """A slice with another beginning of its header; `bits` has been read up to what stays."""
    if not form.cabac:  # the coded picture follows at once
        text = (begin + Bits(plain).text[bits.at :]).rstrip("0")  # a one ends it, then zeros fill the byte
        return to_bytes(text + "0" * (-len(text) % 8))
    at = bits.at
    if kind != _I:
        bits.ue()
    bits.se()
    if form.deblocking and bits.ue() != 1:
        bits.skip("ee")
    header = begin + bits.text[at : bits.at]
    data = plain[-(-bits.at // 8) :]
    return to_bytes(header + "1" * (-len(header) % 8)) + data
