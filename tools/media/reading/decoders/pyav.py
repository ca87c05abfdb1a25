"""Decode frames of a video exactly: seeks are verified, and pictures identified by their packets."""

from __future__ import annotations

import bisect
import itertools
import operator
from collections.abc import Container, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from tools.media.reading.container import open_video
from tools.media.reading.pictures import Interpolation, PictureConverter
from tools.media.reading.timeline import bitstream
from tools.media.reading.timeline.packets import PacketIndex, decode_packet, numbered, packets

# Decoders of these formats can skip non-reference pictures without changing others.
_SKIPPABLE = ("h264", "mpeg1video", "mpeg2video", "mpeg4")
_MAX_REORDERED = 16  # most pictures that decoders delay for reordering
_SEEK_BY_BYTES = ("mpegts", "mpeg")
# Formats with an index: a seek to the first packet leads to what opening the file again would.
_SEEK_BY_INDEX = ("mov,mp4", "matroska,webm")


def _ascending(shown: Iterator[tuple[int, av.VideoFrame]]) -> Iterator[tuple[int, av.VideoFrame]]:
    """Sort pictures that a decoder outputs in wrong order where recordings were joined within a group.

    A picture that comes too late is left out, as if it could not be decoded.
    """
    held: list[tuple[int, av.VideoFrame]] = []
    last = -1
    for pair in itertools.chain(shown, [None] * _MAX_REORDERED):
        if pair is not None:
            bisect.insort(held, pair, key=operator.itemgetter(0))
        if held and (pair is None or len(held) > _MAX_REORDERED):
            number, picture = held.pop(0)
            if number > last:
                last = number
                yield number, picture


class Decoder:
    """An open video that decodes pictures by frame number; a context manager.

    Args:
        path: The video.
        index: Its packets.
        threads: Decoder threads; "auto" takes one per core.
        opened: The open video, which the caller closes; not together with `threads`.
        first: Its first picture, see `tools.media.reading.timeline.scan.index_opened`.
        loop_filter: Smooth the edges of blocks, as the format demands. Without, pictures are close to the
            true ones, and take a sixth to a quarter less time.
    """

    def __init__(
        self,
        path: str | Path,
        index: PacketIndex,
        *,
        threads: int | Literal["auto"] = 1,
        opened: tuple[InputContainer, av.VideoStream] | None = None,
        first: av.VideoFrame | None = None,
        loop_filter: bool = True,
    ) -> None:
        self.path = path
        self.index = index
        self._threads = 0 if threads == "auto" else threads
        self._opened = ExitStack()
        self._at_start = False
        self._given = opened
        self._first = first
        self._loop_filter = loop_filter
        self._certain: Container[int] | None = None

    def __enter__(self) -> Decoder:
        # Matroska files that were joined, once read to their end, have only their first part after a seek.
        if self._given and self.index.timing == "ok":
            self._use(*self._given)
        else:
            self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def pictures(
        self, numbers: Sequence[int], certain: Container[int] | None = None
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode frames; each group of pictures is decoded once, from its key frame to the last one.

        Args:
            numbers: Frame numbers, ascending, without duplicates.
            certain: Those that may not be left out; by default all. Of the others only those are decoded that
                these, or frames that the decoder cannot skip, refer to.

        Yields:
            Frame number and picture, in presentation order. Frames that cannot be decoded are left out.
        """
        self._certain = certain
        shown = self._count(numbers) if self.index.counted else self._by_groups(numbers)
        for number, picture in shown if self.index.timing == "ok" else _ascending(shown):
            picture.pts, picture.time_base = int(self.index.pts[number]), self.index.time_base
            yield number, picture

    def _by_groups(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        for start, group in self._groups(numbers):
            if (picture := self._known(start, group)) is not None:
                yield group[0], picture
                continue
            exact = yield from self._decode(start, group)
            if not exact:
                yield from self._decode(0, group)

    def _known(self, start: int, group: Sequence[int]) -> av.VideoFrame | None:
        """The first picture, if nothing else has to be decoded and it is that of the group's only frame."""
        picture = self._first
        if picture is None or len(group) > 1 or picture.pts != start or picture.is_corrupt:
            return None
        self._first = None  # its time is set where it is used
        return picture if self.index.positions[group[0]] == start else None

    def _groups(self, numbers: Sequence[int]) -> list[tuple[int, Sequence[int]]]:
        """Split frames into runs that are decoded without seeking: (first packet, frames)."""
        if not len(numbers):
            return []
        starts = self.index.start_positions(numbers)
        reached = np.maximum.accumulate(self.index.positions[np.asarray(numbers)])
        gaps = np.flatnonzero(starts[1:] > reached[:-1] + 1) + 1
        bounds = [0, *gaps.tolist(), len(numbers)]
        return [(int(starts[a:b].min()), numbers[a:b]) for a, b in itertools.pairwise(bounds)]

    def _decode(self, start: int, group: Sequence[int]) -> Generator[tuple[int, av.VideoFrame], None, bool]:
        """Decode from one packet until all frames of a group are output.

        Some key frames only start a gradual refresh: their own picture is not output, and the following ones
        are close to the true pictures, but not equal.

        Returns:
            False, with nothing yielded, if the key frame's own picture was not output complete.
        """
        left = {int(self.index.positions[i]): i for i in group}
        last = int(self.index.positions[np.asarray(group)].max()) + (4 if self.index.irregular else 0)
        awaited = None
        for position, packet in self._packets_from(start):
            if start and position == start:
                awaited = position
            needed = position in left and (self._certain is None or left[position] in self._certain)
            needed |= position == awaited
            for picture in self._decode_packet(numbered(position, packet), needed):
                if picture.pts == awaited and not picture.is_corrupt:
                    awaited = None
                if picture.pts in left:
                    if awaited is not None:
                        return False
                    yield left.pop(picture.pts), picture
            if not left:
                return True
            if position >= last:
                break
        # Flush the pictures that are delayed for reordering, without decoding further packets.
        for picture in self._decode_packet(None):
            if picture.pts == awaited and not picture.is_corrupt:
                awaited = None
            if picture.pts in left and awaited is None:
                yield left.pop(picture.pts), picture
        return awaited is None

    def _count(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode from the beginning and count the pictures that are output."""
        left = set(numbers)
        number = 0
        stored = (packet for _, packet in self._packets_from(0))
        for packet in itertools.chain(stored, [None]):
            for picture in decode_packet(self._context, packet):
                if number in left:
                    left.remove(number)
                    yield number, picture
                number += 1
            if not left:
                return

    def _decode_packet(self, packet: av.Packet | None, needed: bool = True) -> list[av.VideoFrame]:
        if self._skippable:
            self._context.skip_frame = "DEFAULT" if needed else "NONREF"
        return decode_packet(self._context, packet)

    def _packets_from(self, start: int) -> Iterator[tuple[int, av.Packet]]:
        """The packets from number `start`, with their numbers."""
        returns = self._given is not None and self._container.format.name.startswith(_SEEK_BY_INDEX)
        if (start or returns) and (landed := self._seek(start)) is not None:
            position = start
            yield position, landed
        else:
            position = -1
            if not self._at_start:
                self._open()
            self._at_start = False
        for packet in self._stored:
            position += 1
            if position >= start:
                yield position, packet

    def _seek(self, start: int) -> av.Packet | None:
        """Seek to a key frame's packet, and read it; None if every attempt lands behind it."""
        key = int(np.searchsorted(self.index.key_positions, start))
        if key == len(self.index.key_positions) or self.index.key_positions[key] != start:
            return None
        stamp, dts = int(self.index.key_stamps[key]), int(self.index.key_dts[key])
        offset = int(self.index.key_byte_offsets[key]) if self.index.timing != "ok" else -1
        self._at_start = False
        if offset >= 0 and self._container.format.name in _SEEK_BY_BYTES:
            return self._seek_byte(offset)
        for earlier in (0, 1, 4):  # seeks in transport streams are guesses, and may land too late
            try:
                target = int(self.index.key_dts[max(0, key - earlier)])
                self._container.seek(target, stream=self._stream, backward=True)
            except FFmpegError:
                continue
            self._context.flush_buffers()
            self._stored = packets(self._container, self._stream)
            for packet in self._stored:
                if packet.pts == stamp and packet.is_keyframe and offset in (-1, packet.pos):
                    return packet
                if packet.dts is not None and packet.dts > dts:
                    break
        return None

    def _seek_byte(self, offset: int) -> av.Packet | None:
        """Seek to the packet at a byte offset of the file, for damaged times."""
        try:
            self._container.seek(offset, stream=self._stream, unsupported_byte_offset=True)
        except FFmpegError:
            return None
        self._context.flush_buffers()
        self._stored = packets(self._container, self._stream)
        packet = next(self._stored, None)
        return packet if packet is not None and packet.pos == offset else None

    def _open(self) -> None:
        self._opened.close()
        self._given = None
        self._use(*self._opened.enter_context(open_video(self.path, threads=self._threads)))
        self._at_start = True

    def _use(self, container: InputContainer, stream: av.VideoStream) -> None:
        self._container, self._stream = container, stream
        self._context = stream.codec_context
        if not self._loop_filter:
            self._context.options = {"skip_loop_filter": "all"}
        self._stored = packets(container, stream)
        codec = self.index.codec
        self._skippable = codec in _SKIPPABLE or (
            codec == "hevc" and bitstream.hevc_has_one_layer(self._context.extradata)
        )


class _PyAV:
    """The default decoder: correct for every video that libav can open."""

    single_pass = True

    def supports(self, index: PacketIndex) -> bool:
        """Every video."""
        return True

    def read_images(
        self,
        path: str | Path,
        numbers: Sequence[int],
        index: PacketIndex,
        *,
        size: tuple[int, int] | None = None,
        interpolation: Interpolation = "bicubic",
        threads: int | Literal["auto"] = 1,
    ) -> dict[int, np.ndarray]:
        """Read frames, see `tools.media.reading.decoders.FrameDecoder`."""
        convert = PictureConverter(index, size=size, interpolation=interpolation)
        with Decoder(path, index, threads=threads) as decoder:
            return {
                number: convert(picture)
                for number, picture in decoder.pictures(numbers)
                if not picture.is_corrupt
            }


DECODER = _PyAV()
"""See `tools.media.reading.decoders.DECODERS`."""
