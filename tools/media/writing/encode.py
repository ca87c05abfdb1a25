"""Write one clip: encode pictures and sound; the file gets its name only when it is complete."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from tools.base.disk import ALWAYS, check_disk, disk_error, raising_disk_errors
from tools.errors import MediaError
from tools.media.reading.container import reason
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing.output_files import finished_name, move_finished, unfinished_file
from tools.media.writing.picture import Colours, Shape
from tools.media.writing.plan import Plan
from tools.media.writing.provenance import COMMENT, same_clip
from tools.media.writing.sound import SoundFormat

# By how many positions, at most, these encoders store a picture ahead of its display order (B-pyramids).
_REORDERING = {"libx264": 2, "libx265": 2}


@dataclasses.dataclass(frozen=True)
class Job:
    """One clip to write.

    Attributes:
        plan: Its frames.
        path: Its file.
        comment: Its provenance, by which a later run recognises it.
        replace: Replace a file that exists there.
    """

    plan: Plan
    path: Path
    comment: str
    replace: bool = False


@contextmanager
def atomic_video(path: Path, num_frames: int, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to; when the block ends without an error, check the file and rename it.

    Args:
        path: Final name.
        num_frames: Frames that the file must show.
        replace: Replace a file that exists there.

    Yields:
        A name in the same folder that ends in ``.part``.

    Raises:
        MediaError: encode: the file does not show so many frames, no file can have this name, or another one
            was written there meanwhile.
        DiskError: The disk refuses.
    """
    with ExitStack() as files:
        with encoding(path), raising_disk_errors(path):
            part = files.enter_context(unfinished_file(path))
        yield part
        _check(part, path, num_frames)
        with encoding(path), raising_disk_errors(path):
            try:
                move_finished(part, path, replace=replace)
            except FileExistsError:
                if not same_clip(part, path):  # else another run has written the same
                    raise MediaError("encode", path, "another file was written there meanwhile") from None


@contextmanager
def encoding(path: Path) -> Iterator[None]:
    """Turn libav's errors while a clip is written into a `MediaError` (encode).

    Raises:
        MediaError: encode.
        DiskError: The disk or the machine is at fault. Errors that only may be theirs (EIO, for example) are
            reported by `Output`: here the source may be what cannot be read.
    """
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise
        if (fault := disk_error(path, error, ALWAYS)) is not None:
            raise fault from None
        raise MediaError("encode", path, reason(error)) from None


def _check(part: Path, path: Path, num_frames: int) -> None:
    try:
        found = index_packets(part).num_frames
    except MediaError as error:
        check_disk(part.parent, path)
        raise MediaError("encode", path, f"is not complete: {error.message}") from None
    if found != num_frames:
        check_disk(part.parent, path)
        raise MediaError("encode", path, f"shows {found} frames instead of {num_frames}")


class Sound:
    """The sound track of a clip being written: blocks of samples, encoded as the pictures go on.

    Args:
        blocks: float32 arrays of shape (channels, samples).
        form: Their rate and layout.
    """

    def __init__(self, blocks: Iterator[np.ndarray], form: SoundFormat) -> None:
        self._blocks = blocks
        self._form = form
        self._next = next(blocks, None)
        self._written = 0

    @property
    def empty(self) -> bool:
        """Whether there is no sound in the interval at all."""
        return self._next is None and not self._written

    def open(self, out: Output) -> None:
        """Add the stream to a file."""
        self._out = out
        self._stream = out.add_stream("aac", rate=self._form.rate, layout=self._form.layout)
        self._stream.codec_context.bit_rate = self._form.bit_rate

    def write_until(self, seconds: Fraction | None) -> None:
        """Write the sound up to a time; all that is left for None."""
        while self._next is not None and (seconds is None or self._written < seconds * self._form.rate):
            samples = np.ascontiguousarray(self._next.T).reshape(1, -1)  # not planar, as in `AudioDecoder`
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=self._form.layout)
            frame.sample_rate, frame.pts = self._form.rate, self._written
            frame.time_base = Fraction(1, self._form.rate)
            self._out.mux(self._stream.encode(frame))
            self._written += frame.samples
            self._next = next(self._blocks, None)
        if seconds is None:
            self._out.mux(self._stream.encode(None))


class Output:
    """A clip that is open for writing: libav's container, whose disk errors end the run.

    A context manager that closes the file.

    Args:
        path: The final path of the file.
        container: libav's.
    """

    def __init__(self, path: Path, container: OutputContainer) -> None:
        self._path, self._container = path, container

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *error: object) -> None:
        with raising_disk_errors(self._path):
            self._container.close()

    def add_stream(self, codec: str, **options: Any) -> Any:
        """Add a stream that is encoded, see PyAV."""
        return self._container.add_stream(codec, **options)

    def add_stream_from_template(self, template: Any, **options: Any) -> Any:
        """Add a stream of copied packets, see PyAV."""
        return self._container.add_stream_from_template(template, **options)

    def mux(self, packets: av.Packet | Sequence[av.Packet]) -> None:
        """Write packets.

        Raises:
            DiskError: The disk refuses.
        """
        with raising_disk_errors(self._path):
            self._container.mux(packets)


def open_output(part: Path, comment: str) -> Output:
    """Open a clip for writing, with its index at the front."""
    path = part.with_name(finished_name(part.name) or part.name)
    matroska = path.suffix == ".mkv"
    # No edit list for pictures would need negative offsets, which older players misread; so mp4 keeps it.
    options = {} if matroska else {"movflags": "+faststart"}
    with raising_disk_errors(path):
        out = av.open(f"file:{part}", "w", format="matroska" if matroska else "mp4", options=options)
    out.metadata[COMMENT] = comment
    return Output(path, out)


def add_video(
    out: Output,
    encoder: str,
    options: dict[str, str],
    plan: Plan,
    shape: Shape,
    pix_fmt: str,
    colours: Colours,
    *,
    threads: int = 1,
) -> av.VideoStream:
    """Add an encoded video stream for a clip."""
    stream = out.add_stream(encoder, rate=plan.rate.limit_denominator(100_000))
    configure(stream.codec_context, options, plan, shape, pix_fmt, colours, threads=threads)
    return stream


def configure(
    context: av.VideoCodecContext,
    options: dict[str, str],
    plan: Plan,
    shape: Shape,
    pix_fmt: str,
    colours: Colours,
    *,
    threads: int = 1,
) -> None:
    """Set up an encoder for a clip."""
    context.width, context.height = shape.width, shape.height
    context.pix_fmt = pix_fmt
    context.framerate = plan.rate.limit_denominator(100_000)
    context.time_base = plan.time_base
    context.sample_aspect_ratio = Fraction(1)
    context.options = options
    context.thread_count = threads
    context.color_range = colours.range
    context.colorspace = colours.matrix
    context.color_primaries = colours.primaries
    context.color_trc = colours.transfer
    if context.codec.canonical_name == "hevc":
        context.codec_tag = "hvc1"  # Apple's players take no other


class ClipWriter:
    """Encodes the pictures of one clip, in order, into an open file.

    Args:
        out: The file.
        stream: Its video stream.
        plan: When each picture is shown.
        sound: Its sound; None for a silent clip.
    """

    def __init__(self, out: Output, stream: av.VideoStream, plan: Plan, sound: Sound | None) -> None:
        self._out, self._stream, self._plan, self._sound = out, stream, plan, sound
        self._durations: dict[int | None, int] = {a: b - a for a, b in pairwise(plan.ticks)}
        self._done = 0
        self._muxed = 0
        self._pending: av.Packet | None = None

    @property
    def due(self) -> int | None:
        """Number of the source frame that comes next; None when all pictures are written."""
        return self._plan.shown[self._done] if self._done < len(self._plan.shown) else None

    def add(self, picture: av.VideoFrame) -> None:
        """Encode a picture as often as the clip shows it."""
        number = self.due
        while self.due == number:
            picture.pts = self._plan.ticks[self._done]
            picture.time_base = self._plan.time_base
            self._take(self._stream.encode(picture))
            self._done += 1

    def finish(self) -> None:
        """Encode what the encoder has kept back, and the rest of the sound."""
        self._take(self._stream.encode(None))
        if self._pending is not None:
            # mp4 stores the intervals between decoding times; the length of the last packet ends the track.
            self._pending.duration = self._plan.last_tick
            self._mux(self._pending)
        if self._sound is not None:
            self._sound.write_until(None)

    def _take(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            packet.duration = self._durations.get(packet.pts, 0)
            if self._pending is not None:
                self._mux(self._pending)
            self._pending = packet

    def _mux(self, packet: av.Packet) -> None:
        if self._delay is not None:
            packet.dts = self._plan.ticks[self._muxed] - self._delay
        self._muxed += 1
        if self._sound is not None:
            assert packet.pts is not None, "encoders keep the times of pictures"
            self._sound.write_until(packet.pts * self._plan.time_base)
        self._out.mux(packet)

    @cached_property
    def _delay(self) -> int | None:
        """Ticks by which decoding runs ahead where intervals differ; None leaves it to the encoder.

        x264 and x265 take their decoding times from other pictures than the one that is stored, so with
        unequal intervals the track would end too early or too late. And x265 gives times at random to clips
        that have no more pictures than it may reorder.
        """
        encoder = self._stream.codec_context.name
        ticks, depth = self._plan.ticks, _REORDERING.get(encoder)
        if depth is None:
            return None
        short = encoder == "libx265" and len(ticks) - 1 <= depth
        if not short and len({b - a for a, b in pairwise(ticks)}) < 2:
            return None
        return max((b - a for a, b in zip(ticks, ticks[depth:-1], strict=False)), default=0)
