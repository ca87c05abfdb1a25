"""Read the sound of a file: which windows of it belong to which moments, and how loud it is."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.sound.audio import AudioTrack, Level, cut_windows
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.models.clap_mel import MelOptions, log_mel

NO_SOUND = -1
"""In place of the window of a moment without sound."""

_SHORTEST = 1.0  # seconds of sound that a window must have, or half of itself when that is less
_GAPS = "not all of the moments have sound: scored where there is some"
_DAMAGED = "parts of the sound are damaged, silent there"


@dataclasses.dataclass(frozen=True)
class SoundSettings:
    """How a track is read.

    Attributes:
        mel: Spectrograms that CLAP takes; None to measure the level only.
        window: Length of a window in seconds; None for as much as CLAP takes.
        silence: dBFS; a window whose peak lies below is silent.
        track: Which sound track, see `tools.media.reading.tracks.choose_audio`.

    Raises:
        UserError: A window of no length, or one that is longer than CLAP takes.
    """

    mel: MelOptions | None = None
    window: float | None = None
    silence: float = -60.0
    track: str | None = None

    def __post_init__(self) -> None:
        longest = self.mel.seconds if self.mel else math.inf
        if self.window is not None and not 0 < self.window <= longest:
            raise UserError(
                f"window: must be more than 0 and at most {longest:g} seconds, not {self.window:g}"
            )
        if not -120 <= self.silence <= 0:
            raise UserError(f"silence: must lie between -120 and 0 dBFS, not {self.silence:g}")

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return float(self.window or (self.mel.seconds if self.mel else 10))

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self.mel.rate if self.mel else 48_000


class SoundWindows(NamedTuple):
    """The sound of a file, ready for CLAP.

    Attributes:
        mels: float32, shape (windows, frames, bins): the spectrograms of the windows that have sound.
        window_of: For each moment the number of its window in `mels`, or `NO_SOUND`.
        level: Root mean square in dBFS of all sound while the pictures last.
        offset: Seconds from the first frame to the first sample; None when they are not of one file.
        failure: Why there is nothing to score, as [kind, message]; None when there is something.
        remarks: See `tools.stage.stage.REMARKS`.
    """

    mels: np.ndarray
    window_of: tuple[int, ...]
    level: float | None
    offset: float | None
    failure: list[str] | None
    remarks: list[str]


def picture_index(path: str) -> PacketIndex | None:
    """The packets of a video; None for an image, and for a file that has sound only.

    Raises:
        MediaError: The file cannot be read.
    """
    if is_image(path):
        return None
    try:
        return index_packets(path)
    except MediaError as error:
        if error.kind == "no_video":
            return None
        raise


def read_windows(
    path: str,
    audio_path: str | None,
    moments: Sequence[float] | None,
    settings: SoundSettings,
    index: PacketIndex | None,
) -> SoundWindows:
    """Read the sound that belongs to a file, in windows around its moments.

    Args:
        path: The video, image or audio file.
        audio_path: A file with its sound: its second 0 (see `AudioTrack`) is that of the first frame. None
            for the file's own track.
        moments: Seconds of the moments whose windows are read; None for windows that cover all of it.
        settings: Windows, silence and track.
        index: What `picture_index` gave for `path`.

    Raises:
        MediaError: no_audio, decode, too_short, or whatever is wrong with the file of the sound.
    """
    if audio_path is None or os.path.realpath(audio_path) == os.path.realpath(path):
        track, own = AudioTrack(path, settings.rate, index=index, track=settings.track), True
    else:
        track, own = AudioTrack(audio_path, settings.rate, track=settings.track), False
    end = _length(track) if index is None else index.duration
    if moments is None:
        moments = covering_moments(end, settings.seconds)
    level = Level()
    windows = place_windows(moments, end, settings.seconds)
    rate = settings.rate
    ranges = [(round(a * rate), round(b * rate)) for a, b in windows]
    distinct = sorted(set(ranges)) if settings.mel else []
    numbers: dict[tuple[int, int], int] = {}
    mels: list[np.ndarray] = []
    quiet = False
    blocks = _metered(track, end, level)
    for samples, window in zip(cut_windows(blocks, distinct), distinct, strict=True):
        if len(samples) < min(_SHORTEST * rate, (window[1] - window[0]) / 2):
            continue
        if Level().add(samples).peak < settings.silence:
            quiet = True
            continue
        numbers[window] = len(mels)
        assert settings.mel is not None, "no windows are cut without"
        mels.append(log_mel(samples[: settings.mel.samples], settings.mel))
    window_of = tuple(numbers.get(window, NO_SOUND) for window in ranges)
    failure = _why_not(level, settings, bool(mels), quiet, track)
    remarks = [_DAMAGED] if track.damaged else []
    if settings.mel and mels and NO_SOUND in window_of:
        remarks.append(_GAPS)
    stacked = np.stack(mels) if mels else np.zeros((0, 0, 0), np.float32)
    offset = track.offset if own else None
    return SoundWindows(stacked, window_of, level.rms if level.count else None, offset, failure, remarks)


def place_windows(moments: Sequence[float], end: float, seconds: float) -> list[tuple[float, float]]:
    """For each moment the window around it, moved so that it lies between 0 and `end`.

    Args:
        moments: Seconds.
        end: Seconds; a window is not longer than that.
        seconds: Length of a window.

    Returns:
        Start and end of each, in seconds.
    """
    length = min(seconds, end)
    starts = [min(max(0.0, moment - length / 2), end - length) for moment in moments]
    return [(start, start + length) for start in starts]


def covering_moments(end: float, seconds: float) -> list[float]:
    """The middles of as few windows as cover everything from 0 to `end`, at equal distances."""
    count = max(1, math.ceil(end / seconds - 1e-6))
    half = min(seconds, end) / 2
    return [float(moment) for moment in np.linspace(half, end - half, count)]


def _metered(track: AudioTrack, end: float, level: Level) -> Iterator[tuple[int, np.ndarray]]:
    """The sound from 0 to `end`, block by block; each is added to the level."""
    for at, block in track.blocks(0.0, end):
        level.add(block)
        yield at, block


def _length(track: AudioTrack) -> float:
    """Seconds from 0 to the last sample of a track that has no pictures to end with."""
    last = 0
    for at, block in track.blocks():
        last = at + len(block)
    return last / track.rate


def _why_not(
    level: Level, settings: SoundSettings, found: bool, quiet: bool, track: AudioTrack
) -> list[str] | None:
    """Why nothing can be scored; None when something can."""
    if not level.count:
        raise MediaError("no_audio", track.path, "its sound lies outside of the pictures")
    if level.peak < settings.silence:
        loudest = "digital silence" if level.peak <= -120 else f"the peak is at {level.peak:.1f} dBFS"
        return ["silent", f"{loudest}; what lies below {settings.silence:g} dBFS is taken for silence"]
    if settings.mel is None or found:
        return None
    if quiet:
        return ["silent", "it is silent at all of the moments that were to be scored"]
    return ["too_short", f"only {level.count / track.rate:.2f} s of sound at the moments to be scored"]
