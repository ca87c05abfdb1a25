"""The audio of a file on the clock of its video: samples with their times, and levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from tools.base.disk import ALWAYS, disk_error
from tools.errors import MediaError
from tools.media.reading.container import check_file, open_container, open_error
from tools.media.reading.extensions import is_image
from tools.media.reading.sound.decoding import AudioDecoder, frame_time
from tools.media.reading.timeline.clock import CONTINUOUS
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets

MIN_LEVEL = -120.0
"""Lowest level in dBFS that is reported, also for silence."""


@dataclasses.dataclass(frozen=True)
class Audio:
    """A section of audio.

    Attributes:
        samples: float32, shape (n,): the mean of the channels, full scale is 1.0.
        rate: Samples per second.
        start: Seconds from the first frame of the video to the first sample.
    """

    samples: np.ndarray
    rate: int
    start: float

    @property
    def end(self) -> float:
        """Seconds from the first frame of the video to the end of the last sample."""
        return self.start + len(self.samples) / self.rate

    @property
    def level(self) -> Level:
        """Its level."""
        return Level().add(self.samples)


class Level:
    """Level of samples, accumulated block by block.

    Attributes:
        count: Samples so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._squares = 0.0
        self._peak = 0.0

    def add(self, samples: np.ndarray) -> Level:
        """Add samples, float, full scale 1.0."""
        if len(samples):
            self.count += len(samples)
            self._squares += float(np.square(samples, dtype=np.float64).sum())
            self._peak = max(self._peak, float(np.abs(samples).max()))
        return self

    @property
    def rms(self) -> float:
        """Root mean square in dBFS, at least `MIN_LEVEL`; a full-scale sine has -3.01."""
        return _decibels(np.sqrt(self._squares / self.count)) if self.count else MIN_LEVEL

    @property
    def peak(self) -> float:
        """The greatest absolute sample in dBFS, at least `MIN_LEVEL`."""
        return _decibels(self._peak)


class AudioTrack:
    """The audio of a file, mixed to mono.

    Second 0 is the start of the first frame that a player shows; of a file without video, the first sample.
    Timestamps are those of libav: edit lists are applied, and encoder delay (priming) is removed.

    Args:
        path: A video or an audio file.
        rate: Samples per second of the output.
        index: The packets of the video, when they have been read already.
        track: The audio track, see `tools.media.reading.tracks.choose_audio`.

    Attributes:
        path: See above.
        rate: See above.
        damaged: Whether a part of the last section is damaged, and therefore silent.
        offset: Seconds from the first frame to the first sample, greater than 0 if the audio starts later;
            None without video.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable; no_audio if there is no audio track, not
            the requested one, or nothing in it; decode if none of it can be decoded. Errors of the video are
            raised as well.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int = 48_000,
        *,
        index: PacketIndex | None = None,
        track: str | None = None,
    ) -> None:
        self.path, self.rate, self.damaged, self._track = str(path), rate, False, track
        first = _first_sample(check_file(path), track)
        index = _video_index(path) if index is None else index
        pictures = None if index is None else int(index.pts[0]) * index.time_base
        self._clock = CONTINUOUS if index is None else index.clock
        self._origin = first if pictures is None else pictures
        self.offset = None if pictures is None else float(first - pictures)

    def blocks(self, start: float = 0.0, end: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Decode a section in blocks.

        Gaps between samples are filled with silence; nothing is added before the first or after the last.

        Args:
            start: Seconds.
            end: Seconds; None for the end of the track.

        Yields:
            The number of the block's first sample, counted from second 0; and float32, shape (n,). Each
            block starts where the previous one ended.

        Raises:
            MediaError: decode, after the last block, if too much of the track is damaged.
        """
        first = round(start * self.rate)
        stop = None if end is None else round(end * self.rate)
        expected: int | None = None
        decoder = AudioDecoder(self.path, self.rate, track=self._track, clock=self._clock)
        for at, channels in decoder.blocks(self._origin + Fraction(first, self.rate)):
            at += first
            block = channels.mean(axis=0, dtype=np.float32)
            if expected is not None:
                block, at = _join(block, at, expected)
            if stop is not None:
                block = block[: max(0, stop - at)]
            if len(block):
                yield at, block
                expected = at + len(block)
            if stop is not None and expected is not None and expected >= stop:
                break
        self.damaged = decoder.damaged > 0
        decoder.check_damage()

    def read(self, start: float = 0.0, end: float | None = None) -> Audio:
        """Decode a section.

        Args:
            start: Seconds.
            end: Seconds; None for the end of the track.

        Returns:
            Its samples: fewer than its length if the track starts later or ends earlier, none if it has none
            there.

        Raises:
            MediaError: decode.
        """
        blocks = list(self.blocks(start, end))
        if not blocks:
            return Audio(np.zeros(0, np.float32), self.rate, start)
        samples = np.concatenate([block for _, block in blocks])
        return Audio(samples, self.rate, blocks[0][0] / self.rate)


def read_audio(
    path: str | Path,
    rate: int = 48_000,
    *,
    start: float = 0.0,
    end: float | None = None,
    track: str | None = None,
) -> Audio:
    """Decode audio, mixed to mono.

    Args:
        path: A video or an audio file.
        rate: Samples per second of the output.
        start: Seconds from the first frame of the video; of an audio file, from the first sample.
        end: Seconds; None for the end of the track.
        track: The audio track, see `tools.media.reading.tracks.choose_audio`.

    Raises:
        MediaError: See `AudioTrack`.
    """
    return AudioTrack(path, rate, track=track).read(start, end)


def cut_windows(
    blocks: Iterable[tuple[int, np.ndarray]], windows: Sequence[tuple[int, int]]
) -> Iterator[np.ndarray]:
    """Cut windows from audio in blocks, keeping no more than is still needed.

    Args:
        blocks: As `AudioTrack.blocks` yields them.
        windows: First sample and the one after the last, both ascending; they may overlap.

    Yields:
        The available samples of each window, float32, shape (n,).
    """
    parts: list[list[np.ndarray]] = [[] for _ in windows]
    done = 0
    for at, block in blocks:
        end = at + len(block)
        for number in range(done, len(windows)):
            first, stop = windows[number]
            if first >= end:
                break
            parts[number].append(block[max(0, first - at) : max(0, stop - at)])
        while done < len(windows) and windows[done][1] <= end:
            yield _concatenate(parts[done])
            parts[done] = []
            done += 1
    for remaining in parts[done:]:
        yield _concatenate(remaining)


def _first_sample(path: Path, track: str | None) -> Fraction:
    """When the audio starts, in seconds on the file's clock."""
    if is_image(path):
        raise MediaError("no_audio", path, "is an image")
    try:
        with open_container(path) as opened:
            streams = len(opened.streams.audio)
        if not streams:
            raise MediaError("no_audio", path, "has no audio track")
        decoder = AudioDecoder(path, rate=1, track=track)
        frame = next(decoder.frames(), None)
    except (FFmpegError, OSError, UnicodeError) as error:
        raise disk_error(path, error, ALWAYS) or open_error(path, error) from None
    if frame is None and decoder.packets == 0 and decoder.damaged == 0:
        raise MediaError("no_audio", path, "its audio track is empty, or there is no decoder for it")
    if frame is None:
        raise MediaError("decode", path, "its audio cannot be decoded")
    return frame_time(frame) or Fraction(0)


def _video_index(path: str | Path) -> PacketIndex | None:
    """The packets of the video of a file; None without video."""
    try:
        return index_packets(path)
    except MediaError as error:
        if error.kind == "no_video":
            return None
        raise


def _join(block: np.ndarray, at: int, expected: int) -> tuple[np.ndarray, int]:
    """Make a block start where the last one ended: cut overlap, fill gaps."""
    if at < expected:
        return block[expected - at :], expected
    return np.concatenate([np.zeros(at - expected, np.float32), block]), expected


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _decibels(amplitude: float) -> float:
    return max(MIN_LEVEL, 20.0 * float(np.log10(amplitude))) if amplitude > 0 else MIN_LEVEL
