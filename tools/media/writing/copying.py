"""Cutting without encoding: whole groups of pictures are copied, so clips begin at key frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError, PatchWelcomeError
from av.stream import Discard

from tools.errors import MediaError, VidsieveError
from tools.media.reading.container import open_video
from tools.media.reading.sound.packets import steady_packets
from tools.media.reading.timeline.packets import PacketIndex, decoding_ticks
from tools.media.reading.tracks import choose_audio
from tools.media.writing.encode import Job, Output, atomic_video, encoding, open_output
from tools.media.writing.hevc import copied_tag
from tools.media.writing.output_files import finished_name
from tools.media.writing.plan import Plan, plan_clip

_MP4_VIDEO = ("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg")
_ENCODE = "cannot be copied: {}; mode exact and vid_resize encode it"
_GAP = Fraction(1, 20)  # seconds between packets of sound that do not follow each other
_MP4_AUDIO = ("aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac")


class NotCopyable(Exception):
    """The packets of a source cannot be copied; the message says why."""


def clip_extension(index: PacketIndex, audio_codec: str | None) -> str:
    """``.mp4``, or ``.mkv`` for codecs that mp4 does not support."""
    fits = index.codec in _MP4_VIDEO and audio_codec in (None, *_MP4_AUDIO)
    return ".mp4" if fits else ".mkv"


def copied_audio(path: str | Path, track: str | None = None) -> str | None:
    """Codec of the sound that is copied with the pictures; None when there is none.

    Args:
        path: The source.
        track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
    """
    with open_video(path) as (container, _):
        stream = choose_audio(container, path, track)
        return stream.codec_context.codec.canonical_name if stream else None


def copy_plan(index: PacketIndex, plan: Plan) -> Plan:
    """Widen a clip to what its packets can show by themselves.

    The clip begins at the key frame at or before its first frame. It ends where no frame is missing before
    another one: a picture that later ones refer to is stored, and so shown, before its turn.

    Raises:
        NotCopyable: The source has no packet times, no key frame that far back, or pictures of another size
            than in its header.
    """
    check_copyable(index)
    frames = plan.frames
    first = int(index.start_positions([frames.start])[0])
    key = int(np.searchsorted(index.key_positions, first))
    if key == len(index.key_positions) or index.key_positions[key] != first:
        raise NotCopyable("there is no key frame before the scene")
    start = int(np.searchsorted(index.pts, index.key_pts[key]))
    if index.pts[start] != index.key_pts[key]:
        raise NotCopyable("the key frame before the scene is hidden by the file's edit list")
    if frames.start < start:  # the first group of the file: pictures before its key frame need no others
        start = 0
    stop = frames.stop
    while True:
        last = int(index.positions[start:stop].max())
        stored = np.flatnonzero((index.positions >= first) & (index.positions <= last))
        reached = int(stored.max()) + 1
        if reached <= stop:
            break
        stop = reached
    if index.size_changes and last >= index.size_changes[0].position:
        raise NotCopyable("its pictures have another size than in the file's header")
    begins = plan.start if start == frames.start else None
    ends = plan.end if stop == frames.stop else None
    return plan_clip(index, plan.scene, range(start, stop), begins, ends, left=plan.left)


def check_copyable(index: PacketIndex) -> None:
    """Make sure that packets are pictures with times of their own.

    Raises:
        NotCopyable: They are not.
    """
    if index.counted:
        raise NotCopyable("the file does not say when its pictures are shown, as AVI does not of H.264")
    if index.irregular:
        raise NotCopyable("its packets are not whole pictures")


def copied_stream(out: Output, source: av.VideoStream, pixel_ratio: Fraction) -> av.VideoStream:
    """Add a stream for copied pictures, with the pixel ratio that they have in the source.

    The ratio of a container goes before that of its stream, so it has to be written.
    """
    stream = out.add_stream_from_template(source, opaque=True)
    context = stream.codec_context
    if Fraction(context.sample_aspect_ratio or 1) != pixel_ratio:
        context.sample_aspect_ratio = pixel_ratio
    return stream


def write_copies(
    index: PacketIndex, jobs: Sequence[Job], *, keep_audio: bool, audio_track: str | None = None
) -> Iterator[tuple[Job, bool | MediaError]]:
    """Write copied clips of one source in one pass over its packets.

    Args:
        index: The packets of the source.
        jobs: The clips, planned by `copy_plan`; they may overlap.
        keep_audio: Copy the sound, too: the packets that begin within the clip. AAC in mp4 is that of the
            clip to the sample: with the packets before that decoders need, hidden by the edit list.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.

    Yields:
        Each job, with whether the clip has sound, or with what went wrong.
    """
    if not jobs:
        return
    tag, mute = None, []
    if index.codec == "hevc":
        with open_video(index.path) as (container, video):
            tag = copied_tag(container, video)
    with open_video(index.path) as (container, video), ExitStack() as stack:
        sound = choose_audio(container, index.path, audio_track) if keep_audio else None
        if sound is not None:
            sound.discard = Discard.default
        clips = [_CopyClip(index, job, video, sound, tag) for job in jobs]
        stack.callback(lambda: [clip.abort() for clip in clips])
        taken = {video.index} | ({sound.index} if sound is not None else set())
        position = -1
        for packet in steady_packets(container.demux(), None if sound is None else sound.index):
            if packet.stream_index not in taken or not packet.size:
                continue
            is_video = packet.stream_index == video.index
            position += is_video
            for clip in list(clips):
                try:
                    finished = clip.take(packet, position if is_video else None)
                except MediaError as error:
                    clips.remove(clip)
                    yield clip.job, error
                    continue
                if finished:
                    clips.remove(clip)
                    yield from _close(clip, mute)
        while clips:
            yield from _close(clips.pop(0), mute)
    yield from write_copies(index, mute, keep_audio=False)


def _close(clip: _CopyClip, mute: list[Job]) -> Iterator[tuple[Job, bool | MediaError]]:
    """Finish a clip; one that has to be written anew, without a track for sound, is added to `mute`."""
    if clip.has_empty_track:
        clip.abort()
        mute.append(clip.job)
    else:
        yield clip.job, clip.finish()


def _adts_format(packet: av.Packet) -> tuple[int, int] | None:
    """What the header of an AAC packet says of rate and channels; None for packets without such a header."""
    if packet.stream.codec_context.name != "aac":
        return None
    first, second, third, fourth = bytes(packet)[:4].ljust(4, b"\0")
    return (third & 0xFD, fourth >> 6) if first == 0xFF and second & 0xF6 == 0xF0 else None


class _Ahead:
    """The last packets of AAC before a clip: one may be heard in it, and decoders need the one before."""

    def __init__(self) -> None:
        self._packets: deque[tuple[av.Packet, Fraction]] = deque(maxlen=2)

    def add(self, packet: av.Packet, at: Fraction) -> None:
        """Add the next packet; those before a gap are of no use."""
        if self._packets and at - self._end > _GAP:
            self._packets.clear()
        self._packets.append((packet, at))

    def needed(self, start: Fraction, end: Fraction, following: Fraction) -> list[tuple[av.Packet, Fraction]]:
        """The packet that is heard from `start` on, if there is one, and the one ahead of what is heard.

        Args:
            start: Start of the clip.
            end: Its end.
            following: When the first packet that begins at or behind `start` begins.
        """
        if self._packets and self._end > start:
            return list(self._packets)
        alone = not self._packets or following >= end or following - self._end > _GAP
        return [] if alone else [self._packets[-1]]

    @property
    def _end(self) -> Fraction:
        packet, at = self._packets[-1]
        return at + (packet.duration or 0) * packet.time_base


class _CopyClip:
    """A clip that is being copied."""

    def __init__(
        self,
        index: PacketIndex,
        job: Job,
        video: av.VideoStream,
        sound: av.AudioStream | None,
        tag: str | None,
    ) -> None:
        self.job = job
        self._video, self._sound, self._tag = video, sound, tag
        self._pixel_ratio = index.sample_aspect_ratio
        # Players handle packets of other codecs that an edit list hides in other ways, or cannot hide them.
        hidden = sound is not None and sound.codec_context.name == "aac" and job.path.suffix == ".mp4"
        self._ahead = _Ahead() if hidden else None
        plan = job.plan
        begin = int(index.pts[0]) * index.time_base
        self._start, self._end = begin + plan.start, begin + plan.end
        frames = list(plan.frames)
        pts = {int(index.positions[f]): plan.ticks[i] for i, f in enumerate(frames)}
        order = sorted(pts)
        dts = decoding_ticks([pts[position] for position in order])
        durations = {a: b - a for a, b in pairwise(plan.ticks)}
        self._times = {p: (pts[p], d, durations[pts[p]]) for p, d in zip(order, dts, strict=True)}
        # mp4 stores the intervals between decoding times; the length of the last packet ends the track.
        self._times[order[-1]] = (pts[order[-1]], dts[-1], plan.last_tick)
        self._left = len(order)
        self._sound_over = sound is None
        self._clock = index.clock.follow()
        self._has_sound = False
        self._adts: tuple[int, int] | None = None
        self._sound_from: Fraction | float = -math.inf
        self._files = ExitStack()
        self._out: Output | None = None

    def take(self, packet: av.Packet, position: int | None) -> bool:
        """Copy a packet if it belongs to the clip; return whether the clip is complete.

        Args:
            packet: A packet of either stream.
            position: Its number, for a video packet.
        """
        if position is not None:
            if position in self._times:
                self._write_video(packet, position)
        elif packet.pts is not None:
            # The clip states one format, that of the source's first packet; decoders need the right one.
            self._adts = self._adts or _adts_format(packet)
            at = packet.pts * packet.time_base + self._clock.offset(packet)
            if at < self._start:
                if self._ahead is not None:
                    self._ahead.add(packet, at)
                return False
            self._write_ahead(at)
            if at >= self._end:
                self._sound_over = True
            else:
                self._write_sound(packet, at)
        return not self._left and self._sound_over

    @property
    def has_empty_track(self) -> bool:
        """Whether its file would have a track without any sound: Matroska keeps it, mp4 does not."""
        announced = self._out is not None and self._sound is not None
        return announced and not self._has_sound and self.job.path.suffix == ".mkv"

    def finish(self) -> bool | MediaError:
        """Close the file; return whether it has sound."""
        try:
            with encoding(self.job.path):
                self._files.close()
            if self._out is None:
                raise MediaError("decode", self.job.path, "the source ended before the clip began")
        except MediaError as error:
            return error
        return self._has_sound

    def abort(self) -> None:
        """Cancel; nothing is left of the file."""
        cancelled = MediaError("encode", self.job.path, "cancelled")
        with suppress(VidsieveError, FFmpegError, OSError):
            self._files.__exit__(MediaError, cancelled, None)

    def _open(self) -> Output:
        if self._out is not None:
            return self._out
        plan = self.job.plan
        with self._supported():
            job = self.job
            part = self._files.enter_context(atomic_video(job.path, len(plan.frames), replace=job.replace))
            self._out = self._files.enter_context(open_output(part, self.job.comment))
            self._video_out = copied_stream(self._out, self._video, self._pixel_ratio)
            self._video_out.time_base = plan.time_base
            if self._tag is not None and self.job.path.suffix == ".mp4":
                self._video_out.codec_context.codec_tag = self._tag
            if self._sound is not None:
                self._sound_out = self._out.add_stream_from_template(self._sound, opaque=True)
        return self._out

    def _write_video(self, packet: av.Packet, position: int) -> None:
        out = self._open()
        copy = av.Packet(bytes(packet))
        copy.pts, copy.dts, copy.duration = self._times[position]
        copy.time_base, copy.is_keyframe = self.job.plan.time_base, packet.is_keyframe
        copy.stream = self._video_out
        self._left -= 1
        with self._supported():
            out.mux(copy)

    def _write_ahead(self, following: Fraction) -> None:
        """Write what is heard in the clip of packets before it, and what their decoder needs."""
        if self._ahead is not None:
            for packet, at in self._ahead.needed(self._start, self._end, following):
                self._write_sound(packet, at)
            self._ahead = None

    def _write_sound(self, packet: av.Packet, at: Fraction) -> None:
        assert self._sound is not None, "the packet is one of it"
        out = self._open()
        if at < self._sound_from:  # heard already: parts of a joined recording overlap
            return
        if _adts_format(packet) != self._adts:
            what = "the format of its audio changes"
            raise MediaError("encode", self.job.path, _ENCODE.format(what))
        duration = (packet.duration or 0) * packet.time_base
        # Packets of TrueHD are shorter than a tick of Matroska: two may have one time.
        self._sound_from = at + (duration / 2 if duration > 2 * packet.time_base else 0)
        copy = av.Packet(bytes(packet))
        # Samples, not the source's ticks: those of AVI are whole packets, and clips begin between them.
        copy.time_base = Fraction(1, self._sound.codec_context.sample_rate or 48_000)
        copy.pts = copy.dts = round((at - self._start) / copy.time_base)
        copy.duration, copy.is_keyframe = round(duration / copy.time_base), True
        copy.stream = self._sound_out
        self._has_sound = True
        with self._supported():
            out.mux(copy)

    @contextmanager
    def _supported(self) -> Iterator[None]:
        """A clear error where the container supports no such packets; libav says 'Invalid argument'."""
        with encoding(self.job.path):
            try:
                yield
            except (ValueError, InvalidDataError, PatchWelcomeError):
                streams = [s for s in (self._video, self._sound) if s is not None]
                codecs = [s.codec_context.codec.canonical_name for s in streams]
                name = Path(finished_name(self.job.path.name) or self.job.path.name)
                what = f"{name.suffix} does not support {' with '.join(codecs)}"
                raise MediaError("encode", self.job.path, _ENCODE.format(what)) from None
