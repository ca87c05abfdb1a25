"""The sound of a clip: exactly the samples between its start and its end, wherever packets begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tools.media.audio_decoding import AudioDecoder, open_audio

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
    opened = open_audio(path)
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
    for at, block in AudioDecoder(path, form.rate, form.layout).blocks(start):
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
