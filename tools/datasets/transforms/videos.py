"""Resize and crop one video, and move one into mp4; with the encoder and the copier of the clips."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av

from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.filters import FilterChain
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.media.reading.video_frames import iter_video_frames
from tools.media.writing.codecs import find_codec, offered_formats, quiet_encoders
from tools.media.writing.copying import NotCopyable, clip_extension, copied_audio, copy_plan, write_copies
from tools.media.writing.encode import (
    ClipWriter,
    Job,
    Output,
    add_video,
    atomic_video,
    encoding,
    open_output,
)
from tools.media.writing.exact import EncodeSettings, damage, sound_of
from tools.media.writing.hdr import check_hdr, refuse_hdr
from tools.media.writing.picture import Colours, PictureTransform, Shape, choose_pix_fmt, clip_shape
from tools.media.writing.plan import Plan, plan_clip
from tools.media.writing.sound import left_behind, sound_format

_COMMENT = "vidsieve transform"


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How a new video is encoded.

    Attributes:
        codec: h264, hevc, av1, vp9, or the name of an encoder.
        crf: Quality in the encoder's scale; None for its default.
        preset: Speed in the encoder's words; None for its default.
        keep_audio: Keep the sound.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
        hdr: What to do with HDR pictures, see `tools.media.writing.hdr.HDR`; None is "tonemap".

    Raises:
        UserError: The codec is no one for HDR that is kept.
    """

    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    keep_audio: bool = True
    audio_track: str | None = None
    hdr: str | None = None

    def __post_init__(self) -> None:
        check_hdr(self.hdr, self.codec)


def open_index(path: str | Path) -> PacketIndex:
    """The packets of a video.

    Raises:
        MediaError: As `tools.media.reading.timeline.scan.index_packets`; no_video for an image.
    """
    if is_image(path):
        raise MediaError("no_video", path, "is an image")
    return index_packets(path)


def resize_video(
    source: str | Path, target: Path, length: int, encoding: Encoding, *, threads: int = 1
) -> None:
    """Write a video whose shorter side has `length` pixels; one that is smaller keeps its size.

    Upright, square pixels, even sides; every frame at its own time.

    Args:
        source: The video.
        target: Where to.
        length: Pixels, even.
        encoding: How to encode.
        threads: Threads of decoder and encoder.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, decode (also for a single damaged
            frame), hdr, encode.
    """
    index = open_index(source)
    _encode(index, target, clip_shape(index, length), None, encoding, threads)


def crop_video(
    source: str | Path,
    target: Path,
    size: tuple[int, int] | None,
    encoding: Encoding,
    *,
    threads: int = 1,
) -> None:
    """Write the centre of a video: the largest window of a shape, scaled down to a size.

    Args:
        source: The video.
        target: Where to.
        size: Width and height, even; a smaller source gives the largest window of this shape, unscaled. None
            is the largest square, unscaled.
        encoding: How to encode.
        threads: Threads of decoder and encoder.

    Raises:
        MediaError: As `resize_video`.
    """
    index = open_index(source)
    shape, window = centre_window(index, size)
    _encode(index, target, shape, window, encoding, threads)


def centre_window(index: PacketIndex, size: tuple[int, int] | None) -> tuple[Shape, tuple[int, int]]:
    """Find how a video is scaled as a whole, and which window is then cut out of its centre.

    Args:
        index: The packets of the video.
        size: Width and height of the window; None for the largest square.

    Returns:
        The scaled whole, and width and height of the window: even numbers.
    """
    width, height = index.displayed_size
    side = min(width, height)
    window_size = size or (side, side)
    factor = min(1, max(Fraction(window_size[0], width), Fraction(window_size[1], height)))
    if factor < 1:
        # Rounded up to even sides, so that the window fits in.
        shape = Shape(*(2 * -(-side * factor // 2) for side in (width, height)), scaled=True)
    else:
        shape = clip_shape(index)
    fits = min(1, Fraction(shape.width, window_size[0]), Fraction(shape.height, window_size[1]))
    window = (_even_below(window_size[0] * fits), _even_below(window_size[1] * fits))
    return shape, window


def _even_below(pixels: Fraction | int) -> int:
    return max(2, int(pixels) // 2 * 2)


def _encode(
    index: PacketIndex,
    target: Path,
    shape: Shape,
    window: tuple[int, int] | None,
    options: Encoding,
    threads: int,
) -> None:
    refuse_hdr(index, options.hdr)
    kept_hdr = index.hdr if options.hdr == "keep" else None
    plan = plan_clip(index, 0, range(len(index.pts)))
    if (error := damage(index, plan)) is not None:
        raise error
    quiet_encoders()
    form = sound_format(index.path, options.audio_track) if options.keep_audio and index.has_audio else None
    size = window or (shape.width, shape.height)
    codec = find_codec(options.codec)
    settings = EncodeSettings(
        codec, options.crf, options.preset, Shape(*size, scaled=True), form, threads, kept_hdr
    )
    pictures = iter_video_frames(
        index.path, frames=plan.shown, threads=threads, on_damage="raise", index=index
    )
    first = next(pictures, None)
    if first is None:
        raise MediaError("decode", index.path, "no picture can be decoded")
    pix_fmt = choose_pix_fmt(
        first.picture.format.name, offered_formats(settings.codec.encoder), deep=settings.codec.deep
    )
    keep = kept_hdr is not None
    colours = Colours.of(first.picture, keep_hdr=keep)
    scale = PictureTransform(index, shape, pix_fmt, colours, keep_hdr=keep)
    cut = _Window(window) if window else lambda picture: picture
    with (
        encoding(target),
        atomic_video(target, len(plan.frames), replace=True) as part,
        open_output(part, _COMMENT) as out,
    ):
        encoder = _open_encoder(out, index, plan, settings, pix_fmt, colours)
        encoder.add(cut(scale(first.picture)))
        for frame in pictures:
            encoder.add(cut(scale(frame.picture)))
        encoder.finish()


def _open_encoder(
    out: Output,
    index: PacketIndex,
    plan: Plan,
    settings: EncodeSettings,
    pix_fmt: str,
    colours: Colours,
) -> ClipWriter:
    stream = add_video(
        out,
        settings.codec.encoder,
        settings.options(),
        plan,
        settings.shape,
        pix_fmt,
        colours,
        threads=settings.threads,
    )
    sound = sound_of(index, plan, settings.sound)
    if sound is not None:
        sound.open(out)
    return ClipWriter(out, stream, plan, sound)


class _Window:
    """Cuts a window out of the centre of pictures of one size and format."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._crop: FilterChain | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if (picture.width, picture.height) == self._size:
            return picture
        if self._crop is None:
            # Even offsets: chroma samples stay where they are.
            left, top = (picture.width - width) // 4 * 2, (picture.height - height) // 4 * 2
            self._crop = FilterChain([("crop", f"w={width}:h={height}:x={left}:y={top}:exact=1")])
        return self._crop(picture)


def remux_video(source: str | Path, target: Path, *, audio_track: str | None = None) -> list[str]:
    """Copy the packets of a video, and of one of its sound tracks, into an mp4.

    Args:
        source: The video.
        target: Where to.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.

    Returns:
        What the source has beside and does not go along: ``audio dts``, ``subtitle ass``, …

    Raises:
        MediaError: As `open_index`; encode if mp4 cannot store the frames, or its packets do not say
            enough to be copied.
    """
    index = open_index(source)
    if clip_extension(index, None) != ".mp4":
        raise MediaError("encode", source, f"mp4 does not hold {index.codec}; vid_resize encodes it anew")
    sound = copied_audio(source, audio_track)
    keep = sound is not None and clip_extension(index, sound) == ".mp4"
    try:
        plan = copy_plan(index, plan_clip(index, 0, range(len(index.pts))))
    except NotCopyable as error:
        message = f"cannot be copied: {error}; vid_resize encodes it anew"
        raise MediaError("encode", source, message) from None
    jobs = [Job(plan, target, _COMMENT, replace=True)]
    ((_, outcome),) = write_copies(index, jobs, keep_audio=keep, audio_track=audio_track)
    if isinstance(outcome, MediaError):
        raise outcome
    return left_behind(source, keep_audio=keep, audio_track=audio_track)
