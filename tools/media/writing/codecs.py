"""Encoders by name: how their quality and speed are set, and whether they work on this machine."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tools.base.cpu import cpu_flags
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.media.reading.colour.hdr import Hdr


class Setting(NamedTuple):
    """Quality and speed of an encoder.

    Attributes:
        crf: Quality.
        preset: Speed.
        params: Further parameters of x264.
    """

    crf: int
    preset: str
    params: str = ""


@dataclasses.dataclass(frozen=True)
class Codec:
    """An encoder and its default settings.

    Attributes:
        encoder: libav's name of the encoder.
        family: h264, hevc, av1, vp9, or the codec's name.
        crf: Default quality; lower is better.
        preset: Default speed.
        quality: Name of the option that sets the quality.
        speed: Name of the option that sets the speed; None when there is none.
        deep: Whether 10-bit sources stay 10-bit. H.264 with 10 bits plays in no hardware and no browser.
        fast: What `QUALITIES` "fast" means; None if it is unknown.
        best: The same of "best"; "balanced" are the defaults.
    """

    encoder: str
    family: str
    crf: int
    preset: str
    quality: str = "crf"
    speed: str | None = "preset"
    deep: bool = True
    fast: Setting | None = None
    best: Setting | None = None

    def setting(self, quality: str | None) -> Setting:
        """The setting for one of `QUALITIES`; the default for None.

        Raises:
            UserError: It is unknown.
        """
        if quality in (None, "balanced"):
            return Setting(self.crf, self.preset)
        found = self.fast if quality == "fast" else self.best
        if found is None:
            raise UserError(
                f"the encoder {self.encoder} has no quality {quality}; set --crf and --preset, or choose "
                f"--codec {', '.join(CODECS)}"
            )
        return found


QUALITIES = {
    "fast": "least time",
    "balanced": "the default settings",
    "best": "closest to the source",
}
"""Settings of quality and speed by name, see docs/cutting.md."""

CODECS: dict[str, Codec] = {
    # x264: closer to the source than crf 23 medium at less than half the CPU time, see docs/cutting.md. What
    # "fast" leaves out, to choose B pictures and weights, takes a third of the time and gains little.
    "h264": Codec(
        "libx264",
        "h264",
        18,
        "veryfast",
        deep=False,
        fast=Setting(17, "superfast", "b-adapt=0:weightp=0"),
        best=Setting(16, "fast"),
    ),
    "hevc": Codec("libx265", "hevc", 20, "fast", fast=Setting(20, "ultrafast"), best=Setting(16, "medium")),
    "av1": Codec("libsvtav1", "av1", 22, "8", fast=Setting(22, "10"), best=Setting(16, "6")),
    "vp9": Codec(
        "libvpx-vp9",
        "vp9",
        24,
        "4",
        speed="cpu-used",
        fast=Setting(24, "5"),
        best=Setting(18, "2"),
    ),
}
"""The codecs by their short names."""

_HARDWARE: dict[str, tuple[str, int, str | None, str]] = {
    # suffix of the encoder's name: option of the quality, default, option of the speed, default
    "_nvenc": ("cq", 19, "preset", "p4"),
    "_qsv": ("global_quality", 20, "preset", "medium"),
    "_amf": ("qp_i", 20, "quality", "balanced"),
    "_videotoolbox": ("q:v", 65, None, ""),
}


def find_codec(name: str) -> Codec:
    """Find an encoder by a short name (h264, hevc, av1, vp9) or by libav's name (h264_nvenc, mpeg4, …)."""
    if name in CODECS:
        return CODECS[name]
    for codec in CODECS.values():
        if codec.encoder == name:
            return codec
    for suffix, (quality, crf, speed, preset) in _HARDWARE.items():
        if name.endswith(suffix):
            family = name.removesuffix(suffix)
            return Codec(name, family, crf, preset, quality, speed, deep=family != "h264")
    return Codec(name, name, 3, "", "global_quality", None, deep=False)


def encoder_options(
    codec: Codec,
    *,
    crf: float | None = None,
    preset: str | None = None,
    threads: int = 1,
    hdr: Hdr | None = None,
    quality: str | None = None,
) -> dict[str, str]:
    """The options of an encoder, as libav and the ffmpeg program take them.

    Args:
        codec: The encoder.
        crf: Quality in the encoder's own scale; None for its default.
        preset: Speed in the encoder's own words; None for its default.
        threads: Threads it may use.
        hdr: Of pictures that stay HDR: what the display that they were graded on can show, and how light they
            are, go into the stream where the encoder can (libx265, libsvtav1).
        quality: One of `QUALITIES`, instead of `crf` and `preset`.
    """
    setting = codec.setting(quality)
    number = setting.crf if crf is None else crf
    options = {codec.quality: f"{number:g}"}
    if codec.quality == "global_quality" and not codec.speed:
        # libav's scale for encoders with a quantiser and no scale of their own: FF_QP2LAMBDA a step
        options = {"flags": "+qscale", "global_quality": str(round(number * 118))}
    if codec.speed:
        options[codec.speed] = preset or setting.preset
    if codec.encoder.startswith("libx264") and "avx512f" in cpu_flags():  # also libx264rgb
        # With AVX-512, x264's macroblock tree reads memory that nobody wrote (core 165; what it gives changes
        # with MALLOC_PERTURB_), and clips differ from run to run. AVX2 takes as long, and gives the pictures
        # of CPUs without AVX-512.
        options["x264-params"] = ":".join(filter(None, ["asm=avx2", setting.params]))
    elif setting.params:
        options["x264-params"] = setting.params
    elif codec.encoder == "libx265":
        # Without frame threads x265 is slower by itself, but loses nothing to waiting among many workers.
        frames = ":frame-threads=1" if threads == 1 else ""
        options["x265-params"] = f"log-level=error:pools={threads}{frames}{_x265_hdr(hdr)}"
    elif codec.encoder == "libsvtav1":
        options["svtav1-params"] = f"lp={threads}{_svtav1_hdr(hdr)}"
    elif codec.encoder == "libvpx-vp9":
        options |= {"b": "0", "deadline": "good", "row-mt": "1"}
    elif codec.encoder.endswith("_nvenc"):
        options |= {"rc": "vbr", "b": "0"}
    elif codec.encoder.endswith("_amf"):
        options |= {"rc": "cqp", "qp_p": options["qp_i"]}
    return options


def _x265_hdr(hdr: Hdr | None) -> str:
    """SMPTE ST 2086 as x265's --master-display has it: in 1/50000, and in 1/10000 cd/m²."""
    text = ""
    if hdr and hdr.mastering:
        points = [round(value * 50_000) for value in hdr.mastering[:8]]
        least, most = (round(value * 10_000) for value in hdr.mastering[8:])
        text += f":master-display={_display(points)}L({most},{least})"
    if hdr and hdr.light_level:
        text += ":max-cll={},{}".format(*hdr.light_level)
    return text


def _svtav1_hdr(hdr: Hdr | None) -> str:
    """The same in plain numbers, as SVT-AV1's --mastering-display has it."""
    text = ""
    if hdr and hdr.mastering:
        values = [f"{float(value):.6g}" for value in hdr.mastering]
        text += f":mastering-display={_display(values[:8])}L({values[9]},{values[8]})"
    if hdr and hdr.light_level:
        text += ":content-light={},{}".format(*hdr.light_level)
    return text


def _display(points: Sequence[object]) -> str:
    red, green, blue, white = (f"({x},{y})" for x, y in zip(points[::2], points[1::2], strict=True))
    return f"G{green}B{blue}R{red}WP{white}"


def quiet_encoders() -> None:
    """Keep SVT-AV1, which writes to stderr past libav, to its errors."""
    os.environ.setdefault("SVT_LOG", "1")


def offered_formats(encoder: str) -> list[str]:
    """The pixel formats an encoder takes.

    Raises:
        UserError: There is no encoder of this name.
    """
    import av
    from av.error import FFmpegError

    try:
        codec = av.Codec(encoder, "w")
    except (FFmpegError, ValueError):
        raise UserError(
            f"there is no encoder '{encoder}'; use {', '.join(CODECS)}, the name of an encoder of libav, or "
            "--engine ffmpeg for one of the ffmpeg program"
        ) from None
    if codec.type != "video":
        raise UserError(f"'{encoder}' is no video encoder; use {', '.join(CODECS)}")
    return [f.name for f in codec.video_formats or []]


def keeps_ten_bits(codec: Codec) -> bool:
    """Whether clips of a source with 10 bits have 10, which encoders that PyAV lacks are assumed to do."""
    try:
        offered = offered_formats(codec.encoder)
    except UserError:
        return codec.deep
    return codec.deep and not {"yuv420p10le", "p010le"}.isdisjoint(offered)


def check_encoder(codec: Codec, *, crf: float | None, preset: str | None) -> None:
    """Encode one small picture, so that an encoder that cannot work is reported before any file is read.

    Raises:
        UserError: The encoder does not exist, lacks its hardware, or refuses a setting.
    """
    import io

    import av
    from av.error import FFmpegError

    from tools.media.writing.picture import choose_pix_fmt

    offered = offered_formats(codec.encoder)
    quiet_encoders()
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as out:
            stream = out.add_stream(codec.encoder, rate=25)
            stream.width, stream.height = 256, 256
            stream.pix_fmt = choose_pix_fmt("yuv420p", offered, deep=False)
            stream.options = encoder_options(codec, crf=crf, preset=preset)
            stream.thread_count = 1
            picture = av.VideoFrame(256, 256, stream.pix_fmt)
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            picture.pts = 0
            for packet in [*stream.encode(picture), *stream.encode(None)]:
                # libx265 leaves the decoding times of less than three pictures as the memory was.
                packet.dts = packet.pts
                out.mux(packet)
    except (FFmpegError, ValueError, OverflowError) as error:
        settings = f"crf {crf if crf is not None else codec.crf}, preset {preset or codec.preset or 'none'}"
        raise UserError(f"the encoder {codec.encoder} does not work here ({settings}): {error}") from None
