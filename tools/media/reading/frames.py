"""Exact frames of a video as arrays: by number, by time, or all of them in order."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from tools.base.addresses import local_path
from tools.errors import MediaError, UserError
from tools.media.reading.decoders import check_decoder, decoder_for
from tools.media.reading.pictures import Interpolation, PictureConverter, PixelFormat
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.media.reading.video_frames import OnDamage, damaged_frame, iter_video_frames


@dataclasses.dataclass
class Frame:
    """One frame of a video, or an image.

    Attributes:
        index: Number in presentation order, from 0.
        pts: Presentation time in ticks of the stream.
        time: Seconds since the first frame.
        image: uint8, shape (height, width, 3), RGB unless another format was requested; upright.
        damaged: The decoder concealed errors in the picture (`iter_frames` only; `read_frames` raises).
    """

    index: int
    pts: int
    time: float
    image: np.ndarray
    damaged: bool = False


def read_frames(
    path: str | Path,
    indices: Sequence[int],
    *,
    decoder: str = "pyav",
    size: tuple[int, int] | None = None,
    interpolation: Interpolation = "bicubic",
    threads: int | Literal["auto"] = 1,
    index: PacketIndex | None = None,
) -> list[Frame]:
    """Read exact frames by number. A frame that cannot be read is an error, never replaced by another.

    Args:
        path: The video.
        indices: Frame numbers in presentation order, in any order, duplicates allowed; each is decoded once.
        decoder: "pyav", or "decord" (the package decord2; wrong on HEVC with open groups of pictures; videos
            that it does not support are read with PyAV).
        size: Width and height to scale to. By default frames have the displayed size that `probe` gives:
            upright, with square pixels (only videos whose pixels are not square are scaled).
        interpolation: Filter for scaling.
        threads: Decoder threads; "auto" takes one per core.
        index: The packets of the file, when they have been read already.

    Returns:
        One frame for each of `indices`, in that order. Frames requested twice share their image.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video; too_short when the video has no frame of
            that number; decode when a frame is damaged.
        UserError: The decoder is unknown or not installed.
    """
    check_decoder(decoder)
    index = index or index_packets(path)
    numbers = sorted({int(i) for i in indices})
    if numbers and numbers[0] < 0:
        raise ValueError(f"frames are numbered from 0, not {numbers[0]}")
    if numbers and numbers[-1] >= len(index.pts):
        raise MediaError(
            "too_short", path, f"there is no frame {numbers[-1]}: the video has {len(index.pts)}"
        )
    images = decoder_for(decoder, index).read_images(
        path, numbers, index, size=size, interpolation=interpolation, threads=threads
    )
    for number in numbers:
        if number not in images:
            raise damaged_frame(path, index, number)
    return [Frame(int(i), int(index.pts[i]), float(index.times[i]), images[int(i)]) for i in indices]


def read_frames_at(
    path: str | Path, times: Sequence[float], *, index: PacketIndex | None = None, **options: Any
) -> list[Frame]:
    """Read the frame on screen at each time: the last that starts at or before it (with a tolerance of 1 ms).

    Args:
        path: The video.
        times: Seconds since the first frame.
        index: The packets of the file, when they have been read already.
        **options: As for `read_frames`.

    Returns:
        One frame for each of `times`, in that order.

    Raises:
        MediaError: As `read_frames`; too_short also for a time at or after the end of the last frame.
    """
    index = index or index_packets(path)
    if len(times) and min(times) < 0:
        raise ValueError(f"times are seconds since the first frame, not {min(times)}")
    if len(times) and max(times) > max(index.duration, float(index.times[-1])):
        raise MediaError(
            "too_short",
            path,
            f"there is no frame at {max(times):g} s: the video ends at {index.duration:.3f} s",
        )
    return read_frames(path, [index.frame_at(t) for t in times], index=index, **options)


def iter_frames(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    format: PixelFormat = "rgb24",
    interpolation: Interpolation = "bicubic",
    start: float | None = None,
    end: float | None = None,
    step: int = 1,
    apply_rotation: bool = True,
    threads: int | Literal["auto"] = 1,
    on_damage: OnDamage = "keep",
    index: PacketIndex | None = None,
) -> Iterator[Frame]:
    """Decode a video from beginning to end, scaling and converting in one step.

    Args:
        path: The video.
        size: Width and height to scale to; by default the displayed size.
        format: "rgb24", "bgr24" or "gray" (then `Frame.image` has shape (height, width)).
        interpolation: Filter for scaling: "area" averages, "bilinear" and "bicubic" smooth as much as needed.
        start: Seconds since the first frame; frames that start earlier are left out.
        end: Seconds since the first frame; frames that start then or later are left out.
        step: Every Nth frame; 1 gives all.
        apply_rotation: Turn pictures upright. Without, `size` is that of the picture as stored.
        threads: Decoder threads; "auto" takes one per core, for use without worker processes.
        on_damage: "keep" includes pictures in which the decoder concealed errors (see `Frame.damaged`),
            "drop" leaves them out, "raise" stops at the first frame that is missing or damaged. Frames whose
            packet the decoder refuses are always missing; see `Frame.index`.
        index: The packets of the file, when they have been read already.

    Yields:
        Frames in presentation order; arrays are not shared.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video, decode.
        UserError: A value that is not supported.
    """
    for name, value, choices in (
        ("format", format, get_args(PixelFormat)),
        ("interpolation", interpolation, get_args(Interpolation)),
        ("on_damage", on_damage, get_args(OnDamage)),
    ):
        if value not in choices:
            raise UserError(f"Invalid {name} ({value}). Supported values are {', '.join(choices)}.")
    if size is not None and (len(size) != 2 or not all(map(_counts, size))):
        raise UserError(f"Invalid size ({size}). It is width and height, whole numbers from 1 on.")
    if not _counts(step):
        raise UserError(f"Invalid step ({step}). Supported values are whole numbers from 1 on.")
    path = local_path(os.fspath(path))
    index = index or index_packets(path)
    convert = PictureConverter(
        index, size=size, format=format, interpolation=interpolation, apply_rotation=apply_rotation
    )
    numbers = index.frames_between(start, end)[::step]
    for frame in iter_video_frames(path, frames=numbers, threads=threads, on_damage=on_damage, index=index):
        yield Frame(
            frame.index, int(index.pts[frame.index]), frame.time, convert(frame.picture), frame.damaged
        )


def _counts(value: Any) -> bool:
    return isinstance(value, Integral) and int(value) > 0
