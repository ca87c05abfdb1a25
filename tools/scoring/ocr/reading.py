"""Read a line of text: a recognition network with CTC decoding, and how much its answer is worth."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.scoring.ocr.sessions import open_session, run_session, standardise

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_HEIGHT = 48  # pixels that the network takes
_SHORTEST = 320  # pixels to which shorter lines are filled up, as in training
_UPRIGHT = 1.5  # height by width from which a region is a line that runs down
_LEGIBLE = 0.5  # RapidOCR's own limit ("text score")
_SURE = 0.8  # measured on real videos, see docs/ocr.md
_CHANCE = 0.05  # of a reading in which every character is wrong
_BEYOND_DOUBT = 0.9
_STROKES = frozenset(" 1Il|!¦/\\-–—_~.·,:;'`’‘\"")  # a pole, an edge or a spot reads as one of these


class Reading(NamedTuple):
    """The text of a region.

    Attributes:
        text: The characters; no line breaks, no spaces at the ends.
        confidence: Mean probability of its characters, 0 to 1; 0 for none.
    """

    text: str
    confidence: float

    @property
    def legible(self) -> bool:
        """Whether the text is worth telling, where it is known that there is some."""
        return self.text != "" and self.confidence >= _LEGIBLE

    @property
    def sure(self) -> bool:
        """Whether there is text, and not something that looks like a letter.

        The network finds *some* character in anything: a globe is an O with 0.91. But it does not find many
        in a row. So (1 - confidence) ** characters must be 0.05 at most, which is 0.95 for one character,
        and the confidence 0.8 at least. Strokes and dots do not count as characters.
        """
        glyphs = sum(character not in _STROKES for character in self.text)
        return self.confidence >= _SURE and (1 - self.confidence) ** glyphs <= _CHANCE


class TextReader:
    """Reads regions of images, one at a time: what one says does not depend on the others.

    On a CPU the network is loaded when the first line is read: many files have none.

    Args:
        file: The network; its metadata have the characters.
        device: What `sessions.resolve_ocr_device` gave.
    """

    def __init__(self, file: Path, *, device: str = "cpu") -> None:
        self._open = lru_cache(1)(partial(_open, file, device))
        if device != "cpu":  # where threads share it
            self._open()

    def __call__(self, image: np.ndarray, corners: np.ndarray) -> Reading:
        """Read one region; one that is not clear is read upside down, too.

        Args:
            image: uint8, shape (H, W, 3), RGB.
            corners: shape (4, 2), clockwise from the top left one, in pixels.
        """
        line = cut_out(image, corners)
        reading = self.read_line(line)
        if reading.confidence >= _BEYOND_DOUBT:
            return reading
        turned = self.read_line(np.rot90(line, 2))
        return max(reading, turned, key=lambda read: read.confidence)

    def read_line(self, line: np.ndarray) -> Reading:
        """Read an image of one line of text: uint8, shape (H, W, 3), RGB."""
        import cv2

        height, width = line.shape[:2]
        exact = _HEIGHT * width / height
        columns = math.ceil(exact) if exact <= _SHORTEST else int(exact)
        pixels = standardise(cv2.resize(np.ascontiguousarray(line), (columns, _HEIGHT)))
        if columns < _SHORTEST:
            pixels = np.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, _SHORTEST - columns)))
        session, characters = self._open()
        return _decode(run_session(session, pixels)[0], characters)


def cut_out(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The region as an upright image; one that is much higher than wide is laid on its side."""
    import cv2

    corners = np.asarray(corners, np.float32)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    width, height = max(1, int(max(sides[0], sides[2]))), max(1, int(max(sides[1], sides[3])))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.rot90(line) if height >= _UPRIGHT * width else line


def _open(file: Path, device: str) -> tuple[InferenceSession, list[str]]:
    """A recognition network, and the character of each of its outputs."""
    session = open_session(file, device)
    characters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    return session, ["", *characters, " "]  # the first is CTC's blank


def _decode(probabilities: np.ndarray, characters: list[str]) -> Reading:
    """The best character of each step, repetitions and blanks left out (greedy CTC decoding)."""
    best = probabilities.argmax(axis=1)
    kept = best != 0
    kept[1:] &= best[1:] != best[:-1]
    if not kept.any():
        return Reading("", 0.0)
    text = "".join(characters[number] for number in best[kept])
    confidence = float(probabilities.max(axis=1)[kept].mean())
    return Reading(" ".join(text.split()), confidence)
