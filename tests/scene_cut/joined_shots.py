"""Real shots joined by cuts, dissolves and fades whose every mixed frame is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.media.reading.frames import iter_frames

Join = tuple[str, int]
"""A kind (cut, dissolve, black, white) and a length: 12 mixes 11 frames, in each half of a fade."""


@dataclasses.dataclass
class Joined:
    """A rendered video.

    Attributes:
        pictures: uint8 RGB.
        mixed: bool for each frame: it holds some of one shot and some of another, or of a plain colour.
        cuts: First frames of the shots that follow a cut.
        joins: For each join that is no cut, its first and last mixed frame.
    """

    pictures: list[np.ndarray]
    mixed: np.ndarray
    cuts: list[int]
    joins: list[tuple[int, int]]

    def left_in(self, scenes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Mixed frames inside scenes, bool for each frame."""
        inside = np.zeros(len(self.mixed), bool)
        for start, end in scenes:
            inside[start:end] = True
        return inside & self.mixed


def read_shot(path: Path, first: int, stop: int, size: tuple[int, int] = (192, 108)) -> np.ndarray:
    """Consecutive frames of a video, uint8, shape (n, height, width, 3)."""
    pictures = []
    for frame in iter_frames(path, size=size):
        if frame.index >= stop:
            break
        if frame.index >= first:
            pictures.append(frame.image)
    return np.stack(pictures)


def join_shots(shots: Sequence[np.ndarray], joins: Sequence[Join], plain: int = 30) -> Joined:
    """Show shots one after the other.

    A shot goes on while it is mixed, and is played back and forth where it is too short.

    Args:
        shots: uint8, shape (n, height, width, 3), one more than joins.
        joins: What lies between each and the next.
        plain: Frames of each shot that are not mixed with anything.
    """
    pictures: list[np.ndarray] = []
    made = Joined(pictures, np.zeros(0, bool), [], [])
    tail = np.empty(0)
    for number, shot in enumerate(shots):
        kind, length = joins[number - 1] if number else ("cut", 1)
        before = 0 if kind == "cut" else length - 1
        after = joins[number][1] - 1 if number < len(joins) and joins[number][0] != "cut" else 0
        frames = _played(shot, before + plain + after)
        share = (np.arange(before) + 1)[:, None, None, None] / length
        if kind == "cut":
            made.cuts += [len(pictures)] if number else []
        elif kind == "dissolve":
            _mix(made, (1 - share) * tail + share * frames[:before])
        else:
            colour = 255.0 * (kind == "white")
            _mix(made, (1 - share) * tail + share * colour)
            pictures += [np.full_like(shot[0], int(colour))] * 5
            _mix(made, share * frames[:before] + (1 - share) * colour)
        pictures += list(frames[before : before + plain].astype(np.uint8))
        tail = frames[before + plain :]
    made.mixed = np.zeros(len(pictures), bool)
    for first, last in made.joins:
        made.mixed[first : last + 1] = True
    return made


def _mix(made: Joined, pictures: np.ndarray) -> None:
    made.joins.append((len(made.pictures), len(made.pictures) + len(pictures) - 1))
    made.pictures += list(pictures.round().astype(np.uint8))


def _played(shot: np.ndarray, count: int) -> np.ndarray:
    numbers = np.arange(count) % (2 * len(shot) - 2)
    return shot[np.where(numbers < len(shot), numbers, 2 * len(shot) - 2 - numbers)].astype(np.float32)
