"""How clips are cut: the options of `cut_clips` and of the command."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

from tools import cli
from tools.errors import UserError
from tools.media.writing.codecs import QUALITIES, find_codec
from tools.media.writing.hdr import HDR_OPTION, check_hdr
from tools.media.writing.settings import check_encoding
from tools.options import Option, check_options, option, option_field
from tools.options.values import Choice, Number, Parsed, Text, Whole
from tools.stage.common_options import audio_track_option

MODES = {
    "exact": "encode every clip",
    "copy": "encode nothing, begin at key frames",
    "smart": "encode only the ends, copy the rest",
}
"""The ways to cut."""
ENGINES = ("pyav", "ffmpeg")
"""What encodes: libav in this process, or the ffmpeg program."""
VERSION = 4
"""Raised whenever the same options would give other clips."""
_SMART_VERSION = 5  # the same, of mode smart
DEFAULT_CODEC = "h264"
SMART_CODECS = ("h264", "hevc")
"""Codecs of which clips can be copied in part."""

_MAX_FPS = 1000


class _Quality(Number):
    """A number that Python code gives as it is: fingerprints of clips differ for 20 and 20.0."""

    def convert(self, value: Any) -> Any:
        number = super().convert(value)
        return number if isinstance(value, str) else value


class _KeepAudioOption(Option):
    """``--drop-audio``, and ``--keep-audio``, which is the default."""

    def add(self, group: Any, name: str, default: Any) -> None:
        flags = group.add_mutually_exclusive_group()
        super().add(flags, name, default)
        keep = flags.add_argument(
            "--keep-audio", dest=name, action="store_true", default=default, help="(default)"
        )
        cli.advanced(keep)


def _frame_rate(value: str | float | Fraction) -> float | Fraction:
    """A frame rate; the texts 23.976, 29.97 and 59.94 mean the rates with 1001 as denominator."""
    if not isinstance(value, str):
        Number(0, _MAX_FPS, above=True).convert(value)
        return value
    try:
        rate = Fraction(value)
    except ZeroDivisionError:
        raise ValueError(value) from None
    if not 0 < rate <= _MAX_FPS:
        raise ValueError(value)
    exact = Fraction(round(rate) * 1000, 1001)
    return exact if rate.denominator != 1 and abs(rate - exact) < Fraction(1, 1000) else rate


@dataclasses.dataclass(frozen=True)
class CutOptions:
    """How clips are cut.

    Attributes:
        threads: Threads of the decoder and of each encoder.

    Raises:
        UserError: A value that is not supported, or two that do not go together.
    """

    mode: str = option("exact", "how clips are cut", Choice(MODES))
    engine: str = option(
        "pyav",
        "ffmpeg: encode with the ffmpeg program, for encoders that PyAV lacks",
        Choice(ENGINES),
        everyday=False,
    )
    codec: str | None = option(
        None,
        "h264, hevc, av1, vp9, or an encoder such as h264_nvenc",
        Text("NAME"),
        shown="h264; in mode smart, that of the source if it is h264 or hevc",
    )
    quality: str | None = option(
        None, "quality and speed by name, instead of --crf and --preset", Choice(QUALITIES), shown="balanced"
    )
    crf: float | None = option(
        None, "quality in the encoder's scale, lower is better", _Quality(metavar="Q"), shown="18 for h264"
    )
    preset: str | None = option(
        None, "speed in the encoder's words", Text("NAME"), shown="veryfast for h264", everyday=False
    )
    target_fps: float | Fraction | None = option(
        None,
        "frame rate of the clips: 24, 29.97, 30000/1001",
        Parsed(_frame_rate, "FPS", f"numbers above 0, up to {_MAX_FPS}"),
        shown="that of the source",
    )
    shorter_size: int | None = option(
        None,
        "scale down to this shorter side, never up; 0: keep sizes",
        Whole(0, even=True, metavar="PX"),
        shown="1080 in mode exact of the command, else 0",
    )
    keep_audio: bool = option_field(
        True, _KeepAudioOption("keep the sound", flag="drop-audio", off="silent clips")
    )
    audio_track: str | None = audio_track_option("sound track", "that marked default", everyday=False)
    min_seconds: float | None = option(None, "leave out shorter scenes", Number(0, above=True, metavar="S"))
    max_seconds: float | None = option(None, "cut off what is longer", Number(0, above=True, metavar="S"))
    hdr: str | None = option_field(None, HDR_OPTION)
    threads: int = 1

    def __post_init__(self) -> None:
        check_options(self)
        if self.shorter_size == 0:
            object.__setattr__(self, "shorter_size", None)
        if self.min_seconds and self.max_seconds and self.min_seconds > self.max_seconds:
            raise UserError(
                f"Invalid max_seconds ({self.max_seconds:g}). Supported values are numbers from min_seconds "
                f"({self.min_seconds:g}) on."
            )
        if self.quality and (self.crf is not None or self.preset):
            given = "crf" if self.crf is not None else "preset"
            raise UserError(f"quality {self.quality} sets crf and preset: leave out --quality or --{given}")
        if self.quality and self.mode == "copy":
            raise UserError("mode copy encodes nothing: it has no quality; leave out --quality")
        check_encoding(self.codec_for(), self.crf, self.preset)
        find_codec(self.codec_for()).setting(self.quality)
        if self.mode == "copy" and (self.shorter_size or self.target_fps):
            raise UserError("mode copy encodes nothing: it cannot change the size or the frame rate")
        check_hdr(self.hdr, self.codec_for() if self.mode != "copy" else None)
        if self.mode != "exact" and self.engine == "ffmpeg":
            raise UserError(f"mode {self.mode} has no engine ffmpeg; leave out --engine")

    @property
    def keeps_hdr(self) -> bool:
        """Whether HDR pictures stay HDR."""
        return self.hdr == "keep" or self.mode == "copy"

    def codec_for(self, source: str = "") -> str:
        """What encodes.

        Args:
            source: Codec of the source; without it, what encodes if the source does not matter.
        """
        default = source if self.mode == "smart" and source in SMART_CODECS else DEFAULT_CODEC
        return self.codec or default

    def config(self) -> dict[str, object]:
        """Everything that changes the clips, as JSON."""
        values = dataclasses.asdict(self) | {"version": VERSION, "codec": self.codec_for()}
        if self.mode == "smart":
            values |= {"codec": self.codec, "version": _SMART_VERSION}
        del values["threads"], values["quality"]
        if self.quality not in (None, "balanced"):
            codecs = SMART_CODECS if self.mode == "smart" and not self.codec else (self.codec_for(),)
            values["quality"] = [find_codec(codec).setting(self.quality) for codec in codecs]
        hdr = self.hdr or ("keep" if self.mode == "copy" else "tonemap")
        return values | {"target_fps": str(self.target_fps) if self.target_fps else None, "hdr": hdr}
