"""The decoder decord, for reproducing its pixels. The package is decord2; its module is ``decord``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tools.base.packages import require_package
from tools.errors import MediaError
from tools.media.reading.container import open_video
from tools.media.reading.decoders.remuxed import remux
from tools.media.reading.orientation import Orientation
from tools.media.reading.pictures import Interpolation
from tools.media.reading.timeline.packets import PacketIndex


class _Decord:
    """decord counts frames in its own way; a count that differs from the true one is an error.

    Otherwise its numbers would mean other frames. On HEVC with open groups of pictures its seeks fail
    silently. Files in which it seeks wrongly (damaged times; formats other than mp4 and Matroska) are remuxed
    first. It supports bicubic scaling only.
    """

    single_pass = False

    def supports(self, index: PacketIndex) -> bool:
        """Not HDR, nor videos whose pictures have several sizes."""
        return index.hdr is None and not index.size_changes

    def read_images(
        self,
        path: str | Path,
        numbers: Sequence[int],
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
        require_package("decord", "--decoder decord")
        if index.orientation.oblique:
            transform = f"its display matrix rotates pictures by {index.orientation.degrees} degrees"
            raise MediaError("decode", path, f"{transform}, which decord does not support; use decoder pyav")
        count = 0 if threads == "auto" else threads
        if not (index.timing == "ok" and _seeks_correctly(path)):
            with remux(index) as copy:
                return _read(copy, numbers, index, size, count)
        return _read(path, numbers, index, size, count)


DECODER = _Decord()
"""See `tools.media.reading.decoders.DECODERS`."""


def _seeks_correctly(path: str | Path) -> bool:
    """Whether decord seeks correctly in this format, and there is only one video track."""
    with open_video(path) as (container, _):
        indexed = container.format.name.startswith(("mov,mp4", "matroska"))
        return indexed and len(container.streams.video) == 1


def _read(
    path: str | Path, numbers: Sequence[int], index: PacketIndex, size: tuple[int, int] | None, threads: int
) -> dict[int, np.ndarray]:
    import decord

    try:
        # decord would take the relative path "http:a.mp4" for an address.
        reader = decord.VideoReader(str(Path(path).absolute()), num_threads=threads)
        if len(reader) != len(index.pts):
            raise MediaError(
                "decode", index.path, f"decord counts {len(reader)} frames, the file shows {len(index.pts)}"
            )
        batch = reader.get_batch(list(numbers)).asnumpy() if numbers else []
    except (RuntimeError, IndexError, ValueError, decord.DECORDError) as error:
        raise MediaError("decode", index.path, f"decord: {error}") from None
    return {
        number: _scaled(_upright(image, index.orientation), size or index.displayed_size)
        for number, image in zip(numbers, batch, strict=True)
    }


def _upright(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Correct the orientation of mirrored pictures, which decord only rotates, by 180 degrees too much."""
    if not orientation.mirrored:
        return image
    stored = Orientation(-(orientation.rotation + 180) % 360).apply(image)
    return orientation.apply(stored)


def _scaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[1::-1] == size:
        return np.array(image)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
