"""Pictures whose motion is known: a texture under a camera that pans, zooms or turns at a steady speed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 1024  # pixels; the texture repeats

Camera = Callable[[float], np.ndarray]
"""From seconds to the 3 x 3 matrix that moves the content, in frame heights, from where it is at 0 s."""


def texture(seed: int = 0) -> np.ndarray:
    """Fractal noise in three colours, as natural pictures have it (amplitude falls with frequency)."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    frequency[0, 0] = np.inf
    colours = []
    for _ in range(3):
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) / frequency**1.3).real
        colours.append(np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8))
    return np.stack(colours, axis=2)


def pan(across: float, down: float) -> Camera:
    """So many frame heights per second."""
    return lambda t: np.array([[1, 0, across * t], [0, 1, down * t], [0, 0, 1]])


def zoom(rate: float) -> Camera:
    """Everything moves from the centre, in one second by the factor e^rate."""
    return lambda t: np.diag([np.exp(rate * t), np.exp(rate * t), 1])


def turn(radians: float) -> Camera:
    """Around the centre, per second."""

    def matrix(t: float) -> np.ndarray:
        cosine, sine = np.cos(radians * t), np.sin(radians * t)
        return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])

    return matrix


def render(content: np.ndarray, camera: Camera, seconds: float, height: int, width: int) -> np.ndarray:
    """The picture at a time: uint8, shape (height, width, 3).

    Half a texture fits into the height of the frame, at any size.
    """
    to_heights = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, height]]) / height
    to_texture = np.array([[SIDE / 2, 0, SIDE / 2], [0, SIDE / 2, SIDE / 2], [0, 0, 1]])
    matrix = to_texture @ np.linalg.inv(camera(seconds)) @ to_heights
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # twice the size and averaged down, as a lens and a sensor do
    fine = matrix @ np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    large = cv2.warpPerspective(
        content, fine, (2 * width, 2 * height), flags=flags, borderMode=cv2.BORDER_WRAP
    )
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def mean_speed(camera: Camera, height: int, width: int) -> float:
    """Mean speed of the content over the frame, in diagonals per second, from the matrices alone."""
    y, x = np.mgrid[0:height, 0:width]
    places = np.stack([(x - (width - 1) / 2) / height, (y - (height - 1) / 2) / height, np.ones_like(x)])
    step = 1e-4  # seconds
    moved = np.tensordot(camera(step), places, 1) - places
    return float(np.hypot(moved[0], moved[1]).mean() / step / np.hypot(1, width / height))
