"""Frames through decord, for those who want its pixels. The package is decord2; its module is ``decord``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tools.errors import MediaError
from tools.media.container import open_video
from tools.media.orientation import Orientation
from tools.media.packets import PacketIndex
from tools.media.straight import straightened
from tools.packages import not_installed


def read_images(
    path: str | Path,
    wanted: Sequence[int],
    index: PacketIndex,
    *,
    size: tuple[int, int] | None = None,
    threads: int = 1,
) -> dict[int, np.ndarray]:
    """Read frames by number with decord, which turns them upright itself.

    decord counts frames in its own way; where its count is not the true one its numbers mean other frames,
    and that is an error here. On HEVC with open groups of pictures its seeks go wrong without a sign. Files
    that it searches wrongly (damaged times; formats other than mp4 and Matroska) it gets as a copy.

    Args:
        path: The video.
        wanted: Frame numbers.
        index: The packets of the file.
        size: Width and height to scale to (bicubic); by default the displayed size.
        threads: Decoder threads; 0 lets decord choose.

    Returns:
        Images, uint8, shape (height, width, 3), RGB, by frame number.

    Raises:
        UserError: decord is not installed.
        MediaError: decode.
    """
    try:
        import decord  # noqa: F401
    except ImportError:
        raise not_installed("decord", "--decoder decord") from None
    if index.orientation.oblique:
        turn = f"its display matrix turns pictures by {index.orientation.degrees} degrees"
        raise MediaError("decode", path, f"{turn}, which decord does not do; use decoder pyav")
    if not (index.timing == "ok" and _is_read_right(path)):
        with straightened(index) as copy:
            return _read(copy, wanted, index, size, threads)
    return _read(path, wanted, index, size, threads)


def _is_read_right(path: str | Path) -> bool:
    """Whether decord can search a file of this format without going wrong, and has no other track to take."""
    with open_video(path) as (container, _):
        indexed = container.format.name.startswith(("mov,mp4", "matroska"))
        return indexed and len(container.streams.video) == 1


def _read(
    path: str | Path, wanted: Sequence[int], index: PacketIndex, size: tuple[int, int] | None, threads: int
) -> dict[int, np.ndarray]:
    import decord

    try:
        # Of a relative path decord would take "http:a.mp4" for an address.
        reader = decord.VideoReader(str(Path(path).absolute()), num_threads=threads)
        if len(reader) != len(index.pts):
            raise MediaError(
                "decode", index.path, f"decord counts {len(reader)} frames, the file shows {len(index.pts)}"
            )
        batch = reader.get_batch(list(wanted)).asnumpy() if wanted else []
    except (RuntimeError, IndexError, ValueError, decord.DECORDError) as error:
        raise MediaError("decode", index.path, f"decord: {error}") from None
    return {
        number: _scaled(_upright(image, index.orientation), size or index.displayed_size)
        for number, image in zip(wanted, batch, strict=True)
    }


def _upright(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Mirror what decord has only turned, 180 degrees more than `Orientation` says."""
    if not orientation.mirrored:
        return image
    stored = Orientation(-(orientation.rotation + 180) % 360).apply(image)
    return orientation.apply(stored)


def _scaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[1::-1] == size:
        return np.array(image)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
