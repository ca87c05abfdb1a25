"""What becomes of HDR pictures (PQ and HLG) in clips: the option ``hdr`` of everything that encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.errors import MediaError, UserError
from tools.media.writing.codecs import find_codec, keeps_ten_bits
from tools.options import Option
from tools.options.values import Choice

if TYPE_CHECKING:
    from tools.media.reading.timeline.packets import PacketIndex

HDR = {
    "tonemap": "convert them to SDR",
    "keep": "keep them (with --codec hevc or av1)",
    "fail": "refuse them",
}
"""What can be done with HDR pictures."""

HDR_OPTION = Option("HDR pictures (PQ, HLG)", Choice(HDR), shown="tonemap", everyday=False)
"""The option ``hdr: str | None`` of everything that encodes videos."""


def check_hdr(hdr: str | None, codec: str | None) -> None:
    """Check what is to be done with HDR pictures.

    Args:
        hdr: One of `HDR`, or None.
        codec: What encodes them; None for a copy.

    Raises:
        UserError: It cannot be done.
    """
    if hdr is None:
        return
    HDR_OPTION.check("hdr", hdr, None)
    if hdr == "tonemap" and codec is None:
        raise UserError("mode copy encodes nothing: it cannot make HDR pictures SDR; use --hdr keep or fail")
    if hdr == "keep" and codec is not None and not keeps_ten_bits(find_codec(codec)):
        raise UserError(f"--hdr keep: clips in {codec} have 8 bits, too few for HDR; use --codec hevc or av1")


def refuse_hdr(index: PacketIndex, hdr: str | None, *, copied: bool = False) -> None:
    """Refuse a source whose HDR is to be refused, or cannot be shown.

    Args:
        index: The packets of the source.
        hdr: One of `HDR`, or None.
        copied: No picture is decoded.

    Raises:
        MediaError: hdr.
    """
    if index.hdr is None:
        return
    if hdr == "fail":
        raise MediaError("hdr", index.path, f"its pictures are HDR ({index.hdr.kind}); --hdr says to fail")
    if index.hdr.unusable and not copied:
        raise MediaError("hdr", index.path, index.hdr.unusable)
