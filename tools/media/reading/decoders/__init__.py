"""Decoders that read frames by number, behind one interface, `FrameDecoder`.

To add one, write a module in this folder with an object ``DECODER``, and add its line to `DECODERS`. The
names there are the values of ``--decoder``; `tests/media/reading/test_decoders.py` tests every one.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tools.errors import check_choice

if TYPE_CHECKING:
    import numpy as np

    from tools.media.reading.pictures import Interpolation
    from tools.media.reading.timeline.packets import PacketIndex

DECODERS = {
    "pyav": "tools.media.reading.decoders.pyav",
    "decord": "tools.media.reading.decoders.decord",
}
"""Name of each decoder, and the module that defines it as ``DECODER``."""


class FrameDecoder(Protocol):
    """A decoder of frames.

    Attributes:
        single_pass: Whether full pictures may come from the pass in which PyAV decodes thumbnails; False for
            every decoder but PyAV, so that its own `read_images` is called.
    """

    single_pass: bool

    def supports(self, index: PacketIndex) -> bool:
        """Whether the decoder reads this video correctly; otherwise PyAV is used."""
        ...

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
        """Read frames.

        Args:
            path: The video.
            numbers: Frame numbers in presentation order, ascending, each once.
            index: The packets of the file.
            size: Width and height to scale to; by default the displayed size.
            interpolation: Filter for scaling.
            threads: Decoder threads; "auto" takes one per core.

        Returns:
            Images by frame number: uint8, shape (height, width, 3), RGB, upright, with square pixels. Damaged
            frames are left out.

        Raises:
            UserError: The package of the decoder is not installed (`tools.base.packages.not_installed`).
            MediaError: The file cannot be read.
        """
        ...


def check_decoder(decoder: str) -> None:
    """Make sure that there is a decoder of this name.

    Raises:
        UserError: There is none.
    """
    check_choice("decoder", decoder, DECODERS)


def decoder_for(decoder: str, index: PacketIndex) -> FrameDecoder:
    """The decoder of this name, or PyAV where that one does not support the video.

    Raises:
        UserError: There is no such decoder.
    """
    check_decoder(decoder)
    found: FrameDecoder = import_module(DECODERS[decoder]).DECODER
    return found if found.supports(index) else import_module(DECODERS["pyav"]).DECODER
