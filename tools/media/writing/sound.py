"""The sound of a clip: exactly the samples between its start and its end, wherever packets begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tools.media.reading.container import open_video
from tools.media.reading.sound.decoding import AudioDecoder, open_audio
from tools.media.reading.timeline.clock import CONTINUOUS, Clock
from tools.media.reading.tracks import choose_audio, describe

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
        track: Which sound track of the source, as in the option; None for the usual one.
        number: Number of this track among the sound tracks of the source, from 0 on.
        stream: Number of its stream in the source.
    """

    rate: int
    layout: str
    track: str | None = None
    number: int = 0
    stream: int | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return av.AudioLayout(self.layout).nb_channels

    @property
    def bit_rate(self) -> int:
        """Bits per second for AAC, which takes at most 6 for each sample."""
        return min(_BITS_PER_CHANNEL, self.rate * 4) * self.channels


def sound_format(path: str | Path, track: str | None = None) -> SoundFormat | None:
    """Choose the format of the clips' sound: the source's where AAC has it; None without decodable sound.

    Args:
        path: The source.
        track: Which sound track, see `tools.media.reading.tracks.choose_audio`.

    Raises:
        MediaError: no_audio: the source has sound, but not this track.
    """
    opened = open_audio(path, track)
    if opened is None:
        return None
    container, stream = opened
    with container:
        rate = stream.codec_context.sample_rate
        channels = stream.codec_context.layout.nb_channels
        streams, own = [s.index for s in container.streams.audio], stream.index
    if not rate or not channels:
        return None
    rate = rate if rate in _AAC_RATES else 48_000
    return SoundFormat(rate, _LAYOUTS.get(channels, "stereo"), track, streams.index(own), own)


def left_behind(path: str | Path, *, keep_audio: bool, audio_track: str | None = None) -> list[str]:
    """What a source has beside its pictures and the sound that is kept, as ``audio aac (fra)``.

    Args:
        path: The source.
        keep_audio: Whether its sound is kept.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
    """
    with open_video(path) as (container, video):
        sound = choose_audio(container, path, audio_track) if keep_audio else None
        taken = {video.index, None if sound is None else sound.index}
        return [describe(s, kind=True) for s in container.streams if s.index not in taken]


def read_sound(
    path: str | Path, form: SoundFormat, start: Fraction, duration: Fraction, clock: Clock = CONTINUOUS
) -> Iterator[np.ndarray]:
    """Decode the sound of an interval.

    What is missing before and between sound is filled with silence; the end is left as short as it is. A few
    damaged packets are silent.

    Args:
        path: The source.
        form: Rate and layout of the result.
        start: Seconds in the file's own time (its first picture need not be at 0).
        duration: Seconds.
        clock: How the source's times are put on one clock, `PacketIndex.clock`.

    Yields:
        float32, shape (channels, samples): the first sample is the one at `start`, none is left out.

    Raises:
        MediaError: decode, after the last block: too many packets are damaged.
    """
    total = round(duration * form.rate)
    written = 0
    decoder = AudioDecoder(path, form.rate, form.layout, track=form.track, clock=clock)
    for at, block in decoder.blocks(start):
        if at >= total:
            break
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
            break
    decoder.check_damage()
