"""Which values the settings of encoders and clips may have; others are refused before any work is done."""

from __future__ import annotations

import dataclasses
import math
import re
from numbers import Real

from tools.errors import UserError
from tools.media.writing.codecs import find_codec

_X264 = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_NVENC = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "default", "slow", "medium", "fast")
_NVENC_OLD = ("hp", "hq", "bd", "ll", "llhq", "llhp", "lossless", "losslesshp")


@dataclasses.dataclass(frozen=True)
class _Range:
    """The settings that an encoder takes.

    Attributes:
        least: Smallest quality number.
        most: Largest one.
        whole: Whether it is a whole number.
        presets: Words for the speed, or the smallest and the largest number; None where there is no speed.
    """

    least: int
    most: int
    whole: bool = False
    presets: tuple[str, ...] | tuple[int, int] | None = None


# By the end of the encoder's name; from `ffmpeg -h encoder=NAME` and the encoders' own documents.
_RANGES = {
    "libx264": _Range(0, 51, presets=(*_X264, "placebo")),
    "libx265": _Range(0, 51, presets=(*_X264, "placebo")),
    "libsvtav1": _Range(0, 63, whole=True, presets=(0, 13)),
    "libvpx-vp9": _Range(0, 63, whole=True, presets=(-8, 8)),
    "_nvenc": _Range(0, 51, presets=(*_NVENC, *_NVENC_OLD)),
    "_qsv": _Range(1, 51, whole=True, presets=_X264[2:]),
    "_amf": _Range(0, 51, whole=True, presets=("speed", "balanced", "quality", "high_quality")),
    "_videotoolbox": _Range(1, 100),
}
_QUANTISER = _Range(1, 31)  # MPEG-4, MJPEG and others whose quality is the quantiser


def check_encoding(codec: str, crf: float | None, preset: str | None) -> None:
    """Make sure that quality and speed are ones that the encoder has.

    Args:
        codec: A name that `tools.media.writing.codecs.find_codec` knows.
        crf: Quality; None for the default.
        preset: Speed; None for the default.

    Raises:
        UserError: They are not.
    """
    encoder = find_codec(codec).encoder
    known = next((r for name, r in _RANGES.items() if encoder.endswith(name)), _QUANTISER)
    if crf is not None and not _lies_in(crf, known):
        kind = "whole numbers" if known.whole else "numbers"
        raise _invalid("crf", crf, f"{kind} from {known.least} to {known.most}", encoder)
    if preset is None:
        return
    if known.presets is None:
        raise UserError(f"Invalid preset ({preset}). The encoder {encoder} has none; leave out --preset.")
    if bounds := [preset for preset in known.presets if isinstance(preset, int)]:
        least, most = bounds
        if not (re.fullmatch(r"-?\d+", str(preset), re.ASCII) and least <= int(preset) <= most):
            raise _invalid("preset", preset, f"whole numbers from {least} to {most}", encoder)
    elif preset not in known.presets:
        raise _invalid("preset", preset, ", ".join(map(str, known.presets)), encoder)


def check_side(name: str, pixels: int | None) -> None:
    """Make sure that the side of a picture can be that of a 4:2:0 video.

    Raises:
        UserError: It cannot.
    """
    if pixels is not None and not (_is_number(pixels) and pixels >= 2 and pixels % 2 == 0):
        raise _invalid(name, pixels, "even numbers from 2 on (4:2:0 video has even sides)")


def _lies_in(value: float, known: _Range) -> bool:
    if not _is_number(value) or (known.whole and value != int(value)):
        return False
    return known.least <= value <= known.most


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _invalid(name: str, value: object, supported: str, encoder: str | None = None) -> UserError:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    whose = f" of {encoder}" if encoder else ""
    return UserError(f"Invalid {name} ({shown}). Supported values{whose} are {supported}.")
