"""Text in a picture: its regions, the part of the picture that they cover, and their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.errors import UserError, check_choice
from tools.scoring.ocr.backends import choose_backend
from tools.scoring.ocr.detection import Candidate, TextDetector
from tools.scoring.ocr.reading import Reading, TextReader
from tools.scoring.ocr.sessions import find_models

CHECKS: dict[str, str] = {
    "reading": "a region that does not look like a line of text counts when it can be read",
    "none": "every region counts that the detector is confident of",
}
"""What makes a region count, by name."""

SEPARATOR = " | "
"""Between the regions of a text: a cell stays one line."""

# What counts without being read: measured on real videos, see docs/ocr.md. Scripts that the recognition
# network does not know (Cyrillic, Arabic, Hangul) have no other evidence.
_LINE_LENGTH = 3.0  # longer by shorter side
_LINE_SCORE = 0.6
_LINE_HEIGHT = 1 / 3  # of the shorter side of the picture


@dataclass(frozen=True)
class Region:
    """A region of text.

    Attributes:
        corners: float32, shape (4, 2): x, y in pixels, clockwise from the top left corner; a region at the
            edge may reach over it.
        score: The detector's confidence, 0 to 1.
        reading: What it says; None where that was not needed.
    """

    corners: np.ndarray
    score: float
    reading: Reading | None = None


@dataclass(frozen=True)
class PictureText:
    """The text of one picture.

    Attributes:
        regions: In reading order.
        area: Union of the regions by area of the picture, 0 to 1.
    """

    regions: tuple[Region, ...]
    area: float


class OcrScorer:
    """Finds the text in pictures.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threshold: The detector's confidence that a region must exceed.
        limit_side: Longer side in pixels at which pictures are read; larger ones are scaled down,
            smaller ones are taken as they are. Regions are read at full size.
        check: A name of `CHECKS`.
        backend: What computes the detection network: a name of `backends.BACKENDS`.

    Raises:
        UserError: A package is not installed, the device cannot be used, or a value is out of range.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        threshold: float = 0.3,
        limit_side: int = 1280,
        check: str = "reading",
        backend: str = "auto",
    ) -> None:
        check_options(threshold, limit_side, check)
        models = find_models()
        device, backend = choose_backend(device, backend)
        self._detect = TextDetector(
            models.detection, device=device, backend=backend, threshold=threshold, limit_side=limit_side
        )
        self._read = TextReader(models.recognition, device=device)
        self._check = check

    def find(self, image: np.ndarray) -> PictureText:
        """Find the regions of one picture.

        Args:
            image: uint8, shape (H, W, 3), RGB.
        """
        kept = []
        for candidate in self._detect(image):
            region = self._judge(image, candidate)
            if region is not None:
                kept.append(region)
        kept = [kept[number] for number in reading_order([region.corners for region in kept])]
        height, width = image.shape[:2]
        return PictureText(tuple(kept), covered([region.corners for region in kept], width, height))

    def read(self, image: np.ndarray, regions: Sequence[Region]) -> str:
        """What regions of a picture say, those that can be read, joined by `SEPARATOR`."""
        readings = [region.reading or self._read(image, region.corners) for region in regions]
        return SEPARATOR.join(reading.text for reading in readings if reading.legible)

    def score(self, images: Sequence[np.ndarray], *, text: bool = False) -> dict[str, int | float | str]:
        """The values of one video or image.

        Args:
            images: Its frames, each uint8, shape (H, W, 3), RGB; at least one.
            text: Read the frame with the most regions, of these the one that they cover most.

        Returns:
            ``ocr``, the most regions of a frame; ``ocr_area``, the largest part of a frame that is covered;
            with `text` also ``ocr_text``.
        """
        found = [self.find(image) for image in images]
        values: dict[str, int | float | str] = {
            "ocr": max(len(picture.regions) for picture in found),
            "ocr_area": max(picture.area for picture in found),
        }
        if text:
            fullest = max(range(len(found)), key=lambda n: (len(found[n].regions), found[n].area))
            values["ocr_text"] = self.read(images[fullest], found[fullest].regions)
        return values

    def _judge(self, image: np.ndarray, candidate: Candidate) -> Region | None:
        """The region that a candidate is, or None."""
        if self._check == "none" or looks_like_line(candidate, min(image.shape[:2])):
            return Region(candidate.corners, candidate.score)
        reading = self._read(image, candidate.corners)
        return Region(candidate.corners, candidate.score, reading) if reading.sure else None


def check_options(threshold: float, limit_side: int, check: str) -> None:
    """Refuse what cannot be.

    Raises:
        UserError: A value is out of range.
    """
    if not 0.0 <= threshold < 1.0:
        raise UserError(f"threshold {threshold}: must be from 0 to 1, and less than 1")
    if limit_side < 32:
        raise UserError(f"limit_side {limit_side}: must be 32 pixels or more")
    check_choice("check", check, CHECKS)


def looks_like_line(candidate: Candidate, shorter_side: int) -> bool:
    """Whether a candidate is so much like a line of text that it need not be read.

    Args:
        candidate: The region.
        shorter_side: Of the picture, in pixels.
    """
    short, long = sorted(candidate.size)
    return (
        candidate.score >= _LINE_SCORE
        and long >= _LINE_LENGTH * short
        and short <= _LINE_HEIGHT * shorter_side
    )


def covered(boxes: Sequence[np.ndarray], width: int, height: int) -> float:
    """Part of a picture that lies in any of the boxes.

    Args:
        boxes: Corners of convex quadrilaterals, each of shape (4, 2): x, y in pixels.
        width: Width of the picture in pixels.
        height: Its height.

    Returns:
        0 to 1; what several boxes cover counts once, what lies outside the picture does not count.
    """
    from shapely import MultiPoint, box, union_all

    if not boxes:
        return 0.0
    hulls = [MultiPoint(corners.tolist()).convex_hull for corners in boxes]
    return float(union_all(hulls).intersection(box(0, 0, width, height)).area) / (width * height)


def reading_order(boxes: Sequence[np.ndarray]) -> list[int]:
    """Numbers of the boxes from top to bottom, and from left to right where they are in one row.

    A box belongs to the row above it when its middle lies higher than the lower edge of the row's first box.
    """
    tops = [float(box[:, 1].min()) for box in boxes]
    order = sorted(range(len(boxes)), key=tops.__getitem__)
    rows: list[list[int]] = []
    for number in order:
        if rows and boxes[number][:, 1].mean() < boxes[rows[-1][0]][:, 1].max():
            rows[-1].append(number)
        else:
            rows.append([number])
    return [number for row in rows for number in sorted(row, key=lambda n: float(boxes[n][:, 0].min()))]
