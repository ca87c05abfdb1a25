"""Read the packets of a video and work out which of them are frames."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tools.errors import MediaError
from tools.media import bitstream
from tools.media.container import open_video
from tools.media.hdr import colour_name, hdr_of
from tools.media.orientation import orientation_of
from tools.media.packets import PacketIndex, decode_packet, packets
from tools.media.stated_size import HeaderWatch, size_changes
from tools.media.tracks import choose_audio

# One packet is one picture by the rules of these formats. In the others (avi, mpegts, mpeg, flv, asf) packets
# are cut by a parser or by the muxer's habit, so a few are decoded to see whether that holds.
_ONE_PICTURE_PER_PACKET = ("mov,mp4", "matroska,webm")
_SAMPLE_PACKETS = 24
# Streams in which a picture has no stated length: a recording that stops within one does not show it.
_UNBOUNDED = ("mpegts", "mpeg")
# A picture stored behind a key frame and shown before it is at most so many packets behind.
_LEADING_PACKETS = 32
# Packets of the last group of pictures that are kept to see whether the last one is whole.
_LONGEST_TAIL = 1000


def index_packets(path: str | Path) -> PacketIndex:
    """Read all packets of a video and decode its first picture.

    More is decoded only where packets do not tell: pictures at the start that may have lost what they refer
    to; the first 24 packets of formats whose packets need not be pictures, and the last group of pictures of
    transport and program streams, which mostly end in the middle of a picture. All is decoded when packets
    turn out not to be pictures.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, or decode (no picture at all).
    """
    with open_video(path) as (container, stream):
        scan = _scan(container, stream)
        pictures = _decode_all(stream.codec_context, scan.head)
        if 0 < len(scan.tail) <= _LONGEST_TAIL and not _ends_whole(stream.codec_context, scan.tail):
            scan.damaged[-1] = True
        regular = container.format.name.startswith(_ONE_PICTURE_PER_PACKET)
        ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        facts = {
            "path": str(path),
            "stream": stream.index,
            "time_base": stream.time_base,
            "sample_aspect_ratio": Fraction(ratio) if ratio and ratio > 0 else Fraction(1),
            "codec": scan.codec,
            "average_rate": stream.average_rate or stream.guessed_rate,
            "has_audio": bool(container.streams.audio),
            "stored_bytes": scan.bytes,
            "audio_codec": _sound_codec(container, path),
            "audio_tracks": len(container.streams.audio),
        }
        tag = stream.codec_context.codec_tag
    first = _settle_start(path, scan, pictures, regular)
    if first is None or not scan.pts:
        raise MediaError("decode", path, f"no picture of its {scan.codec} stream can be decoded")
    verdict = "packets"
    if scan.suspicious:
        verdict = "decode"
    elif not regular:
        verdict = _verify(scan, pictures)
    if verdict == "decode":
        _replace_by_decoded(path, scan)
    facts |= {
        "counted": verdict == "count" or not scan.has_unique_times(),
        "irregular": verdict == "decode",
        "orientation": orientation_of(first),
        "coded_width": first.width,
        "coded_height": first.height,
        "pix_fmt": first.format.name,
        "hdr": hdr_of(first, tag),
        "colour": colour_name(first),
        "size_changes": size_changes(path, scan.headers.candidates, first.width, first.height),
    }
    return _build(scan, facts)


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
    tail: list[av.Packet] = dataclasses.field(default_factory=list)
    suspicious: bool = False
    bytes: int = 0
    headers: HeaderWatch | None = None

    def has_unique_times(self) -> bool:
        return None not in self.pts and len(set(self.pts)) == len(self.pts)

    def keep(self, chosen: list[bool]) -> None:
        """Leave out the packets that are no frames."""
        for name in ("pts", "dts", "durations", "positions", "damaged"):
            setattr(self, name, [v for v, kept in zip(getattr(self, name), chosen, strict=True) if kept])


def _scan(container: av.container.InputContainer, stream: av.VideoStream) -> _Scan:
    context = stream.codec_context
    codec = context.codec.canonical_name
    scan = _Scan(codec)
    length_size = bitstream.nal_length_size(codec, context.extradata)
    hidden = bitstream.is_hidden(codec)
    regular = container.format.name.startswith(_ONE_PICTURE_PER_PACKET)
    sampled = 1 if regular else _SAMPLE_PACKETS
    unbounded = container.format.name in _UNBOUNDED
    scan.headers = HeaderWatch(codec, length_size)
    for position, packet in enumerate(packets(container, stream)):
        scan.bytes += packet.size
        if packet.is_keyframe:
            scan.headers.look(position, packet)
            scan.keys.append((position, packet.pts, packet.dts))
            scan.tail.clear()
        if scan.keys and len(scan.head) < sampled:
            scan.head.append(packet)
        if unbounded and scan.keys and len(scan.tail) <= _LONGEST_TAIL:
            scan.tail.append(packet)
        if packet.is_discard or (hidden and hidden(memoryview(packet))):
            continue
        scan.positions.append(position)
        scan.pts.append(packet.pts)
        scan.dts.append(packet.dts)
        scan.durations.append(packet.duration or 0)
        # Transport streams flag every lost byte, and decoders go on all the same.
        whole = unbounded or not packet.is_corrupt
        if length_size and whole:
            whole = bitstream.nal_units_fit(memoryview(packet), length_size)
        scan.damaged.append(not whole)
        if codec == "mpeg4" and bitstream.repeats_or_packs(memoryview(packet)):
            scan.suspicious = True
    if not scan.keys:  # nothing is marked: then the beginning is the only place to start
        scan.suspicious = True
    return scan


def _sound_codec(container: av.container.InputContainer, path: str | Path) -> str | None:
    """Codec of the sound track that is used; None when there is none that can be decoded."""
    stream = choose_audio(container, path)
    return stream.codec_context.codec.canonical_name if stream is not None else None


def _decode_all(context: av.VideoCodecContext, some: list[av.Packet]) -> list[av.VideoFrame]:
    pictures = [picture for packet in [*some, None] for picture in decode_packet(context, packet)]
    context.flush_buffers()
    return pictures


def _ends_whole(context: av.VideoCodecContext, tail: list[av.Packet]) -> bool:
    """Tell whether the last packet of a stream is a whole picture, by decoding its group of pictures."""
    key, last = tail[0].pts, tail[-1].pts
    if key is None or last is None or last < key:  # the last may refer to the group before: not decided here
        return True
    return any(p.pts == last and not p.is_corrupt for p in _decode_all(context, tail))


def _settle_start(
    path: str | Path, scan: _Scan, pictures: list[av.VideoFrame], regular: bool
) -> av.VideoFrame | None:
    """Find the first picture, and leave out packets before it that refer to what was cut off.

    A recording cut within a group of pictures starts with packets that no decoder can show; an open group of
    pictures that lost its predecessor, with some shown before its key frame; a file with an edit list, with
    some that are decoded only for the others' sake.

    Returns:
        The first picture; None when there is none.
    """
    key_position, key_pts = (scan.keys[0][0], scan.keys[0][1]) if scan.keys else (0, None)
    near = key_position + _LEADING_PACKETS
    doubtful = [
        position < key_position
        or (key_pts is not None and pts is not None and pts < key_pts)
        or (regular and pts is None and position <= near)
        for position, pts in zip(scan.positions, scan.pts, strict=True)
    ]
    if pictures and not any(doubtful):
        return pictures[0]
    last = max((p for p, d in zip(scan.positions, doubtful, strict=True) if d), default=0)
    shown = _decode_start(path, last)
    times = {picture.pts for picture in shown}
    begin = shown[0].pts if shown else None
    scan.keep(
        [
            pts in times if unsure else begin is None or pts is None or pts >= begin
            for unsure, pts in zip(doubtful, scan.pts, strict=True)
        ]
    )
    return shown[0] if shown else None


def _decode_start(path: str | Path, last: int) -> list[av.VideoFrame]:
    """The whole pictures of the packets up to number `last`, and at least one if there is any."""
    shown: list[av.VideoFrame] = []
    with open_video(path) as (container, stream):
        context = stream.codec_context
        for position, packet in enumerate(packets(container, stream)):
            shown += [picture for picture in decode_packet(context, packet) if not picture.is_corrupt]
            if shown and position >= last:
                break
        shown += [picture for picture in decode_packet(context, None) if not picture.is_corrupt]
    return shown


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


def _build(scan: _Scan, facts: dict[str, Any]) -> PacketIndex:
    time_base, rate = facts["time_base"], facts["average_rate"]
    if facts["counted"]:
        pts, time_base = _times_by_count(scan, time_base, rate)
        facts |= {"time_base": time_base}
        order = np.arange(len(pts))
    else:
        pts = np.array(scan.pts, np.int64)
        order = np.argsort(pts, kind="stable")
        pts = pts[order]
    last = scan.durations[order[-1]] or (int(np.median(np.diff(pts))) if len(pts) > 1 else 0)
    if not last and rate:
        last = round(1 / rate / time_base)
    keys = np.array([(at, p, p if d is None else d) for at, p, d in scan.keys if p is not None], np.int64)
    key_positions, key_pts, key_dts = keys.reshape(-1, 3).T
    return PacketIndex(
        pts=pts,
        positions=np.array(scan.positions, np.int64)[order],
        key_positions=key_positions,
        key_pts=key_pts,
        key_dts=key_dts,
        end_pts=int(pts[-1]) + last,
        damaged=np.flatnonzero(np.array(scan.damaged)[order]),
        **facts,
    )


def _times_by_count(scan: _Scan, time_base: Fraction, rate: Fraction | None) -> tuple[np.ndarray, Fraction]:
    """Frame k in presentation order is shown at the k-th decoding time, all by the same delay later."""
    if None not in scan.dts and len(set(scan.dts)) == len(scan.dts):
        return np.sort(np.array(scan.dts, np.int64)), time_base
    return np.arange(len(scan.pts), dtype=np.int64), 1 / Fraction(rate or 25)
