"""Find regions of text: a segmentation network, and rotated rectangles around what it marks.

The network is PP-OCR's, of the kind of Liao et al. 2020, "Real-time Scene Text Detection with Differentiable
Binarization", arXiv 1911.08947. It marks the core of each line of text; the rectangle around a core is grown
by the offset of that paper, area x ratio / perimeter. The numbers are those of RapidOCR 3.10.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.scoring.ocr.backends import open_network
from tools.scoring.ocr.sessions import standardise

_MULTIPLE = 32  # sides that the network takes
_MARKED = 0.3  # probability from which a pixel belongs to text
_GROWTH = 1.6  # offset ratio of the paper ("unclip ratio")
_SMALLEST_CORE = 3  # pixels; shorter side of the rectangle around a core
_SMALLEST_REGION = 5  # pixels; shorter side after growing
_MOST_REGIONS = 1000


class Candidate(NamedTuple):
    """A region that the network marks.

    Attributes:
        corners: float32, shape (4, 2): x, y in pixels of the image; top left, top right, bottom right, bottom
            left. They may lie outside the image.
        score: Mean probability inside the rectangle before it was grown, 0 to 1.
    """

    corners: np.ndarray
    score: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height along the sides of the rectangle, in pixels."""
        return (
            float(np.linalg.norm(self.corners[1] - self.corners[0])),
            float(np.linalg.norm(self.corners[3] - self.corners[0])),
        )


class TextDetector:
    """Finds candidates for regions of text.

    Args:
        file: The network.
        device: What `backends.choose_backend` gave.
        backend: Likewise.
        threshold: Score that a candidate must exceed.
        limit_side: Longer side in pixels at which frames are read; larger ones are scaled down.
    """

    def __init__(
        self,
        file: Path,
        *,
        device: str = "cpu",
        backend: str = "onnxruntime",
        threshold: float = 0.3,
        limit_side: int = 1280,
    ) -> None:
        self._network = open_network(file, device, backend)
        self.threshold = threshold
        self.limit_side = limit_side

    def __call__(self, image: np.ndarray) -> list[Candidate]:
        """Find the regions of one image.

        Args:
            image: uint8, shape (H, W, 3), RGB.
        """
        import cv2

        height, width = image.shape[:2]
        columns, rows = network_size(width, height, self.limit_side)
        shrinks = columns * rows < width * height
        if (columns, rows) != (width, height):
            filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, (columns, rows), interpolation=filter_)
        probability = self._network(standardise(image))[0, 0]
        scale = np.array([width / columns, height / rows])
        return [
            Candidate((corners * scale).astype(np.float32), score)
            for corners, score in regions(probability, self.threshold)
        ]


def network_size(width: int, height: int, limit_side: int) -> tuple[int, int]:
    """Width and height at which an image is read: multiples of 32 next to its own, or to the limit."""
    scale = min(1.0, limit_side / max(width, height))
    columns, rows = (max(1, round(int(side * scale) / _MULTIPLE)) * _MULTIPLE for side in (width, height))
    return columns, rows


def regions(probability: np.ndarray, threshold: float) -> list[tuple[np.ndarray, float]]:
    """Rectangles around what is marked.

    Args:
        probability: float32, shape (H, W): how probably a pixel belongs to text.
        threshold: Score that a region must exceed.

    Returns:
        Corners, shape (4, 2), and score of each region.
    """
    import cv2

    marked = (probability > _MARKED).astype(np.uint8)
    marked = cv2.dilate(marked, np.ones((2, 2), np.uint8))  # joins letters that nearly touch
    contours, tree = cv2.findContours(marked, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    found = []
    for contour, (_, _, _, parent) in zip(contours[:_MOST_REGIONS], tree[0], strict=False):
        if parent >= 0:  # the edge of a hole in a region
            continue
        centre, sides, angle = cv2.minAreaRect(contour)
        if min(sides) < _SMALLEST_CORE:
            continue
        score = _mean_inside(probability, cv2.boxPoints((centre, sides, angle)))
        if score <= threshold:
            continue
        offset = sides[0] * sides[1] * _GROWTH / (2 * (sides[0] + sides[1]))
        grown = (sides[0] + 2 * offset, sides[1] + 2 * offset)
        if min(grown) >= _SMALLEST_REGION:
            found.append((clockwise(cv2.boxPoints((centre, grown, angle))), score))
    return found


def clockwise(corners: np.ndarray) -> np.ndarray:
    """Corners of a rectangle from the top left one on; its top is the side that is nearest to level."""
    middle = corners.mean(axis=0)
    turn = np.arctan2(corners[:, 1] - middle[1], corners[:, 0] - middle[0])
    corners = corners[np.argsort(turn)]  # clockwise on a screen, where y points down
    sides = np.roll(corners, -1, axis=0) - corners
    level = sides[:, 0] / np.maximum(np.linalg.norm(sides, axis=1), 1e-9)
    return np.roll(corners, -int(np.argmax(level)), axis=0)


def _mean_inside(probability: np.ndarray, corners: np.ndarray) -> float:
    import cv2

    height, width = probability.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillConvexPoly(inside, (corners - (left, top)).astype(np.int32), 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], inside)[0])
