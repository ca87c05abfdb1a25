"""How encoded pictures are joined with copied ones in one stream: what H.264 and HEVC need for it.

Each part names its own parameter sets, under numbers that the source does not use, and the header of the file
has all of them. So the parts may be encoded in different ways, and decoders that read nothing but the header
know all sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from tools.media.reading.timeline.bitstream import nal_length_size
from tools.media.writing import h264, hevc
from tools.media.writing.copying import NotCopyable
from tools.media.writing.h264_groups import IDR, OpenedGroup, is_intra
from tools.media.writing.nal_units import joined, units_of

Key = tuple[int, int]
"""Type and number of a parameter set."""

DEPTHS = {"yuv420p": 8, "yuvj420p": 8, "yuv420p10le": 10}
"""Pixel formats that can be matched, with their bits."""


class Join(Protocol):
    """What a codec needs.

    Attributes:
        encoder: The encoder of what is not copied.
        checked: Whether pictures from the start of an open group on have to be compared with the source's.
    """

    encoder: str
    checked: bool

    def set_key(self, unit: bytes) -> Key | None:
        """Type and number of a parameter set; None for other NAL units."""
        ...

    def is_picture(self, unit: bytes) -> bool:
        """Whether a NAL unit is a part of a picture."""
        ...

    def header_sets(self) -> list[bytes]:
        """The parameter sets of the source's header."""
        ...

    def start(self, units: list[bytes], *, leading: bool) -> str:
        """Whether a copy can start with a picture: "closed" as it is, "open" if it has to change, "" if not.

        Args:
            units: The NAL units of its packet.
            leading: Whether pictures that are stored later are shown before it.
        """
        ...

    def choose_numbers(self, seen: dict[Key, bytes], bits: int) -> None:
        """Choose numbers of parameter sets for what is encoded.

        Args:
            seen: All parameter sets of the source.
            bits: Of its pictures.

        Raises:
            NotCopyable: All numbers are taken, or the profile cannot be matched.
        """
        ...

    def options(self, options: dict[str, str]) -> dict[str, str]:
        """The encoder's options, so that it matches the source."""
        ...

    def own(self, packet: bytes, header: bytes) -> tuple[bytes, list[bytes]]:
        """An encoded packet as it is stored, and the parameter sets of what is encoded.

        Args:
            packet: As the encoder gave it, with start codes.
            header: The encoder's header.
        """
        ...

    def header(self, sets: Sequence[bytes]) -> bytes:
        """The header of the source with more parameter sets."""
        ...

    def opened(self, packets: Iterable[bytes]) -> Iterator[bytes]:
        """The packets from an open group on, changed so that decoding can start there.

        Raises:
            ValueError: They cannot be changed.
        """
        ...

    def tag(self, *, complete: bool) -> str:
        """The tag in mp4, by whether the header has all parameter sets."""
        ...


def join_of(codec: str, extradata: bytes) -> Join:
    """How streams of a codec are joined.

    Raises:
        NotCopyable: They are not.
    """
    if codec == "h264":
        return _H264(extradata)
    if codec == "hevc":
        return _Hevc(extradata)
    raise NotCopyable(f"copying in part is for h264 and hevc, not for {codec}")


class _H264:
    encoder = "libx264"
    checked = True
    # By profile_idc and bits; pictures of 8 bits in the profile for 10 are no other than those of High.
    _profiles = {
        (66, 8): "baseline",
        (77, 8): "main",
        (100, 8): "high",
        (110, 8): "high",
        (110, 10): "high10",
    }

    def __init__(self, extradata: bytes) -> None:
        self._extradata, self._sets = extradata, h264.ParameterSets(extradata)
        self._length_size = nal_length_size("h264", extradata)
        self._seen: dict[Key, bytes] = {}

    def set_key(self, unit: bytes) -> Key | None:
        return h264.set_key(unit)

    def is_picture(self, unit: bytes) -> bool:
        return 1 <= h264.unit_type(unit) <= IDR

    def header_sets(self) -> list[bytes]:
        return self._sets.sps + self._sets.pps

    def start(self, units: list[bytes], *, leading: bool) -> str:
        if any(h264.unit_type(unit) == IDR for unit in units):
            return "" if leading else "closed"
        return "open" if is_intra(units) else ""

    def choose_numbers(self, seen: dict[Key, bytes], bits: int) -> None:
        self._seen = seen
        profiles = {unit[1] for (kind, _), unit in seen.items() if kind == h264.SPS}
        found = {self._profiles.get((profile, bits)) for profile in profiles}
        if len(found) != 1 or None in found:
            raise NotCopyable("its H.264 profile is not one that can be matched")
        self._profile = found.pop()
        self._number = h264.free_number(seen)
        if self._number is None:
            raise NotCopyable("it uses all numbers of parameter sets")

    def options(self, options: dict[str, str]) -> dict[str, str]:
        given = options.get("x264-params")
        numbers = ":".join(filter(None, [given, f"sps-id={self._number}"]))
        return options | {"profile": self._profile, "x264-params": numbers}

    def own(self, packet: bytes, header: bytes) -> tuple[bytes, list[bytes]]:
        sets = [unit for unit in units_of(header, None) if h264.set_key(unit)]
        units = [unit for unit in units_of(packet, None) if not h264.set_key(unit)]
        return joined(units, self._length_size), sets

    def header(self, sets: Sequence[bytes]) -> bytes:
        return self._sets.merged(h264.ParameterSets(joined(sets, None)))

    def opened(self, packets: Iterable[bytes]) -> Iterator[bytes]:
        forms = h264.slice_forms(list(self._seen.values()))
        return OpenedGroup(forms, self._length_size).packets(packets)

    def tag(self, *, complete: bool) -> str:
        return "avc1" if complete else "avc3"


class _Hevc:
    encoder = "libx265"
    checked = False  # the standard defines broken links for joining
    _profiles = {
        8: ("main", (1, 2)),
        10: ("main10", (2,)),
    }  # by bits: the name, and general_profile_idc of the source

    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata
        self._length_size = nal_length_size("hevc", extradata)

    def set_key(self, unit: bytes) -> Key | None:
        return hevc.set_key(unit)

    def is_picture(self, unit: bytes) -> bool:
        return hevc.unit_type(unit) < hevc.VPS

    def header_sets(self) -> list[bytes]:
        return hevc.parameter_sets(self._extradata)

    def start(self, units: list[bytes], *, leading: bool) -> str:
        kinds = {hevc.unit_type(unit) for unit in units if self.is_picture(unit)}
        if kinds == {hevc.CRA}:
            return "open"
        return "closed" if kinds and kinds <= {*hevc.BLA, *hevc.IDR} else ""

    def choose_numbers(self, seen: dict[Key, bytes], bits: int) -> None:
        self._profile, profiles = self._profiles[bits]
        found = {hevc.profile(unit) for (kind, _), unit in seen.items() if kind == hevc.SPS}
        if not found or not found <= set(profiles):
            raise NotCopyable("its HEVC profile is not one that can be matched")
        numbers = hevc.free_numbers(seen)
        if numbers is None:
            raise NotCopyable("it uses all numbers of parameter sets")
        self._numbers = numbers

    def options(self, options: dict[str, str]) -> dict[str, str]:
        # Where parts join, libav gives all pictures at once that it keeps for reordering, and decord fails if
        # that is more than one. So what is encoded needs no reordering.
        params = f"{options['x265-params']}:bframes=0"
        return options | {"profile": self._profile, "x265-params": params}

    def own(self, packet: bytes, header: bytes) -> tuple[bytes, list[bytes]]:
        sets = [hevc.renumbered(unit, self._numbers) for unit in units_of(header, None) if hevc.set_key(unit)]
        units = [
            hevc.renumbered(unit, self._numbers) for unit in units_of(packet, None) if not hevc.set_key(unit)
        ]
        return joined(units, self._length_size), sets

    def header(self, sets: Sequence[bytes]) -> bytes:
        return hevc.merged(self._extradata, sets)

    def opened(self, packets: Iterable[bytes]) -> Iterator[bytes]:
        for number, packet in enumerate(packets):
            yield packet if number else hevc.without_leading(packet, self._length_size)

    def tag(self, *, complete: bool) -> str:
        return "hvc1" if complete else "hev1"
