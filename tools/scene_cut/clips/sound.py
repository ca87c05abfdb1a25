"""The sound of a clip: exactly the samples between its start and its end, wherever packets begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_PREROLL = Fraction(1, 4)  # seconds; decoders need some packets before the first right sample (opus: 80 ms)
_SLACK = Fraction(3, 100)  # seconds by which time stamps may wander before sound is moved to follow them
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL = 96_000
_LONGEST_SILENCE = 48_000  # samples in one block


@dataclasses.dataclass(frozen=True)
class SoundFormat:
    """The sound of clips.

    Attributes:
        rate: Samples per second.
        layout: libav's name of the channel layout.
    """

    rate: int
    layout: str

    @property
    def channels(self) -> int:
        """Number of channels."""
        return av.AudioLayout(self.layout).nb_channels

    @property
    def bit_rate(self) -> int:
        """Bits per second for AAC, which takes at most 6 for each sample."""
        return min(_BITS_PER_CHANNEL, self.rate * 4) * self.channels


def sound_format(path: str | Path) -> SoundFormat | None:
    """Choose the format of the clips' sound: the source's where AAC has it; None without decodable sound."""
    opened = _open(path)
    if opened is None:
        return None
    container, stream = opened
    with container:
        rate = stream.codec_context.sample_rate
        channels = stream.codec_context.layout.nb_channels
    if not rate or not channels:
        return None
    return SoundFormat(rate if rate in _AAC_RATES else 48_000, _LAYOUTS.get(channels, "stereo"))


def read_sound(
    path: str | Path, form: SoundFormat, start: Fraction, duration: Fraction
) -> Iterator[np.ndarray]:
    """Decode the sound of an interval.

    What is missing before and between sound is filled with silence; the end is left as short as it is.
    Damaged packets are silent.

    Args:
        path: The source.
        form: Rate and layout wanted.
        start: Seconds in the file's own time (its first picture need not be at 0).
        duration: Seconds.

    Yields:
        float32, shape (channels, samples): the first sample is the one at `start`, none is left out.
    """
    total = round(duration * form.rate)
    written = 0
    for at, block in _blocks(path, form, start):
        if at >= total:
            return
        block = block[:, max(0, written - at) : total - at]
        if not block.shape[1]:
            continue
        while written < at:
            silence = min(at - written, _LONGEST_SILENCE)
            yield np.zeros((form.channels, silence), np.float32)
            written += silence
        yield np.ascontiguousarray(block)
        written += block.shape[1]
        if written >= total:
            return


def _blocks(path: str | Path, form: SoundFormat, start: Fraction) -> Iterator[tuple[int, np.ndarray]]:
    """Decoded sound with the number of its first sample, counted from `start`; ascending, may overlap."""
    expected: int | None = None
    for frame in _resampled(path, form, start):
        at = expected
        if frame.pts is not None:
            at = round((frame.pts * frame.time_base - start) * form.rate)
            if expected is not None and abs(at - expected) <= _SLACK * form.rate:
                at = expected
        expected = (at or 0) + frame.samples
        if expected > 0:
            yield (
                at or 0,
                frame.to_ndarray()[:, max(0, -(at or 0)) :] if (at or 0) < 0 else frame.to_ndarray(),
            )


def _resampled(path: str | Path, form: SoundFormat, start: Fraction) -> Iterator[av.AudioFrame]:
    resampler: av.AudioResampler | None = None
    current: tuple[str, str, int] | None = None
    for frame in _decoded(path, start):
        frame = _with_layout(frame)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != current:  # streams from television change their layout between programmes
            if resampler is not None:
                yield from resampler.resample(None)
            resampler, current = av.AudioResampler(format="fltp", layout=form.layout, rate=form.rate), kind
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _decoded(path: str | Path, start: Fraction) -> Iterator[av.AudioFrame]:
    """Decode from a little before `start` on; from the beginning where the file cannot be searched."""
    for attempt in ("seek", "linear"):
        opened = _open(path)
        if opened is None:
            return
        container, stream = opened
        with container:
            if attempt == "seek":
                try:
                    target = int((start - _PREROLL) / stream.time_base)
                    if target <= (stream.start_time or 0):
                        continue
                    container.seek(target, stream=stream, backward=True)
                except av.error.FFmpegError:
                    continue
            first = True
            for frame in _frames(container, stream):
                if (
                    first
                    and attempt == "seek"
                    and (frame.pts is None or frame.pts * frame.time_base > start - _PREROLL / 5)
                ):
                    break  # landed too late
                first = False
                yield frame
            if not first:
                return


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):  # a damaged end is the end
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise


def _with_layout(frame: av.AudioFrame) -> av.AudioFrame:
    """Give a frame whose layout is not said (raw PCM) the usual one for its number of channels."""
    channels = frame.layout.nb_channels
    if not frame.layout.name.endswith("channels") or channels not in _LAYOUTS:
        return frame
    named = av.AudioFrame.from_ndarray(
        frame.to_ndarray(), format=frame.format.name, layout=_LAYOUTS[channels]
    )
    named.sample_rate, named.pts, named.time_base = frame.sample_rate, frame.pts, frame.time_base
    return named


def _open(path: str | Path) -> tuple[av.container.InputContainer, av.AudioStream] | None:
    options = {"protocol_whitelist": "file"}
    container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.codec is not None:
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = av.stream.Discard.all
            stream.codec_context.thread_count = 1
            return container, stream
    container.close()
    return None
