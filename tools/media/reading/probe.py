"""Properties of an image or video: exact frame count, displayed size, rate, duration, codec."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tools.base.addresses import local_path
from tools.media.reading.extensions import is_image
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets

__all__ = ["MediaInfo", "PacketIndex", "index_packets", "probe"]

VFR_TOLERANCE = 0.002
"""Seconds by which frame intervals may differ in a constant rate: twice the rounding of millisecond files."""


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """The properties that `probe` finds.

    Attributes:
        num_frames: Frames that a full decode shows, up to the first damaged packet; 1 for an image.
        height: Displayed height in pixels: upright, with square pixels.
        width: Displayed width in pixels.
        fps: Frames per second on average; None for an image and for a single frame without a rate.
        duration: Seconds from the start of the first frame to the end of the last; 0.0 for an image.
        codec: Name of the codec (h264, hevc, av1, …) or of the image format (jpeg, png, …).
        pix_fmt: libav's name of the pixel format; None for an image.
        rotation: Degrees clockwise by which the stored picture is rotated, after mirroring if it is mirrored.
        sample_aspect_ratio: Width of a stored pixel by its height.
        has_audio: Whether the file has an audio stream.
        vfr: Whether the intervals between frames differ.
        coded_width: Width as stored.
        coded_height: Height as stored.
        damaged: Number of incomplete packets.
        timing: "ok" if all times are those of the file, "repaired" if damaged ones were interpolated,
            "restarted" if the file's clock restarts and its parts were joined; None for an image.
        bit_depth: Bits of a component of a pixel; None if the format does not say.
        color: Range, matrix, primaries and transfer as ffprobe names them (``tv/bt2020nc/bt2020/smpte2084``),
            ``unknown`` where the file does not say; None for an image.
        hdr: sdr, pq, hlg, or dolby-vision if only Dolby's own processing yields the colours.
        bitrate: Bits per second of the pictures; None for an image.
        bpp: Bits per stored pixel of the pictures; None for an image.
        gop: Largest distance between key frames, in frames; None for an image.
        size_changes: How often size or orientation of the pictures change.
        audio_codec: Codec of the audio track that is used; None if there is none.
        audio_tracks: Number of audio tracks.
    """

    num_frames: int
    height: int
    width: int
    fps: float | None
    duration: float
    codec: str
    pix_fmt: str | None
    rotation: int
    sample_aspect_ratio: Fraction
    has_audio: bool
    vfr: bool
    coded_width: int
    coded_height: int
    damaged: int = 0
    timing: str | None = None
    bit_depth: int | None = None
    color: str | None = None
    hdr: str = "sdr"
    bitrate: float | None = None
    bpp: float | None = None
    gop: int | None = None
    size_changes: int = 0
    audio_codec: str | None = None
    audio_tracks: int = 0

    @property
    def aspect_ratio(self) -> float:
        """Displayed height divided by displayed width."""
        return self.height / self.width

    @property
    def resolution(self) -> int:
        """Number of displayed pixels."""
        return self.height * self.width


def probe(path: str | Path) -> MediaInfo:
    """Read the properties of an image or a video, which the file extension distinguishes.

    All packets of a video are read; only its first picture is decoded.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, decode.
    """
    path = local_path(os.fspath(path))
    if is_image(path):
        from tools.media.reading.images import image_info

        size, codec, rotation = image_info(path)
        width, height = size
        coded = (height, width) if rotation % 180 else (width, height)
        return MediaInfo(
            1, height, width, None, 0.0, codec, None, rotation, Fraction(1), False, False, *coded
        )
    return media_info(index_packets(path))


def media_info(index: PacketIndex) -> MediaInfo:
    """The properties of a video whose packets have been read."""
    width, height = index.displayed_size
    bits = 8 * index.stored_bytes
    pixels = index.coded_width * index.coded_height * len(index.pts)
    length = float((index.end_pts - int(index.pts[0])) * index.time_base)
    return MediaInfo(
        num_frames=index.num_frames,
        height=height,
        width=width,
        fps=_rate(index),
        duration=index.duration,
        codec=index.codec,
        pix_fmt=index.pix_fmt,
        rotation=index.rotation,
        sample_aspect_ratio=index.sample_aspect_ratio,
        has_audio=index.has_audio,
        vfr=_is_variable(index),
        coded_width=index.coded_width,
        coded_height=index.coded_height,
        damaged=len(index.damaged),
        timing=index.timing,
        bit_depth=_bit_depth(index.pix_fmt),
        color=index.colour,
        hdr=index.hdr.kind if index.hdr else "sdr",
        bitrate=bits / length if length > 0 else None,
        bpp=bits / pixels,
        gop=index.longest_group,
        size_changes=len(index.size_changes),
        audio_codec=index.audio_codec,
        audio_tracks=index.audio_tracks,
    )


def _bit_depth(pix_fmt: str | None) -> int | None:
    if not pix_fmt:
        return None
    return max((component.bits for component in av.VideoFormat(pix_fmt).components), default=None)


def _rate(index: PacketIndex) -> float | None:
    """Frames divided by duration; the stated rate if the difference is explained by rounding of times."""
    stated = float(index.average_rate) if index.average_rate else None
    if index.num_frames < 2 or index.duration <= 0:
        return stated
    measured = index.num_frames / index.duration
    # Times may be off by a tick at either end, and the duration of the last frame is often a guess.
    slack = max(0.002, 1.0 / index.num_frames)
    return stated if stated and abs(measured / stated - 1) <= slack else measured


def _is_variable(index: PacketIndex) -> bool:
    intervals = np.diff(index.times[: index.num_frames])
    return len(intervals) > 1 and float(intervals.max() - intervals.min()) > VFR_TOLERANCE
