"""Frames through decord, for those who want its pixels. The package is decord2; its module is ``decord``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tools.base.packages import not_installed
from tools.errors import MediaError
from tools.media.reading.container import open_video
from tools.media.reading.decoders.remuxed import remux
from tools.media.reading.orientation import Orientation
from tools.media.reading.pictures import Interpolation
from tools.media.reading.timeline.packets import PacketIndex


class _Decord:
    """decord counts frames in its own way; where its count is not the true one that is an error here.

    Otherwise its numbers would mean other frames. On HEVC with open groups of pictures its seeks go wrong
    without a sign. Files that it searches wrongly (damaged times; formats other than mp4 and Matroska) are
    remuxed first. It scales with bicubic interpolation alone.
    """

    single_pass = False

    def supports(self, index: PacketIndex) -> bool:
        """Not HDR, nor videos whose pictures have several sizes."""
        return index.hdr is None and not index.size_changes

    def read_images(
        self,
        path: str | Path,
        wanted: Sequence[int],
        index: PacketIndex,
        *,
        size: tuple[int, int] | None = None,
        interpolation: Interpolation = "bicubic",
        threads: int | Literal["auto"] = 1,
    ) -> dict[int, np.ndarray]:
        """Read frames, see `tools.media.reading.decoders.FrameDecoder`.

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
        count = 0 if threads == "auto" else threads
        if not (index.timing == "ok" and _is_read_right(path)):
            with remux(index) as copy:
                return _read(copy, wanted, index, size, count)
        return _read(path, wanted, index, size, count)


DECODER = _Decord()
"""See `tools.media.reading.decoders.DECODERS`."""


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
