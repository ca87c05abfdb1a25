"""The frames of a video found from its packets: how many, when, and where decoding has to start for each."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from tools.errors import MediaError
from tools.media import bitstream
from tools.media.container import open_video
from tools.media.sampling import TIME_TOLERANCE, frame_at

# One packet is one picture by the rules of these formats. In the others (avi, mpegts, mpeg, flv, asf) packets
# are cut by a parser or by the muxer's habit, so a few are decoded to see whether that holds.
_ONE_PICTURE_PER_PACKET = ("mov,mp4", "matroska,webm")
_SAMPLE_PACKETS = 24


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """Every frame of a video in presentation order, found without decoding it.

    Attributes:
        path: The file.
        stream: Number of the video stream in the file.
        time_base: Seconds per tick of `pts`.
        pts: int64, shape (frames,): presentation time of each frame, ascending.
        positions: int64, shape (frames,): which packet of the stream (in stored order) holds each frame.
        key_positions: int64: packets at which decoding can start, in stored order.
        key_pts: int64: their presentation times.
        key_dts: int64: their decoding times, which is what files are searched by.
        end_pts: Presentation time at which the last frame ends.
        damaged: int64: frames whose packet is not whole; decoders refuse it.
        counted: True when packets carry no usable presentation times (H.264 in AVI): then a frame is
            known only by counting decoded pictures from the beginning.
        irregular: True when packets are not pictures (fields apart, two packed), so that all were decoded.
        rotation: Degrees clockwise that the stored picture has to be turned: 0, 90, 180, 270.
        sample_aspect_ratio: Width of a stored pixel by its height.
        coded_width: Width as stored.
        coded_height: Height as stored.
        pix_fmt: Pixel format of the first picture.
        codec: Name of the codec.
        average_rate: Frames per second as the file states or libav guesses, None when unknown.
        has_audio: Whether there is an audio stream.
    """

    path: str
    stream: int
    time_base: Fraction
    pts: np.ndarray
    positions: np.ndarray
    key_positions: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    end_pts: int
    damaged: np.ndarray
    counted: bool
    irregular: bool
    rotation: int
    sample_aspect_ratio: Fraction
    coded_width: int
    coded_height: int
    pix_fmt: str | None
    codec: str
    average_rate: Fraction | None
    has_audio: bool

    @property
    def num_frames(self) -> int:
        """Frames before the first damaged packet: all frames of a whole file.

        It is what a decoder that stops at damage gives. `pts` and `times` also have what lies behind.
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
    def displayed_size(self) -> tuple[int, int]:
        """Width and height as shown: square pixels, turned upright."""
        width = max(1, round(self.coded_width * self.sample_aspect_ratio))
        return (self.coded_height, width) if self.rotation % 180 else (width, self.coded_height)

    def frame_at(self, seconds: float) -> int:
        """The frame on screen at a time: the last that starts at or before it (1 ms of grace), at least 0."""
        return max(0, frame_at(self.times, seconds))

    def frames_between(self, start: float | None = None, end: float | None = None) -> range:
        """The frames that start in the half-open interval [start, end), in seconds, with 1 ms of grace."""
        first = 0 if start is None else int(np.searchsorted(self.times, start - TIME_TOLERANCE))
        stop = len(self.pts) if end is None else int(np.searchsorted(self.times, end - TIME_TOLERANCE))
        return range(first, max(first, stop))

    def start_positions(self, frames: Sequence[int]) -> np.ndarray:
        """Packets from which decoding gives each frame exactly: a key frame shown no later, or packet 0.

        A picture stored behind a key frame but shown before it may refer to the group of pictures before.

        Args:
            frames: Frame numbers.

        Returns:
            int64, shape (frames,).
        """
        frames = np.asarray(frames, np.int64)
        if not len(self.key_positions):
            return np.zeros(len(frames), np.int64)
        positions, pts = self.positions[frames], self.pts[frames]
        key = np.searchsorted(self.key_positions, positions, side="right") - 1
        while (later := (key >= 0) & (self.key_pts[key] > pts)).any():
            key[later] -= 1
        return np.where(key >= 0, self.key_positions[key], 0)


def index_packets(path: str | Path) -> PacketIndex:
    """Read all packets of a video and decode only its first picture.

    A few pictures more are decoded where packets alone do not tell (see `_verify`), and all of them only
    when packets turn out not to be pictures there.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, or decode (no picture at all).
    """
    with open_video(path) as (container, stream):
        scan = _scan(container, stream)
        if not scan.positions:
            raise MediaError("decode", path, f"its {scan.codec} stream has no packets")
        pictures = _decode_head(stream.codec_context, scan.head)
        if not pictures:
            raise MediaError("decode", path, f"no picture of its {scan.codec} stream can be decoded")
        first = pictures[0]
        trusted = container.format.name.startswith(_ONE_PICTURE_PER_PACKET) and not scan.suspicious
        facts = {
            "path": str(path),
            "stream": stream.index,
            "time_base": stream.time_base,
            "rotation": round(-first.rotation / 90) % 4 * 90,
            "sample_aspect_ratio": _aspect(stream),
            "coded_width": first.width,
            "coded_height": first.height,
            "pix_fmt": first.format.name,
            "codec": scan.codec,
            "average_rate": stream.average_rate or stream.guessed_rate,
            "has_audio": bool(container.streams.audio),
        }
    counted, verdict = False, "packets"
    if not trusted:
        verdict = "decode" if scan.suspicious else _verify(scan, pictures)
        if verdict == "decode":
            _replace_by_decoded(path, scan)
        counted = verdict == "count" or not scan.has_unique_times()
    elif not scan.has_unique_times():
        counted = True
    _drop_undecodable_start(path, scan, counted)
    return _build(scan, counted, facts | {"irregular": verdict == "decode"})


@dataclasses.dataclass
class _Scan:
    """What one pass over the packets has collected, in stored order."""

    codec: str
    pts: list[int | None] = dataclasses.field(default_factory=list)
    dts: list[int | None] = dataclasses.field(default_factory=list)
    durations: list[int] = dataclasses.field(default_factory=list)
    positions: list[int] = dataclasses.field(default_factory=list)
    damaged: list[bool] = dataclasses.field(default_factory=list)
    keys: list[tuple[int, int | None, int | None]] = dataclasses.field(default_factory=list)
    head: list[av.Packet] = dataclasses.field(default_factory=list)
    suspicious: bool = False

    def has_unique_times(self) -> bool:
        return None not in self.pts and len(set(self.pts)) == len(self.pts)


def _scan(container: av.container.InputContainer, stream: av.VideoStream) -> _Scan:
    context = stream.codec_context
    codec = context.codec.canonical_name
    scan = _Scan(codec)
    length_size = bitstream.nal_length_size(codec, context.extradata)
    hidden = bitstream.is_hidden(codec)
    sampled = 1 if container.format.name.startswith(_ONE_PICTURE_PER_PACKET) else _SAMPLE_PACKETS
    transport = container.format.name == "mpegts"
    for position, packet in enumerate(packets(container, stream)):
        if packet.is_keyframe:
            scan.keys.append((position, packet.pts, packet.dts))
        if scan.keys and len(scan.head) < sampled:
            scan.head.append(packet)
        if packet.is_discard or (hidden and hidden(memoryview(packet))):
            continue
        scan.positions.append(position)
        scan.pts.append(packet.pts)
        scan.dts.append(packet.dts)
        scan.durations.append(packet.duration or 0)
        # A transport stream flags every lost packet, and its decoders go on all the same.
        whole = transport or not packet.is_corrupt
        if length_size and whole:
            whole = bitstream.nal_units_fit(memoryview(packet), length_size)
        scan.damaged.append(not whole)
        if codec == "mpeg4" and bitstream.repeats_or_packs(memoryview(packet)):
            scan.suspicious = True
    if not scan.keys:  # nothing is marked: then the beginning is the only place to start
        scan.suspicious = True
    return scan


def packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterable[av.Packet]:
    """The packets of a stream that have bytes; a demuxer's error ends them, as the end of the file does."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return


def decode_packet(context: av.VideoCodecContext, packet: av.Packet | None) -> list[av.VideoFrame]:
    """Decode one packet (None: give what is held back); a damaged packet gives no picture."""
    try:
        return context.decode(packet)
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return []


def _decode_head(context: av.VideoCodecContext, head: list[av.Packet]) -> list[av.VideoFrame]:
    pictures = [picture for packet in [*head, None] for picture in decode_packet(context, packet)]
    context.flush_buffers()
    return pictures


def _verify(scan: _Scan, pictures: list[av.VideoFrame]) -> str:
    """Compare the pictures of the first packets with what those packets promise.

    Returns:
        "packets" when each packet is one picture with its own time, "count" when each is one picture but
        the times are not to be trusted, "decode" when packets are not pictures.
    """
    promised = [packet.pts for packet in scan.head]
    if len(pictures) != len(promised):
        leading = sum(p is not None and p < promised[0] for p in promised) if promised[0] is not None else 0
        if len(pictures) != len(promised) - leading:
            return "decode"
        promised = [p for p in promised if p >= promised[0]]
    shown = [picture.pts for picture in pictures]
    return "packets" if _ascends(shown) and set(shown) == set(promised) else "count"


def _ascends(pts: list[int | None]) -> bool:
    return None not in pts and all(a < b for a, b in itertools.pairwise(pts))


def _replace_by_decoded(path: str | Path, scan: _Scan) -> None:
    """Put what a full decode shows in the place of what the packets said."""
    pts: list[int | None] = []
    with open_video(path) as (container, stream):
        context = stream.codec_context
        for packet in packets(container, stream):
            pts += [picture.pts for picture in decode_packet(context, packet)]
        pts += [picture.pts for picture in decode_packet(context, None)]
    by_time = {t: p for t, p in zip(scan.pts, scan.positions, strict=True) if t is not None}
    if not _ascends(pts):
        pts = [None] * len(pts)
    scan.positions = [by_time.get(t, 0) for t in pts]
    scan.pts, scan.dts = pts, [None] * len(pts)
    scan.durations, scan.damaged = [0] * len(pts), [False] * len(pts)


def _drop_undecodable_start(path: str | Path, scan: _Scan, counted: bool) -> None:
    """Leave out pictures at the start that refer to what was cut off before them.

    A recording cut in the middle of a group of pictures starts with packets that no decoder can show, and
    an open group of pictures that lost its predecessor with pictures shown before its key frame. Only
    these few are decoded, to see which do come out.
    """
    if counted or not scan.keys or not scan.pts:
        return
    key_position, key_pts, _ = scan.keys[0]
    doubtful = {
        pts: at
        for at, (position, pts) in enumerate(zip(scan.positions, scan.pts, strict=True))
        if position < key_position or (key_pts is not None and pts < key_pts)
    }
    if not doubtful:
        return
    last = max(scan.positions[at] for at in doubtful.values())
    with open_video(path) as (container, stream):
        for position, packet in enumerate(packets(container, stream)):
            for picture in decode_packet(stream.codec_context, packet if position <= last else None):
                if not picture.is_corrupt:
                    doubtful.pop(picture.pts, None)
            if position > last:
                break
    dropped = set(doubtful.values())
    for name in ("pts", "dts", "durations", "positions", "damaged"):
        setattr(scan, name, [v for at, v in enumerate(getattr(scan, name)) if at not in dropped])


def _build(scan: _Scan, counted: bool, facts: dict) -> PacketIndex:
    if not scan.pts:
        raise MediaError("decode", facts["path"], f"no picture of its {scan.codec} stream can be decoded")
    time_base = facts["time_base"]
    if counted:
        pts, time_base = _times_by_count(scan, time_base, facts["average_rate"])
        facts = facts | {"time_base": time_base}
        order = np.arange(len(pts))
    else:
        pts = np.array(scan.pts, np.int64)
        order = np.argsort(pts, kind="stable")
        pts = pts[order]
    keys = [(at, p, d) for at, p, d in scan.keys if p is not None]
    last = scan.durations[order[-1]] or (int(np.median(np.diff(pts))) if len(pts) > 1 else 0)
    if not last and facts["average_rate"]:
        last = round(1 / facts["average_rate"] / time_base)
    return PacketIndex(
        pts=pts,
        positions=np.array(scan.positions, np.int64)[order],
        key_positions=np.array([at for at, _, _ in keys], np.int64),
        key_pts=np.array([p for _, p, _ in keys], np.int64),
        key_dts=np.array([p if d is None else d for _, p, d in keys], np.int64),
        end_pts=int(pts[-1]) + last,
        damaged=np.flatnonzero(np.array(scan.damaged)[order]),
        counted=counted,
        **facts,
    )


def _times_by_count(scan: _Scan, time_base: Fraction, rate: Fraction | None) -> tuple[np.ndarray, Fraction]:
    """Frame k in presentation order is shown at the k-th decoding time, all by the same delay later."""
    if None not in scan.dts and len(set(scan.dts)) == len(scan.dts):
        return np.sort(np.array(scan.dts, np.int64)), time_base
    return np.arange(len(scan.pts), dtype=np.int64), 1 / Fraction(rate or 25)


def _aspect(stream: av.VideoStream) -> Fraction:
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(ratio) if ratio and ratio > 0 else Fraction(1)
