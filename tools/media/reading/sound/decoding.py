"""Decode audio: blocks of samples at a given rate, each with its exact time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from tools.errors import MediaError
from tools.media.reading.container import open_container
from tools.media.reading.sound.packets import steady_packets
from tools.media.reading.timeline.clock import CONTINUOUS, Clock
from tools.media.reading.tracks import choose_audio

_PREROLL = Fraction(1, 4)  # seconds; decoders need some packets before the first correct sample (opus: 80 ms)
_SLACK = Fraction(3, 100)  # seconds by which timestamps may drift before samples are moved to match them
_SLACK_RESTARTED = Fraction(2, 1000)  # where clocks restart: these formats do not round times
_MOST_DAMAGED = 0.1  # of the packets; files cut at either end have a few that cannot be decoded
_UNSEEKABLE = ("adpcm_yamaha", "pcm_dvd")  # what their decoders keep from all packets before is needed
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def open_audio(path: str | Path, track: str | None = None) -> tuple[InputContainer, av.AudioStream] | None:
    """Open a file to read its audio.

    Args:
        path: The file.
        track: The audio track, see `tools.media.reading.tracks.choose_audio`.

    Returns:
        The container, which the caller closes, and the stream; None without decodable audio.

    Raises:
        FFmpegError: The file cannot be opened.
        MediaError: no_audio: the file has audio tracks, but not the requested one.
    """
    container = open_container(path)
    try:
        stream = choose_audio(container, path, track)
    except MediaError:
        container.close()
        raise
    if stream is None:
        container.close()
        return None
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    stream.codec_context.thread_count = 1
    return container, stream


class AudioDecoder:
    """Decodes the audio of one file, on the file's own clock.

    Timestamps are those of libav: edit lists are applied, and encoder delay (priming) is removed. Damaged
    packets are left out.

    Args:
        path: The file.
        rate: Samples per second of the output.
        layout: Channel layout of the output, by libav's name; None keeps that of the file.
        track: The audio track, see `tools.media.reading.tracks.choose_audio`.
        clock: The clock of the video, `PacketIndex.clock`.

    Attributes:
        packets: Number of packets read so far, without those that end before the start.
        damaged: Number of these that the decoder refused.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int,
        layout: str | None = None,
        *,
        track: str | None = None,
        clock: Clock = CONTINUOUS,
    ) -> None:
        self._path, self._rate, self._layout = path, rate, layout
        self._track, self._clock = track, clock
        self.packets = self.damaged = 0

    def blocks(self, start: Fraction) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from a given time.

        Args:
            start: Seconds on the file's clock.

        Yields:
            The number of a block's first sample, counted from `start` and never negative; and the block,
            float32, shape (channels, samples). Blocks ascend; there may be gaps, and small overlaps.
        """
        expected: int | None = None
        slack = _SLACK_RESTARTED if self._clock.starts else _SLACK
        for frame in self._resampled(start):
            at = expected or 0
            if (time := frame_time(frame)) is not None:
                stamped = round((time - start) * self._rate)
                # Containers round timestamps; continuous audio is not split because of that. Before `start`
                # all count: after a seek, libav gives the first frame of a program stream the next one's.
                if expected is None or expected <= 0 or abs(stamped - expected) > slack * self._rate:
                    at = stamped
            expected = at + frame.samples
            if expected > 0:
                samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels).T
                if not np.isfinite(samples).all():  # float PCM: silent there, as damaged packets are
                    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
                yield max(0, at), self._mixed(samples, frame.layout)[:, max(0, -at) :]

    def frames(self) -> Iterator[av.AudioFrame]:
        """Decode from the beginning, without resampling."""
        return self._decoded(None)

    def check_damage(self) -> None:
        """Check how much of what was read is damaged.

        Raises:
            MediaError: decode: too much.
        """
        if self.damaged > _MOST_DAMAGED * self.packets:
            message = f"{self.damaged} of {self.packets} audio packets cannot be decoded"
            raise MediaError("decode", self._path, message)

    def _resampled(self, start: Fraction) -> Iterator[av.AudioFrame]:
        resampler: av.AudioResampler | None = None
        current: tuple[str, str, int] | None = None
        for frame in self._decoded(start):
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if (
                resampler is None or kind != current
            ):  # television streams change their layout between programmes
                if resampler is not None:
                    yield from resampler.resample(None)
                own = _layout_name(frame.layout)
                layout = own if self._layout is None or _is_unmixable(own) else self._layout
                # Not planar: PyAV (18.1) reads past the end of a frame with a plane for each of 8 channels.
                resampler, current = av.AudioResampler(format="flt", layout=layout, rate=self._rate), kind
            yield from resampler.resample(frame)
        if resampler is not None:
            yield from resampler.resample(None)

    def _mixed(self, samples: np.ndarray, layout: av.AudioLayout) -> np.ndarray:
        """Give samples in a layout that libav does not mix the channels of the output, all equal."""
        if self._layout is None or not _is_unmixable(layout.name):
            return samples
        # The first channel of ambisonics is the sound from all directions.
        one = samples[:1] if layout.name.startswith("ambisonic") else samples.mean(axis=0, keepdims=True)
        return one.repeat(av.AudioLayout(self._layout).nb_channels, axis=0)

    def _decoded(self, start: Fraction | None) -> Iterator[av.AudioFrame]:
        """Decode from slightly before `start`; from the beginning if the file is not seekable."""
        targets: list[Fraction | None] = [None]  # None: from the beginning
        if start is not None and not self._clock.starts:  # seeking needs a clock without restarts
            targets.insert(0, start - _PREROLL)
        for target in targets:
            opened = open_audio(self._path, self._track)
            if opened is None:
                return
            container, stream = opened
            self.packets = self.damaged = 0
            with container:
                if target is not None and (
                    stream.codec_context.name in _UNSEEKABLE or not _seek(container, stream, target)
                ):
                    continue
                first = True
                for frame in self._frames(container, stream, start):
                    if first and target is not None:
                        time = frame_time(frame)
                        if time is None or time > target + _PREROLL * 4 / 5:
                            break  # landed too late
                    first = False
                    yield frame
                if not first:
                    return

    def _frames(
        self, container: InputContainer, stream: av.AudioStream, start: Fraction | None
    ) -> Iterator[av.AudioFrame]:
        following = self._clock.follow() if self._clock.starts else None
        for packet in steady_packets(container.demux(stream), stream.index):
            if following is not None and packet.size:
                offset = following.offset(packet)
                packet.pts = None if packet.pts is None else packet.pts + round(offset / packet.time_base)
            counts = True
            if start is not None and packet.pts is not None:
                if following is not None and packet.pts * packet.time_base < start - _PREROLL:
                    continue
                # A seek lands within a frame: what cannot be decoded there is not damaged.
                counts = (packet.pts + (packet.duration or 0)) * packet.time_base > start
            self.packets += counts and bool(packet.size)
            try:
                yield from packet.decode()
            except FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                self.damaged += counts


def frame_time(frame: av.AudioFrame) -> Fraction | None:
    """When a frame starts, in seconds on the file's clock; None if it has no timestamp."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def _seek(container: InputContainer, stream: av.AudioStream, seconds: Fraction) -> bool:
    """Seek to a time; False if it is not after the start, or the file is not seekable."""
    assert stream.time_base is not None, "libav gives one to every stream"
    target = int(seconds / stream.time_base)
    if target <= (stream.start_time or 0):
        return False
    try:
        container.seek(target, stream=stream, backward=True)
    except FFmpegError:
        return False
    return True


def _is_unmixable(layout: str) -> bool:
    return layout.startswith("ambisonic") or layout.endswith("channels")


def _layout_name(layout: av.AudioLayout) -> str:
    """The name of a channel layout; of channels without one (raw PCM) that of the usual one for so many."""
    if layout.name.endswith("channels"):
        return _LAYOUTS.get(layout.nb_channels, layout.name)
    return layout.name
