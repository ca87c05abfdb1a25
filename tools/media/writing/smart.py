"""Smart cutting: whole groups of pictures are copied, only the frames at a clip's ends are encoded. H.264."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer

from tools.errors import MediaError
from tools.media.reading.container import open_video
from tools.media.reading.frames import iter_video_frames
from tools.media.reading.orientation import UPRIGHT
from tools.media.reading.timeline.bitstream import nal_length_size
from tools.media.reading.timeline.packets import PacketIndex, packets
from tools.media.writing.copying import NotCopyable, check_copyable, copied_stream, decoding_ticks
from tools.media.writing.encode import Job, atomic_video, configure, encoding, open_output
from tools.media.writing.exact import EncodeSettings, damage, sound_of
from tools.media.writing.h264 import ParameterSets, as_lengths, is_idr
from tools.media.writing.picture import Colours, PictureTransform
from tools.media.writing.plan import Plan

_PROFILES = {66: "baseline", 77: "main", 100: "high"}  # profile_idc; x264 has no other for 8-bit 4:2:0
_GLOBAL_HEADER = 1 << 22  # libavcodec/avcodec.h: AV_CODEC_FLAG_GLOBAL_HEADER


@dataclasses.dataclass(frozen=True)
class Middle:
    """The part of a clip that is copied.

    Attributes:
        frames: The source frames, not empty.
        first: Number of the first packet; there are as many as frames.
    """

    frames: range
    first: int


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

    Raises:
        NotCopyable: Clips of it have to be encoded as a whole; the message says why.
    """

    def __init__(self, index: PacketIndex, settings: EncodeSettings) -> None:
        self._pix_fmt = _check(index, settings)
        self._index, self._settings = index, settings
        starts = set()
        with open_video(index.path) as (container, stream):
            self._extradata = stream.codec_context.extradata or b""
            self._length_size = nal_length_size("h264", self._extradata)
            for position, packet in enumerate(packets(container, stream)):
                if packet.is_keyframe and is_idr(bytes(packet), self._length_size):
                    starts.add(position)
        self._sets = ParameterSets(self._extradata)
        if not self._sets.sps or self._sets.profile not in _PROFILES:
            raise NotCopyable("its H.264 profile is not one that can be matched")
        self._number = self._sets.free_number()
        if self._number is None:
            raise NotCopyable("it uses all numbers of parameter sets")
        self._starts = self._closed(starts)

    def middle(self, frames: range) -> Middle | None:
        """Find the frames of a clip that can be copied; None when there are none.

        They begin with a closed group of pictures. They end where no frame is missing before another one,
        which need not be the end of a group: nothing that is left refers to what was dropped.
        """
        at = int(np.searchsorted(self._starts, frames.start))
        if at == len(self._starts) or self._starts[at] >= frames.stop:
            return None
        start = int(self._starts[at])
        positions = self._index.positions[start : frames.stop] - self._index.positions[start]
        complete = np.maximum.accumulate(positions) == np.arange(len(positions))
        count = int(np.flatnonzero(complete)[-1]) + 1
        return Middle(range(start, start + count), int(self._index.positions[start]))

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
                if head_sets and tail_sets and head_sets.sps != tail_sets.sps:
                    raise MediaError("encode", job.path, "the two ends are encoded in different ways")
                return self._write(job, middle, head, tail, head_sets or tail_sets)
        except MediaError as error:
            return error

    def _closed(self, starts: set[int]) -> np.ndarray:
        """The frames at which decoding can start afresh, no frame of one side stored on the other."""
        positions = self._index.positions
        before = np.concatenate([[-1], np.maximum.accumulate(positions)[:-1]])
        after = np.minimum.accumulate(positions[::-1])[::-1]
        closed = (before < positions) & (after == positions)
        return np.flatnonzero(closed & np.isin(positions, sorted(starts)))

    def _write(
        self, job: Job, middle: Middle, head: list[_Stored], tail: list[_Stored], sets: ParameterSets | None
    ) -> bool:
        plan = job.plan
        offset = middle.frames.start - plan.frames.start
        order = np.argsort(self._index.positions[middle.frames.start : middle.frames.stop])
        copied = [plan.ticks[offset + int(number)] for number in order]
        ticks = [p.tick for p in head] + copied + [p.tick for p in tail]
        sound = sound_of(self._index, plan, self._settings.sound)
        with ExitStack() as files:
            part = files.enter_context(atomic_video(job.path, len(plan.frames), replace=job.replace))
            out = files.enter_context(open_output(part, job.comment))
            container, source = files.enter_context(open_video(self._index.path))
            stream = copied_stream(out, source, self._index.sample_aspect_ratio)
            stream.time_base = plan.time_base
            if sets is not None:
                stream.codec_context.extradata = self._sets.merged(sets)
            if sound is not None:
                sound.open(out)
            between = zip(self._packets(container, source, middle), copied, strict=True)
            stored = [*head, *(_Stored(bytes(p), tick, p.is_keyframe) for p, tick in between), *tail]
            for packet in _timed(plan, stored, decoding_ticks(ticks)):
                packet.stream = stream
                if sound is not None and packet.pts is not None:
                    sound.write_until(packet.pts * plan.time_base)
                out.mux(packet)
            if sound is not None:
                sound.write_until(None)
        return sound is not None

    def _packets(
        self, container: InputContainer, stream: av.VideoStream, middle: Middle
    ) -> Iterator[av.Packet]:
        """The packets of the middle; a seek that lands right saves reading what lies before."""
        if self._index.timing != "ok":  # damaged times cannot be searched
            stored = packets(container, stream)
            yield from itertools.islice(stored, middle.first, middle.first + len(middle.frames))
            return
        key = int(np.searchsorted(self._index.key_positions, middle.first))
        left = len(middle.frames)
        container.seek(int(self._index.key_dts[key]), stream=stream, backward=True)
        reading = packets(container, stream)
        for packet in reading:
            if packet.is_keyframe and packet.pts == self._index.key_stamps[key]:
                yield packet
                left -= 1
                break
            if packet.is_keyframe and (packet.pts or 0) > self._index.key_stamps[key]:
                break
        if left == len(middle.frames):  # too late; count from the beginning
            with open_video(self._index.path) as (container, stream):
                for position, packet in enumerate(packets(container, stream)):
                    if position >= middle.first and left:
                        yield packet
                        left -= 1
            return
        while left and (packet := next(reading, None)) is not None:
            yield packet
            left -= 1

    def _encode(self, job: Job, frames: range) -> tuple[list[_Stored], ParameterSets | None]:
        """Encode one end of a clip, with parameter sets under a number that the source does not use."""
        if not frames:
            return [], None
        context: av.VideoCodecContext | None = None
        encoded: list[av.Packet] = []
        for number, _, picture in iter_video_frames(
            self._index.path,
            frames=frames,
            threads=self._settings.threads,
            on_damage="raise",
            index=self._index,
        ):
            if context is None:
                colours = Colours.of(picture)
                upright = PictureTransform(self._index, self._settings.shape, self._pix_fmt, colours)
                context = self._encoder(job.plan, colours)
            picture = upright(picture)
            picture.pts = job.plan.ticks[number - job.plan.frames.start]
            picture.time_base = job.plan.time_base
            encoded += context.encode(picture)
        assert context is not None, "some frame came, as none may be missing"
        encoded += context.encode(None)
        sets = ParameterSets(
            bytes(context.extradata or encoded[0])
        )  # without a header, the first packet has them
        data = [as_lengths(bytes(p), self._length_size) if self._length_size else bytes(p) for p in encoded]
        pairs = zip(data, encoded, strict=True)
        return [_Stored(d, p.pts, p.is_keyframe) for d, p in pairs if p.pts is not None], sets

    def _encoder(self, plan: Plan, colours: Colours) -> av.VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        options = self._settings.options()
        options["profile"] = _PROFILES[self._sets.profile]
        given = options.get("x264-params")
        options["x264-params"] = ":".join(filter(None, [given, f"sps-id={self._number}"]))
        configure(
            context,
            options,
            plan,
            self._settings.shape,
            self._pix_fmt,
            colours,
            threads=self._settings.threads,
        )
        if self._length_size:
            context.flags |= _GLOBAL_HEADER
        context.open()
        return context


def _check(index: PacketIndex, settings: EncodeSettings) -> str:
    """Refuse a source whose pictures cannot be matched; return their pixel format."""
    check_copyable(index)
    if index.codec != "h264" or settings.codec.encoder != "libx264":
        raise NotCopyable(
            f"copying in part is for h264 to h264, not {index.codec} to {settings.codec.family}"
        )
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
    if index.pix_fmt not in ("yuv420p", "yuvj420p"):
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
