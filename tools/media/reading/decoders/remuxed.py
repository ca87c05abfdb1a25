"""Remux the video of a file with repaired times, for libraries that rely on the times in the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from tools.base.disk import disk_error
from tools.base.temporary_files import temporary_folder
from tools.errors import MediaError
from tools.media.reading.container import open_video, reason
from tools.media.reading.timeline import bitstream
from tools.media.reading.timeline.packets import PacketIndex, decoding_ticks, packets

_MATROSKA = ("vp8", "theora", "ffv1")  # codecs that QuickTime files do not support


@contextmanager
def remux(index: PacketIndex) -> Iterator[Path]:
    """Copy the video packets to a temporary file with the times of `index`, without encoding.

    Args:
        index: The packets of the file.

    Yields:
        The copy: QuickTime or Matroska. It is removed when the block ends.

    Raises:
        MediaError: decode: packets are not pictures, their order is unknown, or they cannot be copied.
    """
    if index.counted or index.irregular:
        raise MediaError("decode", index.path, "its frames are not known from its packets; use decoder pyav")
    ticks = (index.pts - index.pts[0])[np.argsort(index.positions)].tolist()
    times = dict(
        zip(np.sort(index.positions).tolist(), zip(ticks, decoding_ticks(ticks), strict=True), strict=True)
    )
    with temporary_folder() as folder:
        path = folder / ("pictures.mkv" if index.codec in _MATROSKA else "pictures.mov")
        try:
            _copy(index, path, times)
        except (FFmpegError, ValueError) as error:
            if (fault := disk_error(path, error)) is not None:
                raise fault from None
            raise MediaError("decode", index.path, f"cannot be copied for decord: {reason(error)}") from None
        yield path


def _copy(index: PacketIndex, path: Path, times: dict[int, tuple[int, int]]) -> None:
    hidden = bitstream.is_hidden(index.codec)
    with open_video(index.path) as (container, stream), av.open(f"file:{path}", "w") as out:
        target = out.add_stream_from_template(stream, opaque=True)
        target.time_base = index.time_base
        for position, packet in enumerate(packets(container, stream)):
            if position not in times:
                if hidden and hidden(memoryview(packet)):
                    raise ValueError("it has packets without a picture")
                continue
            copy = av.Packet(bytes(packet))
            copy.pts, copy.dts = times[position]
            copy.time_base, copy.is_keyframe, copy.stream = index.time_base, packet.is_keyframe, target
            out.mux(copy)
