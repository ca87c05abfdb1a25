"""The small pictures that PySceneDetect's detectors see, without converting rows that do not count."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from tools.media.reading.colour.hdr import is_hdr
from tools.media.reading.orientation import UPRIGHT
from tools.media.reading.pictures import PictureConverter, pixels, plane_rows
from tools.media.reading.timeline.packets import PacketIndex

_SIDE = 256  # pixels of the longer side
_FEW = 0.4  # share of the rows from which on it does not pay to convert them alone
_SAME_ROW = 1e-4  # distance of a row in which another has a weight of 0 in OpenCV, which counts in 1/2048
_TOLERANCE = 1e-3  # of positions in rows, more than what OpenCV's are rounded by

# 8-bit formats of which libswscale converts each row from its own luma and chroma; and the format
# in which each row has its own chroma.
_BY_ROWS = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}


class SmallPictures:
    """Makes pictures as PySceneDetect sees them: upright, in stored pixels, BGR, the longer side at most 256.

    OpenCV converts the whole picture, and PySceneDetect samples it with a filter that reads one or two rows
    for each row of the result. Scores are PySceneDetect's, and so are cuts near a threshold, only if all
    bytes are; so rows are left out only where the others keep their bytes.

    Args:
        index: The packets of the video.
    """

    def __init__(self, index: PacketIndex) -> None:
        cv2.setNumThreads(1)
        width, height = index.coded_width, index.coded_height
        self._stored = (width, height)
        upright = (height, width) if index.orientation.swaps_sides else (width, height)
        factor = max(upright) / _SIDE
        self._size: tuple[int, int] | None = None
        if factor > 1:
            self._size = max(1, round(upright[0] / factor)), max(1, round(upright[1] / factor))
        self._convert = PictureConverter(index, size=upright, format="bgr24")
        self._rows: _Rows | None = None
        if self._size and index.orientation == UPRIGHT and height % 2 == width % 2 == 0:
            self._rows = _Rows(self._stored, self._size)
            if len(self._rows.numbers) > _FEW * height:
                self._rows = None
        self._checked = False

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """Convert and scale one picture.

        Returns:
            uint8, shape (height, width, 3), BGR.
        """
        if self._rows is None or not self._by_rows(picture):
            return self._whole(picture)
        if self._checked:
            return self._rows(picture)
        # A libswscale for another processor may have another way for each format. Of a black picture, as
        # many videos begin with, all rows are the same: that says nothing.
        whole = self._whole(picture)
        if _has_detail(whole):
            self._checked = True
            if not np.array_equal(whole, self._rows(picture)):
                self._rows = None
        return whole

    def _by_rows(self, picture: av.VideoFrame) -> bool:
        return (
            picture.format.name in _BY_ROWS
            and (picture.width, picture.height) == self._stored
            and not picture.interlaced_frame
            and not is_hdr(picture)
            and picture.planes[0].line_size > 0  # else rows are stored from the last to the first
        )

    def _whole(self, picture: av.VideoFrame) -> np.ndarray:
        array = self._convert(picture)
        return array if self._size is None else cv2.resize(array, self._size, interpolation=cv2.INTER_LINEAR)


def _has_detail(picture: np.ndarray) -> bool:
    """Whether most rows differ from the next."""
    return 2 * int((picture[1:] != picture[:-1]).any(axis=(1, 2)).sum()) > len(picture)


class _Rows:
    """Converts the rows alone that OpenCV's linear filter reads, and scales them.

    Args:
        stored: Width and height of the pictures, even numbers.
        size: Width and height to scale to.

    Attributes:
        numbers: The rows, ascending; an even number of them, as libswscale has another way for odd heights.
    """

    def __init__(self, stored: tuple[int, int], size: tuple[int, int]) -> None:
        self._stored, self._size = stored, size
        height, rows = stored[1], size[1]
        at = (np.arange(rows) + 0.5) * (height / rows) - 0.5
        self._single = bool(np.abs(at - np.rint(at)).max() < _SAME_ROW)
        if self._single:
            numbers = np.rint(at).astype(int)
        else:
            first, last = np.floor(at - _TOLERANCE), np.floor(at + _TOLERANCE) + 1
            numbers = np.unique(np.concatenate([first, first + 1, last]).clip(0, height - 1)).astype(int)
        self.numbers = np.append(numbers, numbers[-1:]) if len(numbers) % 2 else numbers
        self._chroma = self.numbers // 2
        self._gathered: dict[str, av.VideoFrame] = {}
        self._reformatter = VideoReformatter()
        self._sparse: np.ndarray | None = None

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        """Convert the rows of an 8-bit 4:2:0 picture to BGR and scale them to `size`."""
        gathered = self._gather(picture)
        converted = self._reformatter.reformat(
            gathered, gathered.width, gathered.height, "bgr24", interpolation="BICUBIC", threads=1
        )
        rows = pixels(converted)
        if self._single:
            rows = rows[: self._size[1]]
            return cv2.resize(rows, self._size, interpolation=cv2.INTER_LINEAR)
        if self._sparse is None:
            self._sparse = np.zeros((self._stored[1], self._stored[0], 3), np.uint8)
        self._sparse[self.numbers] = rows
        return cv2.resize(self._sparse, self._size, interpolation=cv2.INTER_LINEAR)

    def _gather(self, picture: av.VideoFrame) -> av.VideoFrame:
        """A picture of these rows, each with its own chroma."""
        form = _BY_ROWS[picture.format.name]
        if form not in self._gathered:
            self._gathered[form] = av.VideoFrame(self._stored[0], len(self.numbers), form)
        gathered = self._gathered[form]
        gathered.colorspace, gathered.color_range = picture.colorspace, picture.color_range
        for number, (source, target) in enumerate(zip(picture.planes, gathered.planes, strict=True)):
            width = self._stored[0] // 2 if number else self._stored[0]
            taken = plane_rows(source)[self._chroma if number else self.numbers]
            plane_rows(target)[: len(taken), :width] = taken[:, :width]
        return gathered
