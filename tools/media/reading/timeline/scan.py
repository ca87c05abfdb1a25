"""Read the packets of a video, and find out which are frames and when each is shown."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.format import Flags

from tools.errors import MediaError
from tools.media.reading.colour.hdr import colour_name, hdr_of
from tools.media.reading.container import open_video
from tools.media.reading.orientation import orientation_of
from tools.media.reading.timeline.clock import times_are_valid
from tools.media.reading.timeline.packet_pass import LONGEST_TAIL, Scan, scan_packets
from tools.media.reading.timeline.packets import PacketIndex, decode_packet, numbered, packets
from tools.media.reading.timeline.size_changes import size_changes
from tools.media.reading.timeline.timing import FrameTimes, stated_rate, time_frames
from tools.media.reading.tracks import audio_codec

# One packet is one picture by the rules of these formats. In the others (avi, mpegts, mpeg, flv, asf) packets
# are split by a parser or by the muxer, so a few are decoded to check whether that is true.
_ONE_PICTURE_PER_PACKET = ("mov,mp4", "matroska,webm")
# Formats that store decoding times; for others libav derives them from presentation times.
_STORE_DTS = ("mov,mp4", "mpegts", "mpeg", "flv", "avi", "asf")
# A picture stored after a key frame and shown before it is at most so many packets after it.
_LEADING_PACKETS = 32


def index_packets(path: str | Path) -> PacketIndex:
    """Read all packets of a video and decode its first picture.

    More is decoded only if the packets are not conclusive: pictures at the start that may have lost their
    references; the first 24 packets of formats whose packets need not be pictures; and the last group of
    pictures of transport and program streams, which often end within a picture. Everything is decoded if
    packets are not pictures, or if times are damaged and do not define the order of pictures.

    Invalid times are repaired, see `tools.media.reading.timeline.clock` and `PacketIndex.timing`.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, too_large, or decode (no picture).
    """
    with open_video(path) as (container, stream):
        return index_opened(path, container, stream)[0]


def index_opened(
    path: str | Path, container: InputContainer, stream: av.VideoStream
) -> tuple[PacketIndex, av.VideoFrame]:
    """`index_packets` of an open video, which is read to its end; and its first picture.

    The ``pts`` of the picture is the number of its packet, from which alone it was decoded.
    """
    scan = scan_packets(container, stream)
    regular = container.format.name.startswith(_ONE_PICTURE_PER_PACKET)
    # In these formats the first packet suffices, unless the times contradict the decoder.
    contradictory = bool(stream.codec_context.has_b_frames) and _ascend(scan.pts)
    pictures = _decode_all(stream.codec_context, scan.head if contradictory or not regular else scan.head[:1])
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if 0 < len(scan.tail) <= LONGEST_TAIL and not _ends_complete(stream.codec_context, scan):
        scan.damaged[-1] = True
    form = container.format.name
    reordered = bool(stream.codec_context.has_b_frames)
    delay = _output_delay(stream.codec_context, scan.head) if form == "avi" else None
    discontinuous = bool(container.format.flags & Flags.ts_discont.value)
    rate = stream.average_rate or stream.guessed_rate
    facts = {
        "path": str(path),
        "stream": stream.index,
        "sample_aspect_ratio": Fraction(ratio) if ratio and ratio > 0 else Fraction(1),
        "codec": scan.codec,
        "has_audio": bool(container.streams.audio),
        "stored_bytes": scan.bytes,
        "audio_codec": audio_codec(container, path),
        "audio_tracks": len(container.streams.audio),
    }
    tag = stream.codec_context.codec_tag
    time_base = stream.time_base
    assert time_base is not None, "libav gives one to every stream"
    if form == "avi" and not reordered and None not in scan.dts:
        # AVI has no presentation times, and until libav knows that nothing is reordered, its guesses are one
        # picture late.
        scan.pts = list(scan.dts)
    valid = times_are_valid(scan.pts, scan.dts, time_base, reordered=reordered, discontinuous=discontinuous)
    first = _find_start(path, scan, pictures, regular, valid)
    if first is None or not scan.pts:
        raise MediaError("decode", path, f"no picture of its {scan.codec} stream can be decoded")
    verdict = "packets"
    if scan.suspicious:
        verdict = "decode"
    elif contradictory or not regular:
        verdict = _verify(scan, pictures)
    timed = time_frames(
        path,
        scan,
        time_base,
        rate,
        valid=valid,
        verdict=verdict,
        reordered=reordered,
        discontinuous=discontinuous,
        stored_dts=form.startswith(_STORE_DTS),
        # AVI with reordered pictures has decoding times only, and is not decoded to find their order.
        delay=delay,
    )
    facts |= {
        "counted": timed.counted,
        "irregular": verdict == "decode",
        "orientation": orientation_of(first),
        "coded_width": first.width,
        "coded_height": first.height,
        "pix_fmt": first.format.name,
        "hdr": hdr_of(first, tag),
        "colour": colour_name(first),
        "size_changes": size_changes(path, scan.headers.candidates, first),
        "timing": timed.timing,
        "clock": timed.clock,
    }
    return _build(scan, timed, rate, facts).within_limits(), first


def _decode_all(context: av.VideoCodecContext, some: list[tuple[int, av.Packet]]) -> list[av.VideoFrame]:
    """Decode packets; the times of the pictures are the numbers of their packets."""
    shown = [picture for pair in some for picture in decode_packet(context, numbered(*pair))]
    shown += decode_packet(context, None)
    context.flush_buffers()
    return shown


def _output_delay(context: av.VideoCodecContext, some: list[tuple[int, av.Packet]]) -> int:
    """How many packets a decoder reads before it outputs the first picture."""
    gives = (bool(decode_packet(context, numbered(*pair))) for pair in some)
    taken = next((number for number, shown in enumerate(gives) if shown), 0)
    context.flush_buffers()
    return taken


def _ends_complete(context: av.VideoCodecContext, scan: Scan) -> bool:
    """Whether the last packet of a stream is a complete picture, by decoding its group of pictures."""
    key, last = scan.keys[-1][1], scan.pts[-1] if scan.pts else None
    if key is None or last is None or last < key:  # the last may refer to the previous group: undecided
        return True
    number = scan.tail[-1][0]
    pictures = _decode_all(context, scan.tail)
    if not pictures and len(scan.tail) > 1:  # the key frame begins a gradual refresh: undecided
        return True
    return any(p.pts == number and not p.is_corrupt for p in pictures)


def _find_start(
    path: str | Path, scan: Scan, pictures: list[av.VideoFrame], regular: bool, valid: bool
) -> av.VideoFrame | None:
    """Find the first picture, and remove packets before it whose references were cut off.

    A recording cut within a group of pictures starts with packets that cannot be decoded; one cut before an
    open group, with pictures shown before its key frame; a file with an edit list, with packets that are
    only decoded as references.

    Returns:
        The first picture; None if there is none.
    """
    key_position, key_pts = (scan.keys[0][0], scan.keys[0][1]) if scan.keys else (0, None)
    near = key_position + _LEADING_PACKETS
    # If times are damaged, an early one far from the start is irrelevant.
    doubtful = [
        position < key_position
        or (key_pts is not None and pts is not None and pts < key_pts and (valid or position <= near))
        or (regular and pts is None and position <= near)
        for position, pts in zip(scan.positions, scan.pts, strict=True)
    ]
    if pictures and not any(doubtful):
        return pictures[0]
    last = max((p for p, d in zip(scan.positions, doubtful, strict=True) if d), default=0)
    shown = _decode_start(path, last)
    if not shown:
        return None
    numbers = {picture.pts for picture in shown}
    times = dict(zip(scan.positions, scan.pts, strict=True))
    begin = None if shown[0].pts is None else times.get(shown[0].pts)
    scan.keep(
        [
            position in numbers
            if unsure
            else begin is None or pts is None or pts >= begin or (not valid and position > near)
            for unsure, position, pts in zip(doubtful, scan.positions, scan.pts, strict=True)
        ]
    )
    return shown[0]


def _decode_start(path: str | Path, last: int) -> list[av.VideoFrame]:
    """The complete pictures of the packets up to number `last`, and at least one if there is any."""
    shown: list[av.VideoFrame] = []
    with open_video(path) as (container, stream):
        context = stream.codec_context
        for position, packet in enumerate(packets(container, stream)):
            pictures = decode_packet(context, numbered(position, packet))
            shown += [picture for picture in pictures if not picture.is_corrupt]
            if shown and position >= last:
                break
        shown += [picture for picture in decode_packet(context, None) if not picture.is_corrupt]
    return shown


def _verify(scan: Scan, pictures: list[av.VideoFrame]) -> str:
    """Compare the pictures of the first packets with those packets.

    Returns:
        "packets" if each packet is one picture and their times give the order of the pictures, "order" if
        each is one picture but the order differs, "decode" if packets are not pictures.
    """
    times = dict(zip(scan.positions, scan.pts, strict=True))
    expected = [number for number, _ in scan.head if number in times]
    shown = [picture.pts for picture in pictures if picture.pts in times]
    key = times.get(scan.head[0][0]) if scan.head else None
    # Pictures shown before the first key frame may refer to earlier ones.
    lost = [n for n in expected if n not in shown and not (key is not None and (times[n] or key) < key)]
    if lost or len(set(shown)) != len(shown):
        return "decode"
    stamps = [times[number] for number in shown]
    return "packets" if _ascend(stamps) else "order"


def _ascend(times: list[int | None]) -> bool:
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(a < b for a, b in itertools.pairwise(known))


def _build(scan: Scan, timed: FrameTimes, rate: Fraction | None, facts: dict[str, Any]) -> PacketIndex:
    order, pts = timed.order, timed.pts
    rate, length = stated_rate(timed, scan, rate)
    positions = np.array(scan.positions, np.int64)
    frame_of = np.empty(len(order), np.int64)
    frame_of[order] = np.arange(len(order))

    def shown(position: int, stamp: int) -> int:
        packet = int(np.searchsorted(positions, position))
        if packet < len(positions) and positions[packet] == position:
            return int(pts[frame_of[packet]])
        return timed.key_time(position, stamp)

    keys = [
        (
            position,
            shown(position, stamp),
            stamp,
            stamp if dts is None else dts,
            scan.byte_offsets[position] if scan.byte_offsets else -1,
        )
        for position, stamp, dts in scan.keys
        if stamp is not None
    ]
    columns = np.array(keys, np.int64).reshape(-1, 5).T
    return PacketIndex(
        time_base=timed.time_base,
        pts=pts,
        positions=positions[order],
        sizes=np.array(scan.sizes, np.int64)[order],
        key_positions=columns[0],
        key_pts=columns[1],
        key_stamps=columns[2],
        key_dts=columns[3],
        key_byte_offsets=columns[4],
        end_pts=int(pts[-1]) + length,
        damaged=np.flatnonzero(np.array(scan.damaged)[order]),
        average_rate=rate,
        **facts,
    )
