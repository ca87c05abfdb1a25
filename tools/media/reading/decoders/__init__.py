"""Decoders that read frames by number, all behind one interface. To add one: a module here, and its line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from tools.media.reading.pictures import Interpolation
    from tools.media.reading.timeline.packets import PacketIndex

DECODERS = {
    "pyav": "tools.media.reading.decoders.pyav",
    "decord": "tools.media.reading.decoders.decord",
}
"""Name of each decoder, and the module whose ``DECODER`` it is."""


class FrameDecoder(Protocol):
    """A decoder of frames.

    Attributes:
        single_pass: Full pictures come from the pass that decodes the small ones of all frames, with PyAV; a
            decoder of its own needs another pass.
    """

    single_pass: bool

    def supports(self, index: PacketIndex) -> bool:
        """Whether its pictures of this video are right; if not, PyAV reads it."""
        ...

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
        """Read frames.

        Args:
            path: The video.
            wanted: Frame numbers in presentation order, ascending, each once.
            index: The packets of the file.
            size: Width and height to scale to; by default the displayed size.
            interpolation: Filter for scaling.
            threads: Decoder threads; "auto" takes one per core.

        Returns:
            Images, uint8, shape (height, width, 3), RGB, upright, by frame number. Those that are damaged are
            missing.

        Raises:
            UserError: The package of the decoder is not installed.
            MediaError: The file cannot be read.
        """
        ...


def check_decoder(decoder: str) -> None:
    """Make sure that there is a decoder of this name.

    Raises:
        UserError: There is none.
    """
    if decoder not in DECODERS:
        raise UserError(f"Invalid decoder ({decoder}). Supported values are {', '.join(DECODERS)}.")


def decoder_for(decoder: str, index: PacketIndex) -> FrameDecoder:
    """The decoder of this name, or PyAV where that one does not support the video.

    Raises:
        UserError: There is no such decoder.
    """
    check_decoder(decoder)
    found: FrameDecoder = import_module(DECODERS[decoder]).DECODER
    return found if found.supports(index) else import_module(DECODERS["pyav"]).DECODER
