"""Smart cutting of H.264 and HEVC: groups of pictures are copied, only frames at the ends are encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer

from tools.errors import MediaError
from tools.media.reading.container import open_video
from tools.media.reading.orientation import UPRIGHT
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.video_frames import iter_video_frames
from tools.media.writing.codecs import offered_formats
from tools.media.writing.copying import NotCopyable, check_copyable, copied_stream, decoding_ticks
from tools.media.writing.encode import Job, atomic_video, configure, encoding, open_output
from tools.media.writing.exact import EncodeSettings, damage, sound_of
from tools.media.writing.joins import DEPTHS
from tools.media.writing.picture import Colours, PictureTransform
from tools.media.writing.plan import Plan
from tools.media.writing.starts import SourceStarts, Start

_GLOBAL_HEADER = 1 << 22  # libavcodec/avcodec.h: AV_CODEC_FLAG_GLOBAL_HEADER


@dataclasses.dataclass(frozen=True)
class Middle:
    """The part of a clip that is copied.

    Attributes:
        frames: The source frames, not empty.
        start: Where it starts.
        positions: Numbers of its packets, in stored order.
    """

    frames: range
    start: Start
    positions: list[int]


class _Stored(NamedTuple):
    """One packet of a clip: its bytes, when it is shown, whether decoding can start there."""

    data: bytes
    tick: int
    key: bool


class SmartSource:
    """A source whose packets can be copied into clips, between encoded ones.

    Args:
        index: Its packets.
        settings: How the ends of clips are encoded.

    Attributes:
        settings: The same, for pictures with as many bits as those of the source.

    Raises:
        NotCopyable: Clips of it have to be encoded as a whole; the message says why.
    """

    def __init__(self, index: PacketIndex, settings: EncodeSettings) -> None:
        self._pix_fmt = _check(index, settings)
        deep = dataclasses.replace(settings.codec, deep=True)
        self._index, self.settings = index, dataclasses.replace(settings, codec=deep)
        self._starts = SourceStarts(index, DEPTHS[self._pix_fmt])
        self._join = self._starts.join
        if self._join.encoder != settings.codec.encoder:
            family = settings.codec.family
            raise NotCopyable(f"{index.codec} is copied in part into {index.codec} alone, not into {family}")
        if self._pix_fmt not in offered_formats(self._join.encoder):
            raise NotCopyable(f"{self._join.encoder} does not encode {self._pix_fmt} here")

    def middle(self, frames: range) -> Middle | None:
        """Find the frames of a clip that can be copied; None when there are none.

        They begin with a group of pictures, without those that are shown before its first one: they may need
        what is stored before. They end where no frame is missing before another one, which need not be the
        end of a group: nothing that is left refers to what was dropped.
        """
        start = self._starts.first(frames)
        if start is None:
            return None
        stored = self._index.positions[start.frame : frames.stop]
        before = self._index.positions[: start.frame]
        leading = np.sort(before[before > start.position])
        places = stored - start.position - np.searchsorted(leading, stored)
        complete = np.maximum.accumulate(places) == np.arange(len(places))
        count = int(np.flatnonzero(complete)[-1]) + 1
        if start.open and count == 1:
            return None  # libav takes the references that it lacks for pictures of what follows at once
        if np.isin(self._starts.doubtful, stored[:count]).any():
            return None  # mode exact decodes them, and fails if they are damaged
        return Middle(range(start.frame, start.frame + count), start, np.sort(stored[:count]).tolist())

    def write(self, job: Job, middle: Middle) -> bool | MediaError:
        """Write one clip.

        Returns:
            Whether it has sound, or what went wrong.
        """
        error = damage(self._index, job.plan)
        if error is not None:
            return error
        frames = job.plan.frames
        try:
            with encoding(job.path):
                head, head_sets = self._encode(job, range(frames.start, middle.frames.start))
                tail, tail_sets = self._encode(job, range(middle.frames.stop, frames.stop))
                if head_sets and tail_sets and head_sets != tail_sets:
                    raise MediaError("encode", job.path, "the two ends are encoded in different ways")
                return self._write(job, middle, head, tail, head_sets or tail_sets)
        except MediaError as error:
            return error

    def _write(
        self, job: Job, middle: Middle, head: list[_Stored], tail: list[_Stored], sets: list[bytes]
    ) -> bool:
        plan = job.plan
        offset = middle.frames.start - plan.frames.start
        order = np.argsort(self._index.positions[middle.frames.start : middle.frames.stop])
        copied = [plan.ticks[offset + int(number)] for number in order]
        ticks = [p.tick for p in head] + copied + [p.tick for p in tail]
        sound = sound_of(self._index, plan, self.settings.sound)
        with ExitStack() as files:
            part = files.enter_context(atomic_video(job.path, len(plan.frames), replace=job.replace))
            out = files.enter_context(open_output(part, job.comment))
            container, source = files.enter_context(open_video(self._index.path))
            stream = copied_stream(out, source, self._index.sample_aspect_ratio)
            stream.time_base = plan.time_base
            stream.codec_context.codec_tag = self._join.tag(complete=self._starts.header_is_complete)
            if sets:
                stream.codec_context.extradata = self._join.header(sets)
            if sound is not None:
                sound.open(out)
            stored = [*head, *self._copied(container, source, middle, copied, joined=bool(head)), *tail]
            for packet in _timed(plan, stored, decoding_ticks(ticks)):
                packet.stream = stream
                if sound is not None and packet.pts is not None:
                    sound.write_until(packet.pts * plan.time_base)
                out.mux(packet)
            if sound is not None:
                sound.write_until(None)
        return sound is not None

    def _copied(
        self,
        container: InputContainer,
        stream: av.VideoStream,
        middle: Middle,
        ticks: list[int],
        *,
        joined: bool,
    ) -> Iterator[_Stored]:
        """The packets of the middle, which follow others if it is joined."""
        source = list(self._packets(container, stream, middle))
        data = (bytes(packet) for packet in source)
        stored = self._starts.decodable(middle.start, data, first=not joined)
        for packet, changed, tick in zip(source, stored, ticks, strict=True):
            yield _Stored(changed, tick, packet.is_keyframe)

    def _packets(
        self, container: InputContainer, stream: av.VideoStream, middle: Middle
    ) -> Iterator[av.Packet]:
        wanted, last = set(middle.positions), middle.positions[-1]
        for position, packet in self._starts.packets(container, stream, middle.start):
            if position in wanted:
                yield packet
            if position >= last:
                return

    def _encode(self, job: Job, frames: range) -> tuple[list[_Stored], list[bytes]]:
        """Encode one end of a clip, with parameter sets under numbers that the source does not use."""
        if not frames:
            return [], []
        context: av.VideoCodecContext | None = None
        encoded: list[av.Packet] = []
        for number, _, picture in iter_video_frames(
            self._index.path,
            frames=frames,
            threads=self.settings.threads,
            on_damage="raise",
            index=self._index,
        ):
            if context is None:
                colours = Colours.of(picture)
                upright = PictureTransform(self._index, self.settings.shape, self._pix_fmt, colours)
                context = self._encoder(job.plan, colours)
            picture = upright(picture)
            picture.pts = job.plan.ticks[number - job.plan.frames.start]
            picture.time_base = job.plan.time_base
            encoded += context.encode(picture)
        assert context is not None, "some frame came, as none may be missing"
        encoded += context.encode(None)
        stored, sets = [], []
        for packet in encoded:
            data, sets = self._join.own(bytes(packet), bytes(context.extradata or b""))
            assert packet.pts is not None, "encoders keep the times of pictures"
            stored.append(_Stored(data, packet.pts, packet.is_keyframe))
        return stored, sets

    def _encoder(self, plan: Plan, colours: Colours) -> av.VideoCodecContext:
        context = av.CodecContext.create(self._join.encoder, "w")
        assert isinstance(context, av.VideoCodecContext)
        configure(
            context,
            self._join.options(self.settings.options()),
            plan,
            self.settings.shape,
            self._pix_fmt,
            colours,
            threads=self.settings.threads,
        )
        context.flags |= _GLOBAL_HEADER
        context.open()
        return context


def _check(index: PacketIndex, settings: EncodeSettings) -> str:
    """Refuse a source whose pictures cannot be matched; return their pixel format."""
    check_copyable(index)
    stored = (index.coded_width, index.coded_height)
    if (
        index.orientation != UPRIGHT
        or settings.shape.scaled
        or (settings.shape.width, settings.shape.height) != stored
    ):
        raise NotCopyable("the pictures have to be turned, scaled or cropped")
    if index.size_changes:
        raise NotCopyable("the size of the pictures changes within the file")
    if index.hdr is not None:
        raise NotCopyable("the pictures are HDR")
    if index.pix_fmt not in DEPTHS:
        raise NotCopyable(f"the pixel format {index.pix_fmt} is not one that can be matched")
    first = next(iter_video_frames(index.path, frames=range(1), index=index), None)
    if first is None or first.picture.interlaced_frame:
        raise NotCopyable("the pictures are interlaced")
    return index.pix_fmt


def _timed(plan: Plan, stored: list[_Stored], dts: list[int]) -> Iterator[av.Packet]:
    lengths = {a: b - a for a, b in pairwise(plan.ticks)}
    for number, (data, tick, key) in enumerate(stored, start=1):
        packet = av.Packet(data)
        packet.pts, packet.dts, packet.time_base = tick, dts[number - 1], plan.time_base
        # mp4 stores the intervals between decoding times; the length of the last packet ends the track.
        packet.duration = lengths[tick] if number < len(stored) else plan.last_tick
        packet.is_keyframe = key
        yield packet
