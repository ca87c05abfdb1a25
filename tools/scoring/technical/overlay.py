"""Static overlays: a logo or watermark that stands still while the picture moves."""

from __future__ import annotations

import cv2
import numpy as np

FEWEST = 8
"""Frames that are needed."""

_FRAMES = 64  # spread over the video
_RARELY = 0.1  # share of the frames in which an edge of the overlay may be missing
_WEAKEST = 3.0  # luma per pixel
_STEADY = 0.4  # of its mean strength, that an edge has nearly always
_CHANGES = 6.0  # standard deviation over time, in luma, of a pixel that moves
_FEWEST_PIXELS = 8
_LARGEST = (0.4, 0.6)  # height and width by those of the frame
_ALONE = 0.4  # share of all steady edges that one overlay has to hold
_CLOSE = np.ones((5, 5), np.uint8)
_BESIDE = np.ones((13, 13), np.uint8)


def overlay_confidence(thumbnails: np.ndarray) -> float:
    """How sure it is that something is laid over the picture.

    An edge is steady when its gradient, projected on its mean direction, keeps at least 0.4 of its mean in
    nine of ten frames. Steady edges that touch are a candidate. Its confidence is the product of: the share
    of moving pixels around it; the share of pixels around it that have no steady edge; its steadiness by 0.7,
    at most 1; its share of all steady edges by 0.4, at most 1. The last makes it small where a part of the
    scene itself stands still.

    Args:
        thumbnails: uint8, shape (n, height, width), of all frames of a video.

    Returns:
        0 to 1. 0 also where nothing moves: an overlay cannot then be told from the scene.
    """
    pick = np.unique(np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), _FRAMES)).round().astype(int))
    pictures = thumbnails[pick].astype(np.float32)
    strength, steadiness = _steady_edges(pictures)
    steady = (strength >= _WEAKEST) & (steadiness >= _STEADY)
    if not steady.any():
        return 0.0
    moving = pictures.std(axis=0) >= _CHANGES
    joined = cv2.morphologyEx(steady.astype(np.uint8), cv2.MORPH_CLOSE, _CLOSE)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    best = 0.0
    for label in range(1, count):
        width, height = boxes[label, cv2.CC_STAT_WIDTH], boxes[label, cv2.CC_STAT_HEIGHT]
        candidate = labels == label
        edges = candidate & steady
        if np.count_nonzero(edges) < _FEWEST_PIXELS or min(width, height) < 3:
            continue
        if height > _LARGEST[0] * steady.shape[0] or width > _LARGEST[1] * steady.shape[1]:
            continue
        around = _ring(candidate)
        if not around.any():
            continue
        alone = np.count_nonzero(edges) / np.count_nonzero(steady)
        confidence = (
            moving[around].mean()
            * (1.0 - joined[around].mean())
            * min(1.0, steadiness[edges].mean() / 0.7)
            * min(1.0, alone / _ALONE)
        )
        best = max(best, float(confidence))
    return best


def _steady_edges(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of each pixel that is there nearly always, in luma per pixel, and that by its mean."""
    across, down = np.zeros_like(pictures), np.zeros_like(pictures)
    across[:, :, 1:-1] = (pictures[:, :, 2:] - pictures[:, :, :-2]) / 2
    down[:, 1:-1] = (pictures[:, 2:] - pictures[:, :-2]) / 2
    mean_across, mean_down = across.mean(axis=0), down.mean(axis=0)
    mean = np.hypot(mean_across, mean_down) + 1e-6
    along = across * (mean_across / mean)
    along += down * (mean_down / mean)
    rank = max(1, int(len(pictures) * _RARELY))
    nearly_always = np.partition(along, rank, axis=0)[rank]
    return nearly_always, nearly_always / mean


def _ring(candidate: np.ndarray) -> np.ndarray:
    """Pixels around a candidate, but not right beside it, where its own edges blur."""
    filled = candidate.astype(np.uint8)
    return (cv2.dilate(filled, _BESIDE) > 0) & (cv2.dilate(filled, _CLOSE) == 0)
