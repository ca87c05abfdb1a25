"""Open a media file: check that it is a regular file, choose the video stream, describe errors."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.stream import Discard

from tools.base.addresses import ELSEWHERE, is_address
from tools.base.disk import ALWAYS, disk_error, system_message
from tools.errors import MediaError
from tools.media.reading import formats
from tools.media.reading.limits import check_pixels, max_pixels
from tools.media.reading.tracks import choose_video, decodable

# A QuickTime file may say that its samples lie in another file.
_OPTIONS = {**formats.LIBAV_OPTIONS, "enable_drefs": "0", "use_absolute_path": "0"}
_LIMIT = "max_pixels"  # libav's option: larger pictures are refused before there is memory for them
_LEAST = 1 << 20  # pixels: decoders count some of what they work with, too
_MARGINS = 128  # pixels around a picture, which decoders may add
_HEADERS_ONLY = {**_OPTIONS, "codec_whitelist": "none"}


def check_file(path: str | Path) -> Path:
    """Make sure that a path is a regular file that is not empty, without opening it.

    Opening a named pipe would block until something writes to it.

    Raises:
        MediaError: missing, not_a_file, empty, or unreadable (no permission); bad_value for an address.
    """
    if is_address(path):
        raise MediaError("bad_value", path, ELSEWHERE)
    path = Path(path)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise MediaError("missing", path, "no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise MediaError("unreadable", path, system_message(error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not_a_file", path, f"is {_kind(status.st_mode)}, not a regular file")
    if status.st_size == 0:
        raise MediaError("empty", path, "the file has no bytes")
    return path


def open_container(path: str | Path) -> InputContainer:
    """Open a file for reading; the only function that decides what libav may open.

    Raises:
        FFmpegError: The format is unknown, or the file is damaged.
        OSError: The file cannot be read.
        UnicodeError: Its name cannot be passed to libav.
    """
    # With the prefix "a:b.mp4" is not taken for a protocol, the options prevent a file from opening others,
    # and metadata in a wrong encoding is no reason to refuse a video.
    return av.open(f"file:{path}", options=_OPTIONS | _limit(), metadata_errors="replace")


def open_error(path: str | Path, error: Exception) -> MediaError:
    """The failure of a file that `open_container` cannot open.

    Returns:
        ``playlist`` for a list of other files, else ``unreadable``.
    """
    if isinstance(error, ArgumentError):  # also raised for a format that is not on the list
        return formats.unsupported_file(path, "its format is not supported, or its header is damaged")
    return formats.unsupported_file(path, reason(error))


@contextmanager
def open_video(path: str | Path, *, threads: int = 1) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Open a video for reading; it is closed when the block ends.

    The stream is that of `choose_video`: the default one, else the first, never a cover picture.

    Args:
        path: The file.
        threads: Decoder threads; 0 lets libav take one per core.

    Yields:
        The container and its video stream. Packets of other streams are skipped.

    Raises:
        MediaError: missing, not_a_file, empty, playlist, unreadable, no_video, too_large.
    """
    path = check_file(path)
    try:
        container = open_container(path)
    except (FFmpegError, OSError, UnicodeError) as error:
        raise disk_error(path, error, ALWAYS) or open_error(path, error) from None
    try:
        stream = _choose_stream(container, path)
        width, height = _stated_size(path, stream)
        check_pixels(path, width, height)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.codec_context.options = _limit((width + _MARGINS) * (height + _MARGINS))
        stream.codec_context.thread_count = threads
        stream.thread_type = "AUTO"
        yield container, stream
    finally:
        container.close()


def reason(error: BaseException) -> str:
    """The message of an error of libav, in one short line."""
    if isinstance(error, FFmpegError):
        log: Any = error.log  # (level, name, message), unlike PyAV's stub
        message = log[2].strip() if log else ""
        return f"{error.strerror}{f' ({message})' if message else ''}"
    return str(error) or type(error).__name__


def _choose_stream(container: InputContainer, path: Path) -> av.VideoStream:
    stream = choose_video(container)
    if stream is None:
        kinds = sorted({s.type for s in container.streams}) or ["nothing"]
        raise MediaError("no_video", path, f"has no video stream, only {', '.join(kinds)}")
    if not decodable(stream):
        raise MediaError("unreadable", path, "there is no decoder for its video stream")
    return stream


def _limit(least: int = _LEAST) -> dict[str, str]:
    """Libav's own limit, which keeps it from taking memory; `check_pixels` has the exact one."""
    return {_LIMIT: str(max(max_pixels(), _LEAST, least))}


def _stated_size(path: Path, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height of pictures as the headers state them, (0, 0) if they do not."""
    context = stream.codec_context
    if context.width:
        return context.width, context.height
    # libav forgets the size of pictures that it has refused. Without decoders it reads the headers alone.
    with suppress(FFmpegError, OSError), av.open(f"file:{path}", options=_HEADERS_ONLY) as opened:
        context = opened.streams[stream.index].codec_context
        return context.width, context.height
    return 0, 0


def _kind(mode: int) -> str:
    kinds = [
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ]
    return next((name for test, name in kinds if test(mode)), "something else")
