"""Videos of a camera that moves at a known speed over a large still picture, a subject in front of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.support import make_video

VIEW = 1.6
"""Width of the still picture by what the camera sees of it at the middle of the clip."""


@dataclass(frozen=True)
class Move:
    """What the camera does.

    Attributes:
        pan: Widths of the picture per second, to the right.
        tilt: Heights of the picture per second, up.
        zoom: What the scale gains in a second.
        roll: Radians per second, clockwise: the camera's own turn.
        shake: Widths of the picture: amplitude, to the side and up.
        shake_rate: Swings per second; 0: every frame anywhere.
    """

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0
    roll: float = 0.0
    shake: float = 0.0
    shake_rate: float = 0.0

    @property
    def labels(self) -> str:
        """The labels that are right for it, in their order."""
        signs = (
            *((self.pan < 0, "pan_left"), (self.pan > 0, "pan_right")),
            *((self.tilt > 0, "tilt_up"), (self.tilt < 0, "tilt_down")),
            *((self.zoom > 0, "zoom_in"), (self.zoom < 0, "zoom_out")),
            *((self.roll > 0, "roll_cw"), (self.roll < 0, "roll_ccw"), (self.shake > 0, "shake")),
        )
        return "+".join(label for there, label in signs if there) or "static"


def fractal(side: int = 1600, seed: int = 0) -> np.ndarray:
    """A picture with detail of all sizes, as photographs have it: amplitude falls with spatial frequency.

    Returns:
        uint8, shape (side, side, 3).
    """
    random = np.random.default_rng(seed)
    across = np.fft.rfftfreq(side)
    down = np.fft.fftfreq(side)[:, None]
    frequency = np.maximum(np.hypot(across, down), 1 / side)
    waves = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
    values = np.fft.irfft2(waves / frequency**1.2, (side, side))
    values = 128 + 48 * (values - values.mean()) / values.std()
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def film(
    still: np.ndarray | Sequence[np.ndarray],
    move: Move,
    *,
    size: tuple[int, int],
    fps: float,
    seconds: float,
    subject: np.ndarray | None = None,
    subject_area: float = 0.25,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """What the camera sees.

    The camera looks at a place of the still picture, with a scale and an angle. Its place changes along its
    own axes, so a pan of a rolled camera is a pan in its picture.

    Args:
        still: uint8, shape (height, width, 3); or a list of pictures, one for each frame: footage in which
            things move before the camera that is added.
        move: What the camera does.
        size: Width and height of the frames.
        fps: Frames per second.
        seconds: Length.
        subject: Picture of which an ellipse is in front of the still one, and moves on its own.
        subject_area: Its share of the frame.
        seed: Of the subject's way and the shake.
    """
    count = round(seconds * fps)
    stills = [still] * count if isinstance(still, np.ndarray) else still
    full = np.array(stills[0].shape[1::-1])
    random = np.random.default_rng(seed)
    times = np.arange(count) / fps
    middle = times[-1] / 2
    scale = (np.array(size) / full).max() * VIEW * (1 + move.zoom) ** (times - middle)
    places = _places(move, times, scale, size) + full / 2
    jolts = _jolts(move, times, size[0], random)
    phase = random.uniform(0, 2 * math.pi, 2)
    for time, now, place, jolt, picture in zip(times, scale, places, jolts, stills, strict=True):
        cos, sin = math.cos(move.roll * time), math.sin(move.roll * time)
        # y points down: seen by a camera that has turned clockwise, the still has turned counterclockwise.
        turn = now * np.array([[cos, sin], [-sin, cos]])
        shift = (np.array(size) - 1) / 2 + jolt - turn @ place
        frame = cv2.warpAffine(
            picture,
            np.column_stack([turn, shift]),
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        if subject is not None:
            way = 0.5 + np.array([0.18, 0.12]) * np.sin(2 * math.pi * np.array([0.35, 0.5]) * time + phase)
            _paste(frame, subject, way * size, subject_area)
        yield frame


def film_to(path: Path, still: np.ndarray | Sequence[np.ndarray], move: Move, **how: object) -> Path:
    """Encode what the camera sees as h264; arguments as for `film`."""
    options = {"preset": "ultrafast", "crf": "23"}
    return make_video(path, pictures=list(film(still, move, **how)), fps=how["fps"], options=options, gop=60)


def _places(move: Move, times: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where the camera looks, in pixels of the still from its middle: shape (n, 2)."""
    velocity = np.array([move.pan * size[0], -move.tilt * size[1]])
    angle = move.roll * times
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    speeds = (velocity[0] * along + velocity[1] * across) / scale[:, None]
    steps = (speeds[1:] + speeds[:-1]) / 2 * np.diff(times)[:, None]
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return places - places.mean(axis=0)


def _jolts(move: Move, times: np.ndarray, width: int, random: np.random.Generator) -> np.ndarray:
    """Pixels by which the shake moves each frame: shape (n, 2)."""
    if not move.shake_rate:
        return random.normal(0, max(move.shake, 0.0) * width / math.sqrt(2), (len(times), 2))
    phase = random.uniform(0, 2 * math.pi, 2)
    rates = move.shake_rate * np.array([1.0, 1.3])
    return move.shake * width * np.sin(2 * math.pi * rates * times[:, None] + phase)


def _paste(frame: np.ndarray, subject: np.ndarray, middle: np.ndarray, area: float) -> None:
    """Put an ellipse of the subject into a frame."""
    height, width = frame.shape[:2]
    shrink = math.sqrt(area * 4 / math.pi)
    inner = (round(width * shrink), round(height * shrink))
    picture = cv2.resize(subject, inner)
    left, top = (middle - np.array(inner) / 2).astype(int)
    left, top = (
        int(np.clip(left, 0, width - inner[0])),
        int(np.clip(top, 0, height - inner[1])),
    )
    mask = cv2.ellipse(
        np.zeros(inner[::-1], np.uint8),
        (inner[0] // 2, inner[1] // 2),
        (inner[0] // 2, inner[1] // 2),
        *(0, 0, 360, 1, -1),
    )
    part = frame[top : top + inner[1], left : left + inner[0]]
    part[mask > 0] = picture[mask > 0]
