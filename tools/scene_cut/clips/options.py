"""How clips are cut: the options of `cut_clips` and of the command."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from tools.errors import UserError
from tools.media.reading.tracks import check_audio_track
from tools.media.writing.hdr import check_hdr
from tools.media.writing.settings import check_encoding, check_fps, check_seconds, check_side

MODES = {
    "exact": "encode every clip: any cut, any size, any codec",
    "copy": "copy the packets: no loss and no time, but clips begin at key frames",
    "smart": "copy what can be copied and encode only the ends of a clip",
}
"""The ways to cut."""
ENGINES = ("pyav", "ffmpeg")
"""Who encodes: libav in this process, or the ffmpeg program."""
VERSION = 4
"""Raised whenever the same options would give other clips."""


@dataclasses.dataclass(frozen=True)
class CutOptions:
    """How clips are cut.

    Attributes:
        mode: "exact", "copy" or "smart", see `MODES`.
        engine: "pyav", or "ffmpeg" for encoders that PyAV does not have.
        codec: h264, hevc, av1, vp9, or the name of an encoder (h264_nvenc).
        crf: Quality in the encoder's scale, lower is better; None for its default (h264: 18).
        preset: Speed in the encoder's words; None for its default (h264: veryfast).
        target_fps: Frames per second of the clips; None keeps every frame at its own time.
        shorter_size: Pixels of the shorter side; smaller sources stay as they are. None keeps all sizes.
        keep_audio: Keep the sound.
        audio_track: Which sound track: its number from 0 on, or its language (``eng``); None for the one
            marked default, see `tools.media.reading.tracks.choose_audio`.
        min_seconds: Leave out scenes that are shorter.
        max_seconds: Cut off what is longer.
        hdr: One of `tools.media.writing.hdr.HDR`; None is "tonemap", and "keep" in mode copy, which changes
            no picture.
        threads: Threads of the decoder and of each encoder.

    Raises:
        UserError: A value that cannot be used, or two that do not go together.
    """

    mode: str = "exact"
    engine: str = "pyav"
    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    target_fps: Fraction | None = None
    shorter_size: int | None = None
    keep_audio: bool = True
    audio_track: str | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    hdr: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "audio_track", check_audio_track(self.audio_track))
        if self.mode not in MODES:
            raise UserError(f"Invalid mode ({self.mode}). Supported values are {', '.join(MODES)}.")
        if self.engine not in ENGINES:
            raise UserError(f"Invalid engine ({self.engine}). Supported values are {', '.join(ENGINES)}.")
        check_seconds(self.min_seconds, self.max_seconds)
        check_fps(self.target_fps)
        check_side("shorter_size", self.shorter_size)
        check_encoding(self.codec, self.crf, self.preset)
        if self.mode == "copy" and (self.shorter_size or self.target_fps):
            raise UserError("mode copy encodes nothing: it cannot change the size or the frame rate")
        check_hdr(self.hdr, self.codec if self.mode != "copy" else None)
        if self.mode != "exact" and self.engine == "ffmpeg":
            raise UserError(f"mode {self.mode} has no engine ffmpeg; leave out --engine")

    @property
    def keeps_hdr(self) -> bool:
        """Whether HDR pictures stay HDR."""
        return self.hdr == "keep" or self.mode == "copy"

    def config(self) -> dict[str, object]:
        """Everything that changes the clips, as JSON."""
        values = dataclasses.asdict(self) | {"version": VERSION}
        del values["threads"]
        hdr = self.hdr or ("keep" if self.mode == "copy" else "tonemap")
        return values | {"target_fps": str(self.target_fps) if self.target_fps else None, "hdr": hdr}
