"""The pictures of clips: SDR unless HDR is kept, upright, square pixels, even sides, never enlarged."""

from __future__ import annotations

import dataclasses

import av
from av.filter import Graph
from av.video.frame import PictureType

from tools.media.reading.colour.hdr import BT709, is_hdr
from tools.media.reading.filters import FilterChain, build_graph
from tools.media.reading.pictures import SdrPictures, fitted
from tools.media.reading.timeline.packets import PacketIndex

_LIMITED, _FULL = 1, 2  # libavutil/pixfmt.h: AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_RGB, _SMPTE170M = 0, 6  # AVCOL_SPC_…


@dataclasses.dataclass(frozen=True)
class Shape:
    """Size of the pictures of clips.

    Attributes:
        width: Pixels, even.
        height: Pixels, even.
        scaled: Whether pictures are scaled to it; otherwise at most one row and column are cropped.
    """

    width: int
    height: int
    scaled: bool


def clip_shape(index: PacketIndex, shorter_size: int | None = None) -> Shape:
    """Find the size of clips: the displayed size, or smaller so that the shorter side is `shorter_size`.

    Encoders of 4:2:0 take even sides only: a picture that is not scaled for another reason loses its last
    row or column, at most one of each.

    Args:
        index: The packets of the source.
        shorter_size: Pixels of the shorter side; a smaller source stays as it is.
    """
    width, height = index.displayed_size
    shorter = min(width, height)
    if shorter_size is not None and shorter > shorter_size:
        factor = shorter_size / shorter
        return Shape(_even(width * factor), _even(height * factor), True)
    turned = index.orientation.swaps_sides
    stored = (index.coded_height, index.coded_width) if turned else (index.coded_width, index.coded_height)
    if (width, height) != stored or shorter < 2:
        return Shape(_even(width), _even(height), True)
    return Shape(width // 2 * 2, height // 2 * 2, False)


def choose_pix_fmt(source: str | None, offered: list[str], *, deep: bool) -> str:
    """Choose the pixel format of clips: 4:2:0, which everything plays.

    Args:
        source: Pixel format of the source.
        offered: What the encoder takes; empty when that is unknown.
        deep: Whether a source with more than 8 bits keeps 10.
    """
    source_format = av.VideoFormat(source) if source else None
    bits = max((c.bits for c in source_format.components), default=8) if source_format else 8
    if bits > 8 and deep:
        for name in ("yuv420p10le", "p010le"):
            if name in offered:
                return name
    if source == "yuvj420p" and source in offered:
        return source
    return next((name for name in ("yuv420p", "nv12") if name in offered or not offered), offered[0])


@dataclasses.dataclass(frozen=True)
class Colours:
    """How pixel values map to colours, in libavutil's codes (2, or 0 for the range: unspecified)."""

    range: int
    matrix: int
    primaries: int
    transfer: int

    @classmethod
    def of(cls, picture: av.VideoFrame, *, keep_hdr: bool = False) -> Colours:
        """The colours of clips made of such pictures: the same; RGB becomes limited BT.601, HDR BT.709."""
        if is_hdr(picture) and not keep_hdr:
            return cls(_LIMITED, BT709, BT709, BT709)
        if picture.format.is_rgb:
            return cls(_LIMITED, _SMPTE170M, int(picture.color_primaries), int(picture.color_trc))
        full = picture.format.name.startswith("yuvj")
        return cls(
            _FULL if full else int(picture.color_range),
            int(picture.colorspace),
            int(picture.color_primaries),
            int(picture.color_trc),
        )


class PictureTransform:
    """Brings decoded pictures into the shape and format of clips.

    Args:
        index: The packets of the source.
        shape: Size of the clips.
        pix_fmt: Their pixel format.
        colours: Their colours.
        keep_hdr: Leave HDR pictures HDR.

    Raises:
        MediaError: hdr: there is no way to show the pictures.
    """

    def __init__(
        self, index: PacketIndex, shape: Shape, pix_fmt: str, colours: Colours, *, keep_hdr: bool = False
    ) -> None:
        self._index, self._colours, self._keep_hdr = index, colours, keep_hdr
        self._orientation = index.orientation
        self._others: dict[tuple[int, int], tuple[PictureTransform, FilterChain]] = {}
        self._shape = shape
        self._pix_fmt = pix_fmt
        self._full = colours.range == _FULL
        self._matrix = "bt709" if colours.matrix == BT709 else "bt601"
        self._sdr = None if keep_hdr else SdrPictures(index, bits=16)
        self._input: tuple[str, int, int] | None = None
        self._graph: Graph | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Transform one picture; one that fits already is given back itself."""
        if (other := self._index.stored_as(picture.width, picture.height)) is not self._index:
            return self._in_the_middle(picture, other)
        if self._sdr is not None and is_hdr(picture):
            picture = self._in_sdr(picture, self._sdr)
        kind = (picture.format.name, picture.width, picture.height)
        if kind != self._input:  # the size may change within a stream
            self._input, self._graph = kind, self._build(picture)
        if self._graph is not None:
            self._graph.vpush(picture)
            picture = self._graph.vpull()
        picture.pict_type = PictureType.NONE  # the encoder decides
        return picture

    def _in_sdr(self, picture: av.VideoFrame, convert: SdrPictures) -> av.VideoFrame:
        """An HDR picture as RGB of BT.709; scaled down already where clips are."""
        width, height = picture.width, picture.height
        if self._shape.scaled and not self._orientation.oblique:
            turned = self._orientation.swaps_sides
            width, height = (self._shape.width, self._shape.height)[:: -1 if turned else 1]
        shown = av.VideoFrame.from_ndarray(convert(picture, width, height), "rgb48le")
        shown.color_range, shown.colorspace = _FULL, _RGB
        shown.color_primaries = shown.color_trc = BT709
        return shown

    def _build(self, picture: av.VideoFrame) -> Graph | None:
        shape, turned = self._shape, self._orientation.swaps_sides
        upright = self._orientation.filters()
        steps = [*upright] if self._orientation.oblique else []  # before pixels are made square
        width, height = picture.width, picture.height
        odd_one = (shape.width, shape.height) if not turned else (shape.height, shape.width)
        resize = shape.scaled or not (0 <= width - odd_one[0] <= 1 and 0 <= height - odd_one[1] <= 1)
        if resize:
            width, height = odd_one
        if resize or picture.format.name != self._pix_fmt:
            colours = f":out_range={'full' if self._full else 'limited'}"
            if picture.format.is_rgb:
                colours += f":out_color_matrix={self._matrix}"
            steps.append(("scale", f"w={width}:h={height}:flags=bicubic{colours}"))
            steps.append(("format", f"pix_fmts={self._pix_fmt}"))
        if not self._orientation.oblique:
            steps += upright
        if turned:
            width, height = height, width
        if (width, height) != (shape.width, shape.height):
            steps.append(("crop", f"w={shape.width}:h={shape.height}:x=0:y=0:exact=1"))
        return build_graph(picture, steps) if steps else None

    def _in_the_middle(self, picture: av.VideoFrame, other: PacketIndex) -> av.VideoFrame:
        """Transform a picture of another size than the first, and put it into the middle of a black one."""
        kind = (other.coded_width, other.coded_height)
        if kind not in self._others:
            size = (self._shape.width, self._shape.height)
            sides = fitted(other.displayed_size, self._index.displayed_size, size)
            inner = PictureTransform(
                other,
                Shape(*map(_even, sides), scaled=True),
                self._pix_fmt,
                self._colours,
                keep_hdr=self._keep_hdr,
            )
            pad = FilterChain([("pad", f"w={size[0]}:h={size[1]}:x=(ow-iw)/2:y=(oh-ih)/2")])
            self._others[kind] = inner, pad
        inner, pad = self._others[kind]
        framed = pad(inner(picture))
        framed.pict_type = PictureType.NONE
        return framed


def _even(pixels: float) -> int:
    return max(2, 2 * round(pixels / 2))
