"""Frames of a video or an image: by number, or as a sampling policy chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from pathlib import Path

from tools.base.addresses import local_path
from tools.errors import MediaError, UserError
from tools.media.reading import frames as video
from tools.media.reading.extensions import is_image
from tools.media.reading.frames import Frame
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling, parse_sampling


def read_frames(
    path: str | Path, frames: Sampling | str | Sequence[int] = "first_middle_last", *, decoder: str = "pyav"
) -> list[Frame]:
    """Read exact frames. A frame that cannot be read is an error, never replaced by another.

    ``read_frames("film.mp4", [0, 24])``, ``read_frames("film.mp4", "count_uniform:8")``,
    ``read_frames("film.mp4", Sampling("fps", fps=2, start=10))``.

    Args:
        path: A video or an image, whose only frame has the number 0.
        frames: Numbers in presentation order, from 0, in any order; or a `Sampling`, or a value
            of ``--sampling``: ``middle``, ``count_uniform:8``, ``fps:2``,
            ``timestamps:1,2.5``.
        decoder: ``pyav`` or ``decord``.

    Returns:
        The frames, in the order of `frames`. Each has ``index``, ``pts``, ``time`` (seconds since the first
        frame) and ``image``: uint8, shape (height, width, 3), RGB, upright, with square pixels.

    Raises:
        MediaError: missing, not_a_file, empty, unreadable, no_video; too_short if there is no such frame;
            decode if one is damaged.
        UserError: An unknown policy or decoder, or what cannot be the number of a frame.
    """
    path = local_path(str(path))
    if isinstance(frames, str):
        frames = parse_sampling(frames)
    if isinstance(frames, Sampling):
        return list(read_sampled(path, frames, decoder=decoder))
    try:
        numbers = [index(number) for number in frames]
    except TypeError as error:
        raise UserError(f"frames: must be whole numbers, or how to choose them: {error}") from None
    if numbers and min(numbers) < 0:
        raise UserError(f"Invalid frame ({min(numbers)}). Frames are numbered from 0.")
    if not is_image(path):
        return video.read_frames(path, numbers, decoder=decoder)
    (only,) = read_sampled(path, Sampling("first"), decoder=decoder)
    if numbers and max(numbers) > 0:
        raise MediaError("too_short", path, f"there is no frame {max(numbers)}: an image has one")
    return [only] * len(numbers)
