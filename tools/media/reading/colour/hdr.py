"""Colour metadata of a stream: HDR or not, peak luminance, and names of its properties."""

from __future__ import annotations

import dataclasses
import struct
from fractions import Fraction

import av

PQ, HLG = 16, 18  # libavutil/pixfmt.h: AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
BT709, BT2020 = 1, 9  # AVCOL_PRI_…, and the same numbers in AVCOL_SPC_…
UNSPECIFIED = 2
_ICTCP = 14  # AVCOL_SPC_ICTCP
DEFAULT_PEAK = 1000.0
"""Peak luminance in cd/m² of sources that state none, and that of HLG (BT.2100, note 5f)."""
REFERENCE_WHITE = 203.0
"""cd/m² of SDR white (BT.2408, table 1)."""
_MOST = 10_000.0  # cd/m², the most that PQ can encode
_DOLBY = "Dolby Vision profile 5 has no base layer that can be shown without Dolby's own processing"
_DOLBY_TAGS = ("dvh1", "dvhe", "dva1", "dvav", "dav1")

_RANGES = {1: "tv", 2: "pc"}
_MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    PQ: "smpte2084",
    17: "smpte428",
    HLG: "arib-std-b67",
}
_UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Hdr:
    """Colour metadata of HDR pictures.

    Attributes:
        transfer: libavutil's code of the transfer function: `PQ` or `HLG`.
        primaries: libavutil's code of the primaries.
        mastering: The display that it was graded on (SMPTE ST 2086): chromaticities x, y of red, green, blue
            and white, least and greatest luminance in cd/m²; None when the source does not say.
        light_level: MaxCLL and MaxFALL in cd/m² (CTA-861.3); None if not stated.
        unusable: Why the pictures cannot be converted; empty if they can.
    """

    transfer: int
    primaries: int = BT2020
    mastering: tuple[Fraction, ...] | None = None
    light_level: tuple[int, int] | None = None
    unusable: str = ""

    @property
    def kind(self) -> str:
        """pq, hlg, or dolby-vision if only Dolby's own processing yields the colours."""
        return "dolby-vision" if self.unusable == _DOLBY else "hlg" if self.transfer == HLG else "pq"

    @property
    def peak(self) -> float:
        """Peak luminance of the source in cd/m².

        For PQ this is MaxCLL, else the peak of the mastering display, else 1000, as always for HLG. Values up
        to SDR white are ignored: many files use them for "unknown".
        """
        if self.transfer == HLG:
            return DEFAULT_PEAK
        stated = [self.light_level[0] if self.light_level else 0, self.mastering[9] if self.mastering else 0]
        return float(min(next((peak for peak in stated if peak > REFERENCE_WHITE), DEFAULT_PEAK), _MOST))


def hdr_of(picture: av.VideoFrame, tag: str = "") -> Hdr | None:
    """Colour metadata of an HDR picture; None for SDR.

    Args:
        picture: The first picture of a stream.
        tag: The codec tag (FourCC) in the file.
    """
    transfer = int(picture.color_trc)
    if reason := _unusable(picture, tag):
        return Hdr(transfer, int(picture.color_primaries), unusable=reason)
    if transfer not in (PQ, HLG):
        return None
    return Hdr(transfer, int(picture.color_primaries), _mastering(picture), _light_level(picture))


def is_hdr(picture: av.VideoFrame) -> bool:
    """Whether a picture is PQ or HLG."""
    return int(picture.color_trc) in (PQ, HLG)


def matrix_of(picture: av.VideoFrame) -> int:
    """Libavutil's code of the matrix of an HDR picture; BT.2020 if unspecified."""
    matrix = int(picture.colorspace)
    return BT2020 if matrix == UNSPECIFIED else matrix


def colour_name(picture: av.VideoFrame) -> str:
    """Range, matrix, primaries and transfer with the names of ffprobe: ``tv/bt2020nc/bt2020/smpte2084``.

    Unspecified properties are ``unknown``; just ``unknown`` if all are.
    """
    full = picture.format.name.startswith("yuvj")
    names = (
        "pc" if full else _RANGES.get(int(picture.color_range), _UNKNOWN),
        _MATRICES.get(int(picture.colorspace), _UNKNOWN),
        _PRIMARIES.get(int(picture.color_primaries), _UNKNOWN),
        _TRANSFERS.get(int(picture.color_trc), _UNKNOWN),
    )
    return _UNKNOWN if set(names) == {_UNKNOWN} else "/".join(names)


def _mastering(picture: av.VideoFrame) -> tuple[Fraction, ...] | None:
    """libavutil/mastering_display_metadata.h: AVMasteringDisplayMetadata."""
    data = picture.side_data.get("MASTERING_DISPLAY_METADATA")
    if data is None:
        return None
    numbers = struct.unpack_from("=22i", bytes(data))
    if not (numbers[20] and numbers[21]) or not all(numbers[1:20:2]):
        return None
    return tuple(Fraction(a, b) for a, b in zip(numbers[0:20:2], numbers[1:20:2], strict=True))


def _light_level(picture: av.VideoFrame) -> tuple[int, int] | None:
    """libavutil/mastering_display_metadata.h: AVContentLightMetadata."""
    data = picture.side_data.get("CONTENT_LIGHT_LEVEL")
    if data is None:
        return None
    most, average = struct.unpack_from("=2I", bytes(data))
    return (most, average) if most or average else None


def _unusable(picture: av.VideoFrame, tag: str) -> str:
    if int(picture.colorspace) == _ICTCP:
        return "its colours are ICtCp, which are not supported"
    profile = _dolby_profile(picture)
    if profile is None and tag in _DOLBY_TAGS and not is_hdr(picture):
        profile = 5
    return _DOLBY if profile == 5 else ""


def _dolby_profile(picture: av.VideoFrame) -> int | None:
    """5 for a Dolby Vision picture without a usable base layer, 0 for another one, None for other pictures.

    By the header of the reference processing unit, as libavcodec/dovi_rpu.c guesses it: a prediction profile
    of 0 with a base layer in full range. libavutil/dovi_meta.h: AVDOVIMetadata, AVDOVIRpuDataHeader.
    """
    data = picture.side_data.get("DOVI_METADATA")
    if data is None:
        return None
    raw = bytes(data)
    (header,) = struct.unpack_from("@N", raw)
    _, _, profile, _, _, _, _, _, full_range = struct.unpack_from("@BHBBBBBBB", raw, header)
    return 5 if profile == 0 and full_range else 0
