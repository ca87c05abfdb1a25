"""One piece of a video as a new file: chosen frames at a constant rate, a box of the picture, scaled down."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import chain
from pathlib import Path

from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.filters import FilterChain
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.media.reading.video_frames import iter_video_frames
from tools.media.writing.codecs import find_codec, offered_formats, quiet_encoders
from tools.media.writing.encode import ClipWriter, add_video, atomic_video, encoding, open_output
from tools.media.writing.exact import EncodeSettings, damage, sound_of
from tools.media.writing.hdr import refuse_hdr
from tools.media.writing.picture import Colours, PictureTransform, Shape, choose_pix_fmt, clip_shape
from tools.media.writing.plan import Plan, plan_clip
from tools.media.writing.sound import sound_format

_COMMENT = "vidsieve export"

Box = tuple[int, int, int, int]
"""Width, height, left and top of a part of the picture as shown, in pixels."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """What of a video becomes a file.

    Attributes:
        start: Number of the first frame, at the rate of the file.
        num_frames: Frames of the file.
        fps: Its frame rate; None for the source's own.
        width: Pixels, even.
        height: Pixels, even.
        box: The part of the picture that is used, None for all of it.
        sound: Whether the sound is kept.
    """

    start: int
    num_frames: int
    fps: Fraction | None
    width: int
    height: int
    box: Box | None = None
    sound: bool = False


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How files are encoded; see `tools.media.writing.settings`."""

    codec: str = "h264"
    crf: float | None = None
    preset: str | None = None
    hdr: str | None = None
    threads: int = 1


def write_piece(source: str | Path, target: Path, cut: Cut, how: Encoding) -> None:
    """Write a piece of a video.

    Frame k of the file is the one on screen k / fps seconds after that of the first, so no frame is blended
    or guessed; where the source has fewer frames per second some are repeated.

    Args:
        source: The video.
        target: Where to; an existing file is replaced.
        cut: Which frames, and which part of the picture.
        how: How to encode.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, decode, hdr, encode; too_short: it has
            fewer frames than the table says; bad_value: its picture is smaller than the table says.
    """
    if is_image(source):
        raise MediaError("no_video", source, "is an image")
    index = index_packets(source)
    refuse_hdr(index, how.hdr)
    plan = planned_frames(index, cut)
    shape, left, top = scaled(index, cut)
    if (error := damage(index, plan)) is not None:
        raise error
    quiet_encoders()
    codec = find_codec(how.codec)
    kept_hdr = index.hdr if how.hdr == "keep" else None
    form = sound_format(index.path) if cut.sound and index.has_audio else None
    settings = EncodeSettings(
        codec, how.crf, how.preset, Shape(cut.width, cut.height, True), form, how.threads, kept_hdr
    )
    numbers = sorted(set(plan.shown))
    pictures = iter_video_frames(
        index.path, frames=numbers, threads=how.threads, on_damage="raise", index=index
    )
    first = next(pictures, None)
    if first is None:
        raise MediaError("decode", source, "no picture can be decoded")
    pix_fmt = choose_pix_fmt(first.picture.format.name, offered_formats(codec.encoder), deep=codec.deep)
    keep = kept_hdr is not None
    colours = Colours.of(first.picture, keep_hdr=keep)
    scale = PictureTransform(index, shape, pix_fmt, colours, keep_hdr=keep)
    size = f"w={cut.width}:h={cut.height}:x={left}:y={top}:exact=1"
    whole = (shape.width, shape.height) == (cut.width, cut.height)
    crop = None if whole else FilterChain([("crop", size)])
    with (
        encoding(target),
        atomic_video(target, cut.num_frames, replace=True) as part,
        open_output(part, _COMMENT) as out,
    ):
        stream = add_video(
            out,
            codec.encoder,
            settings.options(),
            plan,
            settings.shape,
            pix_fmt,
            colours,
            threads=how.threads,
        )
        sound = sound_of(index, plan, form)
        if sound is not None:
            sound.open(out)
        writer = ClipWriter(out, stream, plan, sound)
        for frame in chain((first,), pictures):
            picture = scale(frame.picture)
            writer.add(picture if crop is None else crop(picture))
        writer.finish()


def planned_frames(index: PacketIndex, cut: Cut) -> Plan:
    """Which frame of the source each frame of the file is.

    Raises:
        MediaError: too_short.
    """
    everything = range(len(index.pts))
    plan = plan_clip(index, 0, everything, target_fps=cut.fps)
    if not plan.regular:  # the source's rate varies: the file has its average rate
        plan = plan_clip(index, 0, everything, target_fps=plan.rate.limit_denominator(1001))
    stop = cut.start + cut.num_frames
    if stop > len(plan.shown):
        rate = float(plan.rate)
        text = f"has {len(plan.shown)} frames at {rate:g} fps, {stop} needed; the table says more"
        raise MediaError("too_short", index.path, text)
    shown = list(plan.shown[cut.start : stop])
    begin = plan.start + cut.start * plan.time_base
    return dataclasses.replace(
        plan,
        frames=range(shown[0], shown[-1] + 1),
        start=begin,
        end=begin + cut.num_frames * plan.time_base,
        ticks=list(range(cut.num_frames + 1)),
        shown=shown,
    )


def scaled(index: PacketIndex, cut: Cut) -> tuple[Shape, int, int]:
    """How the whole picture is scaled, and where the file's picture then begins.

    Returns:
        The size of the whole, even, and left and top of the file's picture in it.

    Raises:
        MediaError: bad_value.
    """
    width, height = index.displayed_size
    box_width, box_height, x, y = cut.box or (width, height, 0, 0)
    if x + box_width > width or y + box_height > height or cut.width > box_width or cut.height > box_height:
        text = f"the picture is {width}x{height}, smaller than the table says"
        raise MediaError("bad_value", index.path, text)
    factor = max(Fraction(cut.width, box_width), Fraction(cut.height, box_height))
    if factor < 1:
        # Rounded up to even sides, so that the box covers what is cut out of it.
        shape = Shape(*(2 * -(-side * factor // 2) for side in (width, height)), scaled=True)
    else:
        shape = clip_shape(index)
    places = []
    for side, whole, start, length, wanted in (
        (shape.width, width, x, box_width, cut.width),
        (shape.height, height, y, box_height, cut.height),
    ):
        middle = (start + Fraction(length, 2)) * side / whole
        # Even offsets: chroma samples stay where they are.
        place = int(middle - Fraction(wanted, 2)) // 2 * 2
        places.append(max(0, min(place, side - wanted)))
    return shape, places[0], places[1]
