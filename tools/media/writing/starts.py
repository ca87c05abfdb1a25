"""Where a copy of packets may start: groups of pictures, closed or open, and the parameter sets in force."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import av
import numpy as np
from av.container import InputContainer

from tools.media.reading.container import open_video
from tools.media.reading.timeline.bitstream import nal_length_size
from tools.media.reading.timeline.packets import PacketIndex, decode_packet, numbered, packets
from tools.media.reading.video_frames import iter_video_frames
from tools.media.writing.copying import NotCopyable
from tools.media.writing.joins import Join, Key, join_of
from tools.media.writing.nal_units import joined, units_of

_LONGEST_CHECK = 300  # frames after an open start that are compared, if no key frame follows


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a copy may start.

    Attributes:
        frame: The first frame. Frames that are stored later and shown before it are left out.
        position: Number of its packet.
        open: Whether its packets have to be changed so that decoding can start there.
        sets: Parameter sets that are in force there, but neither in the header nor in its packet.
    """

    frame: int
    position: int
    open: bool
    sets: tuple[bytes, ...]


class SourceStarts:
    """The starts of a source, found in one pass over its packets.

    Args:
        index: Its packets.
        bits: Of its pictures.

    Attributes:
        join: What its codec needs.
        header_is_complete: Whether no packet has other parameter sets than the header.
        doubtful: Packets of which bytes may be lost (gaps in a transport stream); only decoding tells.

    Raises:
        NotCopyable: Nothing can be joined with its packets.
    """

    def __init__(self, index: PacketIndex, bits: int) -> None:
        self._index = index
        self._right: dict[int, bool] = {}
        with open_video(index.path) as (container, stream):
            self._extradata = bytes(stream.codec_context.extradata or b"")
            self._length_size = nal_length_size(index.codec, self._extradata)
            self.join: Join = join_of(index.codec, self._extradata)
            try:
                seen, found = self._scan(packets(container, stream))
            except (ValueError, IndexError):
                raise NotCopyable("its parameter sets cannot be read") from None
        self.join.choose_numbers(seen, bits)
        # Slices are read by the parameter sets, of which there must be one of each number then.
        self._starts = [s for s in found if not (s.open and self.join.checked and self._ambiguous)]
        self._frames = np.array([start.frame for start in self._starts], np.int64)

    def first(self, frames: range) -> Start | None:
        """The first start among some frames."""
        at = int(np.searchsorted(self._frames, frames.start))
        for start in self._starts[at:]:
            if start.frame >= frames.stop:
                return None
            if not start.open or not self.join.checked or self._is_right(start):
                return start
        return None

    def decodable(self, start: Start, stored: Iterable[bytes], *, first: bool) -> Iterator[bytes]:
        """Packets from a start on as a decoder takes them that knows the header.

        Args:
            start: The start.
            stored: The packets, without those of the frames that are left out.
            first: Nothing is decoded before them.
        """
        if start.open and (self.join.checked or not first):
            stored = self.join.opened(stored)
        for number, packet in enumerate(stored):
            yield packet if number else joined(start.sets, self._length_size) + packet

    def packets(
        self, container: InputContainer, stream: av.VideoStream, start: Start
    ) -> Iterator[tuple[int, av.Packet]]:
        """The packets from a start on, and maybe some before it, with their numbers."""
        if self._index.timing == "ok":  # damaged times cannot be searched
            key = int(np.searchsorted(self._index.key_positions, start.position))
            stamp = int(self._index.key_stamps[key])
            container.seek(int(self._index.key_dts[key]), stream=stream, backward=True)
            reading = packets(container, stream)
            for packet in reading:
                if packet.is_keyframe and packet.pts == stamp:
                    yield start.position, packet
                    yield from enumerate(reading, start.position + 1)
                    return
                if packet.is_keyframe and (packet.pts or 0) > stamp:
                    break  # too late; count from the beginning
        with open_video(self._index.path) as (container, stream):
            yield from enumerate(packets(container, stream))

    def _scan(self, stored: Iterable[av.Packet]) -> tuple[dict[Key, bytes], list[Start]]:
        """All parameter sets, and the starts."""
        header = {self.join.set_key(unit): unit for unit in self.join.header_sets()}
        state, changed = dict(header), False
        frame_of = dict(zip(self._index.positions.tolist(), range(len(self._index.positions)), strict=True))
        before, after = self._neighbours()
        starts = []
        self.doubtful: list[int] = []
        for position, packet in enumerate(stored):
            if packet.is_corrupt:
                self.doubtful.append(position)
            own = {}
            units = []
            for unit in units_of(bytes(packet), self._length_size):
                if (key := self.join.set_key(unit)) is not None:
                    changed |= state.get(key, unit) != unit
                    own[key] = state[key] = unit
                elif not packet.is_keyframe and self.join.is_picture(unit):
                    break  # what follows are further slices
                units.append(unit)
            frame = frame_of.get(position)
            if not packet.is_keyframe or frame is None or after[frame] != position:
                continue
            kind = self.join.start(units, leading=bool(before[frame] > position))
            if kind:
                extra = [u for k, u in state.items() if header.get(k) != u and k not in own]
                starts.append(Start(frame, position, kind == "open", tuple(extra)))
        self._ambiguous = changed
        self.header_is_complete = state == header and not changed
        return {key: unit for key, unit in state.items() if key is not None}, sorted(
            starts, key=lambda s: s.frame
        )

    def _neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """For each frame the last packet of the frames before it, and the first of it and those after it."""
        positions = self._index.positions
        before = np.concatenate([[-1], np.maximum.accumulate(positions)[:-1]])
        return before, np.minimum.accumulate(positions[::-1])[::-1]

    def _is_right(self, start: Start) -> bool:
        """Whether a group decoded alone gives the source's pictures, up to those before the next key frame.

        Nothing that comes later refers to what is before the start.
        """
        if start.position not in self._right:
            try:
                self._right[start.position] = self._compare(start)
            except ValueError:  # the packets cannot be changed
                self._right[start.position] = False
        return self._right[start.position]

    def _compare(self, start: Start) -> bool:
        index = self._index
        later = self._frames[self._frames > start.frame]
        stop = min([*later[:1].tolist(), start.frame + _LONGEST_CHECK, len(index.pts)])
        frames = range(start.frame, stop)
        alone = self._decoded_alone(start, frames)
        for number, _, picture in iter_video_frames(index.path, frames=frames, index=index):
            other = next(alone, None)
            if other is None or other.pts != index.positions[number] or not _equal(picture, other):
                return False
        return True

    def _decoded_alone(self, start: Start, frames: range) -> Iterator[av.VideoFrame]:
        stored = self._index.positions[start.frame :]
        last = int(self._index.positions[frames.start : frames.stop].max())
        wanted = set(stored[stored <= last].tolist())
        context = av.CodecContext.create(self._index.codec, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = self._extradata
        with open_video(self._index.path) as (container, stream):
            source = []
            for position, packet in self.packets(container, stream, start):
                if position in wanted:
                    source.append((position, bytes(packet)))
                if position >= last:
                    break
        changed = self.decodable(start, (data for _, data in source), first=True)
        for (position, _), data in zip(source, changed, strict=True):
            yield from decode_packet(context, numbered(position, av.Packet(data)))
        yield from decode_packet(context, None)


def _equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    return not other.is_corrupt and np.array_equal(one.to_ndarray(), other.to_ndarray())
