"""Frames on the grid that flow is computed on: 320 x 576 pixels, whatever the video's shape."""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH = 320, 576
"""The grid. Portrait frames are transposed for it, as in Open-Sora: rows become columns."""


def pixel_size(height: int, width: int) -> tuple[float, float]:
    """Width and height of a pixel of the grid, seen in the video: as fractions of the frame's diagonal.

    Args:
        height: Of the video's frames, in pixels.
        width: Likewise.
    """
    long, short = max(height, width), min(height, width)
    diagonal = float(np.hypot(long, short))
    return long / WIDTH / diagonal, short / HEIGHT / diagonal


def sampled_picture(image: np.ndarray) -> np.ndarray:
    """Scale as Open-Sora does: bilinear from corner to corner, without smoothing.

    It is ``torch.nn.functional.interpolate(mode="bilinear", align_corners=True)``; in a large picture most
    pixels are passed over.

    Args:
        image: uint8, shape (H, W, 3).

    Returns:
        float32 from 0 to 255, shape (320, 576, 3).
    """
    image = _landscape(image)
    upper, lower, share = _between_corners(image.shape[0], HEIGHT)
    rows = _mix(image[upper], image[lower], share[:, None, None])
    left, right, share = _between_corners(image.shape[1], WIDTH)
    return _mix(rows[:, left], rows[:, right], share[:, None])


def averaged_picture(image: np.ndarray) -> np.ndarray:
    """Scale with every pixel taken into account, so that the size of a video hardly changes its flow.

    Args:
        image: uint8, shape (H, W, 3).

    Returns:
        uint8, shape (320, 576, 3).
    """
    import cv2

    image = _landscape(image)
    smaller = min(image.shape[1], WIDTH), min(image.shape[0], HEIGHT)
    image = cv2.resize(np.ascontiguousarray(image), smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _landscape(image: np.ndarray) -> np.ndarray:
    return image.swapaxes(0, 1) if image.shape[0] > image.shape[1] else image


def _between_corners(length: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For ``count`` points from the first to the last pixel: pixels around each, the second one's share."""
    place = np.arange(count, dtype=np.float32) * np.float32((length - 1) / (count - 1))
    before = np.minimum(place.astype(np.int64), length - 1)
    return before, np.minimum(before + 1, length - 1), place - before.astype(np.float32)


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    first = first.astype(np.float32)
    return first + (second.astype(np.float32) - first) * share
