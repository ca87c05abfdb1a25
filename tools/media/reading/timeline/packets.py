"""The index of a video: its frames as known from its packets, and where decoding starts for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from tools.media.reading.colour.hdr import Hdr
from tools.media.reading.limits import check_pixels
from tools.media.reading.orientation import Orientation
from tools.media.reading.sampling import TIME_TOLERANCE, frame_at
from tools.media.reading.timeline.clock import CONTINUOUS, Clock

LONG_FRAME_SECONDS = 0.1
"""A frame that is on screen for longer (a slide, a screen recording) may belong to two scenes."""


class SizeChange(NamedTuple):
    """A change of the size or orientation of pictures.

    Attributes:
        position: Number of the packet, in stored order.
        width: Pixels as stored.
        height: Pixels as stored.
        orientation: How they are rotated.
    """

    position: int
    width: int
    height: int
    orientation: Orientation


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """Every frame of a video in presentation order, found without decoding it.

    Attributes:
        path: The file.
        stream: Number of the video stream in the file.
        time_base: Seconds per tick of `pts`; of the stream, or finer where times were repaired.
        pts: int64, shape (frames,): presentation time of each frame, ascending.
        positions: int64, shape (frames,): which packet of the stream (in stored order) holds each frame.
        sizes: int64, shape (frames,): bytes of the packet of each frame.
        key_positions: int64: packets at which decoding can start, in stored order.
        key_pts: int64: their presentation times.
        key_stamps: int64: their presentation times in the file, in ticks of its stream.
        key_dts: int64: their decoding times in the file, which seeks use.
        key_byte_offsets: int64: their byte offsets in the file; -1 if unknown.
        end_pts: Presentation time at which the last frame ends.
        damaged: int64: frames whose packet is incomplete, and refused by decoders.
        counted: True when packets carry no usable presentation times (H.264 in AVI): then a frame is
            known only by counting decoded pictures from the beginning.
        irregular: True if packets are not pictures (separate fields, two packed), so that all were decoded.
        orientation: How the stored picture is rotated and mirrored for display.
        sample_aspect_ratio: Width of a stored pixel by its height.
        coded_width: Width as stored.
        coded_height: Height as stored.
        pix_fmt: Pixel format of the first picture.
        codec: Name of the codec.
        average_rate: Frames per second as the file states or libav guesses, None when unknown.
        has_audio: Whether there is an audio stream.
        timing: "ok" if all times are those of the file, "repaired" if damaged ones were interpolated,
            "restarted" if the file's clock restarts and its parts were joined.
        hdr: Colour metadata of the first picture; None for SDR.
        stored_bytes: Bytes of all packets of the stream.
        size_changes: Where the size or orientation of pictures changes.
        audio_codec: Codec of the audio track that is used; None if there is none.
        audio_tracks: Number of audio tracks.
        colour: Colour properties of the first picture, see `tools.media.reading.colour.hdr.colour_name`.
        clock: Puts the times of other streams on the same clock as `pts`.
    """

    path: str
    stream: int
    time_base: Fraction
    pts: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray
    key_positions: np.ndarray
    key_pts: np.ndarray
    key_stamps: np.ndarray
    key_dts: np.ndarray
    key_byte_offsets: np.ndarray
    end_pts: int
    damaged: np.ndarray
    counted: bool
    irregular: bool
    orientation: Orientation
    sample_aspect_ratio: Fraction
    coded_width: int
    coded_height: int
    pix_fmt: str | None
    codec: str
    average_rate: Fraction | None
    has_audio: bool
    timing: str = "ok"
    hdr: Hdr | None = None
    colour: str = "unknown"
    stored_bytes: int = 0
    size_changes: tuple[SizeChange, ...] = ()
    audio_codec: str | None = None
    audio_tracks: int = 0
    clock: Clock = CONTINUOUS

    @property
    def num_frames(self) -> int:
        """Frames before the first damaged packet: all frames of an intact file.

        A decoder that stops at damage gives as many. `pts` and `times` include the frames after it.
        """
        return int(self.damaged[0]) if len(self.damaged) else len(self.pts)

    @cached_property
    def times(self) -> np.ndarray:
        """Float64, shape (frames,): seconds from the start of the first frame to the start of each."""
        return (self.pts - self.pts[0]).astype(np.float64) * float(self.time_base)

    @property
    def duration(self) -> float:
        """Seconds from the start of the first frame to the end of the last of `num_frames`."""
        count = self.num_frames
        end = self.end_pts if count == len(self.pts) else int(self.pts[count])
        return float((end - int(self.pts[0])) * self.time_base)

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the stored picture is rotated (after mirroring): 0, 90, 180, 270."""
        return self.orientation.rotation

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height as displayed: square pixels, upright."""
        width = max(1, round(self.coded_width * self.sample_aspect_ratio))
        return (self.coded_height, width) if self.orientation.swaps_sides else (width, self.coded_height)

    @property
    def longest_group(self) -> int | None:
        """Largest distance between key frames, in frames in stored order; None without key frames."""
        if not len(self.key_positions):
            return None
        begins = np.searchsorted(np.sort(self.positions), self.key_positions)
        return int(np.diff(np.append(begins, len(self.positions))).max())

    @cached_property
    def key_frames(self) -> np.ndarray:
        """int64: numbers of the frames that are decoded alone, ascending.

        None where packets are not pictures: there a frame is found by decoding the ones before it.
        """
        if self.counted or self.irregular:
            return np.zeros(0, np.int64)
        return np.flatnonzero(np.isin(self.positions, self.key_positions))

    def from_frame(self, number: int) -> PacketIndex:
        """This index with the size and orientation that pictures have from a frame on."""
        position = int(self.positions[number])
        before = [change for change in self.size_changes if change.position <= position]
        return self.stored_as(*before[-1][1:]) if before else self

    def stored_as(self, width: int, height: int, orientation: Orientation | None = None) -> PacketIndex:
        """This index with another size and orientation of stored pictures; itself if they are equal."""
        orientation = orientation or self.orientation
        if (width, height, orientation) == (self.coded_width, self.coded_height, self.orientation):
            return self
        return dataclasses.replace(self, coded_width=width, coded_height=height, orientation=orientation)

    def within_limits(self) -> PacketIndex:
        """This index, if no picture has too many pixels: with square ones, or after a change of the size.

        Raises:
            MediaError: too_large.
        """
        check_pixels(self.path, *self.displayed_size, "with square pixels its pictures have")
        for change in self.size_changes:
            check_pixels(self.path, change.width, change.height, "later pictures have")
        return self

    def frame_at(self, seconds: float) -> int:
        """The frame on screen at a time: the last that starts at or before it, within 1 ms; at least 0."""
        return max(0, frame_at(self.times, seconds))

    def frames_between(self, start: float | None = None, end: float | None = None) -> range:
        """The frames that start in the half-open interval [start, end), in seconds, within 1 ms."""
        first = 0 if start is None else int(np.searchsorted(self.times, start - TIME_TOLERANCE))
        stop = len(self.pts) if end is None else int(np.searchsorted(self.times, end - TIME_TOLERANCE))
        return range(first, max(first, stop))

    def start_positions(self, frames: Sequence[int]) -> np.ndarray:
        """Packets from which decoding yields each frame exactly: a key frame shown no later, or packet 0.

        A picture stored after a key frame but shown before it may refer to the previous group of pictures.

        Args:
            frames: Frame numbers.

        Returns:
            int64, shape (frames,).
        """
        if not len(self.key_positions):
            return np.zeros(len(frames), np.int64)
        numbers = np.asarray(frames, np.int64)
        positions, pts = self.positions[numbers], self.pts[numbers]
        key = np.searchsorted(self.key_positions, positions, side="right") - 1
        while (later := (key >= 0) & (self.key_pts[key] > pts)).any():
            key[later] -= 1
        return np.where(key >= 0, self.key_positions[key], 0)


def packets(container: InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """The packets of a stream that are not empty; an error of the demuxer ends them like the end of file."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def numbered(position: int, packet: av.Packet) -> av.Packet:
    """Replace a packet's time by its number, which the decoder passes on to the picture.

    So each picture is identified by its packet, whatever the times in the file are.
    """
    packet.pts = position
    return packet


def decode_packet(context: av.VideoCodecContext, packet: av.Packet | None) -> list[av.VideoFrame]:
    """Decode one packet (None flushes delayed pictures); a damaged packet yields no picture."""
    try:
        return context.decode(packet)
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return []


def decoding_ticks(ticks: Sequence[int]) -> list[int]:
    """Decoding times for pictures in stored order.

    Picture i is decoded at the i-th of all presentation times, less the delay that keeps every picture from
    being shown before it is decoded. That holds for any rate and any order.

    Args:
        ticks: Presentation time of each picture, in stored order.
    """
    if not ticks:
        return []
    ordered = sorted(ticks)
    delay = max(due - own for due, own in zip(ordered, ticks, strict=True))
    return [due - delay for due in ordered]
