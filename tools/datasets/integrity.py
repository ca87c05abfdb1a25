"""Decode one file from beginning to end, and say whether it is whole and where it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.logging
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from tools.errors import MediaError
from tools.media.reading.container import check_file, open_video, reason
from tools.media.reading.extensions import is_image
from tools.media.reading.timeline.packets import PacketIndex, numbered
from tools.media.reading.timeline.scan import index_packets
from tools.media.reading.tracks import choose_audio, decodable

# Formats whose header states a duration; in the others libav estimates it from what is there.
_STATE_DURATION = ("matroska,webm", "avi", "flv", "asf")
_SLACK = 0.5  # seconds by which a stated duration may be off: muxers round, and count the last frame or not
_NOT_THERE = ("missing", "not_a_file", "bad_value")
_SHOWN = 3  # troubles that are spelled out


@dataclasses.dataclass(frozen=True)
class Integrity:
    """What decoding a file to its end has shown.

    Attributes:
        intact: Nothing is wrong with it.
        broken_at: Seconds from first frame to first damage; None when intact, or when there is no file.
        broken_frames: Frames of the video that are missing, patched up by the decoder, or complained about.
        decoded_frames: Frames of the video that the decoder gave, whole or not; 1 for an image.
        reason: What is wrong; None when intact.
    """

    intact: bool
    broken_at: float | None
    broken_frames: int
    decoded_frames: int
    reason: str | None


def check_file_integrity(path: str | Path, *, audio_track: str | None = None) -> Integrity:
    """Decode an image, or all video and audio streams of a file, once.

    Damage is: whatever libav calls an error at its log level "error" (so all that ``ffmpeg -v error -f null``
    says); pictures that the decoder patched up in silence; packets that arrive damaged; frames that are
    announced by their packets and do not come out; data that the header places behind the end of the file; a
    stated size or duration that is not reached; times that go backwards; a sound track without any sound.

    Args:
        path: An image or a video; by its suffix.
        audio_track: The only sound track that counts, see `choose_audio`; None for all.

    Returns:
        The verdict; a file that is missing or cannot be opened is not intact.

    Raises:
        MediaError: too_large.
    """
    try:
        check_file(path)
        return _check_image(path) if is_image(path) else _Video(path, audio_track).check()
    except MediaError as error:
        if error.kind == "too_large":  # nothing was judged
            raise
        at = None if error.kind in _NOT_THERE else 0.0
        return Integrity(False, at, 0, 0, f"{error.kind}: {error.message}")


def _check_image(path: str | Path) -> Integrity:
    from tools.media.reading.images import image_info, read_image

    try:
        read_image(path)
        _, form, _ = image_info(path)
    except MediaError as error:
        if error.kind == "too_large":
            raise
        return Integrity(False, 0.0, 1, 0, f"{error.kind}: {error.message}")
    if form in ("jpeg", "mpo") and (complaint := _jpeg_complaint(path)):
        return Integrity(False, 0.0, 1, 1, complaint)
    return Integrity(True, None, 0, 1, None)


def _jpeg_complaint(path: str | Path) -> str | None:
    """What libav's decoder says of a JPEG; Pillow's keeps to itself what it patches up."""
    with _complaints() as said:
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.thread_count = 1
        try:
            shown = [*decoder.decode(av.Packet(Path(path).read_bytes())), *decoder.decode(None)]
        except FFmpegError:  # a kind of JPEG that it does not know: no verdict
            return None
        if not shown:
            return None
        if shown[0].is_corrupt:
            return "a picture that the decoder patched up"
        return _first_line(said) if said else None


@contextmanager
def _complaints() -> Iterator[list[tuple[int, str, str]]]:
    """What libav logs as errors in this thread, one by one; decoders with one thread log in it, too."""
    level, skipped = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=True) as captured:
            yield captured
    finally:
        av.logging.set_skip_repeated(skipped)
        av.logging.set_level(level)


class _Video:
    """One pass over a video.

    Args:
        path: The file.
        audio_track: The only sound track that counts; None for all.
    """

    def __init__(self, path: str | Path, audio_track: str | None = None) -> None:
        self._path, self._audio_track = path, audio_track
        self._troubles: list[tuple[float, str]] = []
        self._hints: list[tuple[float, str]] = []  # faults whose time is uncertain
        self._whole: set[int | None] = set()  # numbers of the video's packets whose pictures came out whole
        self._whole_count = self._decoded = 0
        self._suspect: set[int] = set()
        self._number = -1
        self._last_dts: dict[int, int] = {}
        self._sounds: dict[int, int] = {}
        self._now = self._later = 0.0
        self._reached = 0.0

    def check(self) -> Integrity:
        """Decode all of it.

        Raises:
            MediaError: It cannot be opened, has no video, or no picture can be decoded.
        """
        index = self._index()
        self._start = float(index.pts[0] * index.time_base)
        self._times = dict(zip(index.positions.tolist(), index.times.tolist(), strict=True))
        self._counted = index.counted
        with _complaints() as said, open_video(self._path) as (container, video):
            # Decoders complain while the file is opened, too, and will again: only the header counts here.
            self._hints = [(0.0, _first_line([line])) for line in said if line[1] == container.format.name]
            said.clear()
            self._video = video.index
            self._clocks = {stream.index: index.clock.follow() for stream in container.streams}
            self._decode(container, said)
            beyond = self._compare_size(container)
            self._compare_duration(container)
        self._compare_sound()
        lost = self._compare_frames(index)
        self._troubles = self._troubles or self._hints
        if not self._troubles:
            return Integrity(True, None, 0, self._decoded, None)
        at = round(max(0.0, min(at for at, _ in self._troubles)), 6)
        return Integrity(False, at, lost + beyond, self._decoded, self._reason())

    def _index(self) -> PacketIndex:
        with _complaints() as said:
            try:
                return index_packets(self._path)
            except MediaError as error:
                said = [line for line in said if "whitelist" not in line[2]]  # which is a long one
                why = f" ({_first_line(said)})" if said and "(" not in error.message else ""
                raise MediaError(error.kind, self._path, error.message + why) from None

    def _decode(self, container: InputContainer, said: list[tuple[int, str, str]]) -> None:
        streams = [s for s in container.streams if s.type in ("video", "audio") and decodable(s)]
        if self._audio_track is not None:
            sound = choose_audio(container, self._path, self._audio_track)
            streams = [s for s in streams if s.type != "audio" or s == sound]
        for stream in container.streams:
            stream.discard = Discard.default
        for stream in streams:
            stream.codec_context.thread_count = 1
        self._sounds = {s.index: 0 for s in streams if s.type == "audio"}
        judged = {s.index for s in streams}
        packets = container.demux()
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                packet = None
                self._trouble(self._now, f"cannot be read on: {reason(error)}")
            if said:  # of reading the packet, not of decoding it
                at = self._time(packet) if packet and packet.size else self._now
                own = [line for line in said if line[1] == container.format.name]
                # Parsers read ahead: the decoder will say the same at the right time.
                (self._troubles if own else self._hints).append((at, _first_line(own or said)))
                said.clear()
            if packet is None:
                return
            if packet.size:
                self._later = float(self._clocks[packet.stream_index].offset(packet))
            if packet.stream.index in judged:
                self._take(packet, said)
            elif packet.size:  # the stated duration is that of the longest track
                self._reach(packet, self._time(packet))

    def _take(self, packet: av.Packet, said: list[tuple[int, str, str]]) -> None:
        """Decode one packet, or flush a decoder."""
        self._look_at(packet)
        at = self._time(packet)
        # A flushing packet identifies its stream only by its attribute stream.
        is_video = packet.stream.index == self._video
        if is_video and packet.size:
            self._number += 1
            numbered(self._number, packet)
        refused = None
        try:
            pictures = packet.decode()
        except FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            pictures, refused = [], error.strerror
        if said or refused:
            self._trouble(at, _first_line(said) if said else f"cannot be decoded: {refused}")
            if is_video and packet.size:
                self._suspect.add(self._number)
            said.clear()
        for picture in pictures:
            if is_video:
                self._show(picture)
            elif packet.stream.index in self._sounds:
                self._sounds[packet.stream.index] += picture.samples

    def _look_at(self, packet: av.Packet) -> None:
        if packet.is_corrupt:
            self._trouble(self._time(packet), f"a damaged packet of {packet.stream.type}")
        if packet.dts is not None:
            before = self._last_dts.get(packet.stream_index)
            if before is not None and packet.dts < before:
                back = float((before - packet.dts) * packet.time_base)
                message = f"times of {packet.stream.type} go back by {back:.3f} s"
                self._trouble(self._time(packet), message)
            self._last_dts[packet.stream_index] = packet.dts
        if packet.size:
            self._now = self._time(packet)
            self._reach(packet, self._now)

    def _reach(self, packet: av.Packet, at: float) -> None:
        self._reached = max(self._reached, at + float((packet.duration or 0) * packet.time_base))

    def _show(self, picture: av.VideoFrame) -> None:
        self._decoded += 1
        at = self._now if self._counted else self._times.get(picture.pts, self._now)
        if picture.is_corrupt:
            self._trouble(at, "a picture that the decoder patched up")
        elif picture.pts not in self._suspect:
            self._whole.add(picture.pts)
            self._whole_count += 1

    def _time(self, packet: av.Packet) -> float:
        """Seconds from the first frame."""
        ticks = packet.dts if packet.pts is None else packet.pts
        return self._now if ticks is None else float(ticks * packet.time_base) + self._later - self._start

    def _compare_size(self, container: InputContainer) -> int:
        """Find data that the header places behind the end of the file; count the frames among it."""
        size = Path(self._path).stat().st_size
        promised = _promised(container, size)
        beyond = sum(promised.get(self._video, []))
        if any(promised.values()):
            number = len(promised[self._video]) or sum(map(len, promised.values()))
            what = "frames" if promised[self._video] else "packets of sound"
            self._trouble(self._reached, f"the file ends before the last {number} {what} of its index")
        if container.format.name == "avi":
            with Path(self._path).open("rb") as file:
                stated = int.from_bytes(file.read(8)[4:], "little") + 8
            if stated > size:
                self._trouble(self._reached, f"the file has {size} of {stated} bytes")
        return beyond

    def _compare_duration(self, container: InputContainer) -> None:
        if container.format.name not in _STATE_DURATION or not container.duration:
            return
        stated = container.duration / av.time_base - self._start
        if self._reached < stated - _SLACK:
            self._trouble(self._reached, f"ends after {self._reached:.3f} of {stated:.3f} s")

    def _compare_sound(self) -> None:
        for samples in self._sounds.values():
            if not samples:
                self._trouble(0.0, "its sound track holds no sound")

    def _compare_frames(self, index: PacketIndex) -> int:
        """Frames that did not come out whole."""
        if index.counted:
            return max(0, len(index.pts) - self._whole_count)
        lost = [frame for frame, number in enumerate(index.positions.tolist()) if number not in self._whole]
        if lost and not self._troubles:
            self._trouble(float(index.times[lost[0]]), f"frame {lost[0]} does not come out of the decoder")
        return len(lost)

    def _trouble(self, at: float, message: str) -> None:
        self._troubles.append((at, message))

    def _reason(self) -> str:
        first: dict[str, float] = {}
        for at, message in sorted(self._troubles):
            first.setdefault(message, max(0.0, at))
        shown = [f"{message} (at {at:.3f} s)" for message, at in first.items()]
        more = len(shown) - _SHOWN
        return "; ".join(shown[:_SHOWN] + ([f"and {more} more"] if more > 0 else []))


def _promised(container: InputContainer, size: int) -> dict[int, list[bool]]:
    """The packets of each stream of an mp4 or mov that its index places behind the end of the file.

    Returns:
        For each stream one entry per packet: False for one that begins before the end (it is read, short).
    """
    if not container.format.name.startswith("mov,mp4"):
        return {}
    return {
        stream.index: [e.pos >= size for e in stream.index_entries if e.pos + e.size > size]
        for stream in container.streams
        if stream.type in ("video", "audio")
    }


def _first_line(said: list[tuple[int, str, str]]) -> str:
    _, name, message = said[0]
    return f"{name}: {' '.join(message.split())}"
