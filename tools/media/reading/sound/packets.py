"""The packets of a file, with lone wrong times of its audio corrected."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.error import FFmpegError


def steady_packets(packets: Iterator[av.Packet], sound: int | None) -> Iterator[av.Packet]:
    """Correct the time of an audio packet that is not where its neighbours are.

    In a program stream (DVD) libav gives some frames the time of the next one: those whose header lies across
    two blocks. Taken at its word, such a time leaves a hole in the audio.

    Args:
        packets: As `av.container.InputContainer.demux` gives them; damage ends them.
        sound: Number of the audio stream; None leaves all packets as they are.

    Yields:
        The same packets; those of the audio one packet later among the others.
    """
    held: av.Packet | None = None
    expected: int | None = None
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):  # damage at the end is the end
            break
        if packet.size and packet.stream_index != sound:  # at the end, empty ones flush the decoder
            yield packet
            continue
        if held is not None:
            expected = _settle(held, expected, packet.pts)
            yield held
        held = packet
    if held is not None:
        yield held


def _settle(packet: av.Packet, expected: int | None, following: int | None) -> int | None:
    """Correct a time that is unexpected while the following is not; return where the packet ends."""
    length = packet.duration or 0
    if packet.pts is None or not length:
        return None
    if expected is not None and following is not None:
        apart, next_apart = abs(packet.pts - expected), abs(following - expected - length)
        if apart > length // 2 and next_apart <= length // 4:
            packet.pts = packet.dts = expected
    return packet.pts + length
