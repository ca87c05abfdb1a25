"""Static overlays: a logo or watermark that stays while the picture moves."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

FEWEST = 8
"""Frames that are needed."""

_FRAMES = 64  # spread over the video
_RARELY = 0.1  # share of the frames in which an edge of the overlay may be missing
_WEAKEST = 3.0  # luma per pixel
_STEADY = (
    0.4,
    0.87,
)  # of its mean strength, that an edge has nearly always; a still scene joins at the first
_CHANGES = 6.0  # standard deviation over time, in luma, of a pixel that moves
_FEWEST_PIXELS = 12
_ENOUGH_PIXELS = 25
_LARGEST = (0.4, 0.6)  # height and width by those of the frame
_ALONE = 0.5  # share of all edges as steady as its own that one overlay must have
_ONE_WAY, _BOTH_WAYS = 0.12, 0.24  # energy of its edges across their main direction, by that along it
_FEWEST_AROUND = 40  # pixels with edges outside the overlay that show whether the camera moves
_STATIC, _MOVES = 0.5, 0.9  # share of them that is less steady, when the camera is static and when it moves
_CLOSE = np.ones((5, 5), np.uint8)
_APART = np.ones((9, 9), np.uint8)
_BESIDE = np.ones((13, 13), np.uint8)


class _Edges(NamedTuple):
    """Edges over time: arrays of shape (height, width).

    Attributes:
        across: Mean gradient along the rows.
        down: Mean gradient along the columns.
        strength: Gradient that is there nearly always, along the mean one, in luma per pixel.
        steadiness: That by the length of the mean.
        any: There is an edge at some time.
    """

    across: np.ndarray
    down: np.ndarray
    strength: np.ndarray
    steadiness: np.ndarray
    any: np.ndarray


def overlay_confidence(thumbnails: np.ndarray) -> float:
    """How sure it is that something is laid over the picture.

    An edge is steady when its gradient, projected on its mean direction, keeps at least 0.4 (then: 0.87) of
    its mean in nine of ten frames. Steady edges that touch are a candidate. Its confidence is the product of:

    - the edges run in both directions. Under a camera that pans, lines along the motion do not change either;
    - the share of moving pixels around it, or that of the edges elsewhere that are less steady, whichever is
      larger: a moving camera moves all edges, also where there is but sky around the overlay;
    - the share of pixels around it that have no steady edge;
    - its steadiness by 0.7, at most 1;
    - its share of all edges as steady as its own, by a half, at most 1, squared. It is small where a part of
      the scene itself is static. Edges that run one way only do not count.

    Args:
        thumbnails: uint8, shape (n, height, width), of all frames of a video.

    Returns:
        0 to 1. 0 also where nothing moves: an overlay cannot then be distinguished from the scene.
    """
    pick = np.unique(np.linspace(0, len(thumbnails) - 1, min(len(thumbnails), _FRAMES)).round().astype(int))
    pictures = thumbnails[pick].astype(np.float32)
    edges = _edges(pictures)
    moving = pictures.std(axis=0) >= _CHANGES
    return max(_most_likely(edges, moving, steady) for steady in _STEADY)


def _most_likely(edges: _Edges, moving: np.ndarray, least: float) -> float:
    """Confidence of the best of the candidates whose edges are that steady."""
    steady = (edges.strength >= _WEAKEST) & (edges.steadiness >= least)
    if not steady.any():
        return 0.0
    joined = cv2.morphologyEx(steady.astype(np.uint8), cv2.MORPH_CLOSE, _CLOSE)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    both_ways = np.zeros(count)
    for label in range(1, count):
        both_ways[label] = _both_ways(edges, (labels == label) & steady)
    weights = np.where(steady, both_ways[np.asarray(labels, np.intp)], 0.0)
    best = 0.0
    for label in np.flatnonzero(both_ways):
        width, height = boxes[label, cv2.CC_STAT_WIDTH], boxes[label, cv2.CC_STAT_HEIGHT]
        candidate = labels == label
        own = candidate & steady
        pixels = np.count_nonzero(own)
        if pixels < _FEWEST_PIXELS or min(width, height) < 3:
            continue
        if height > _LARGEST[0] * steady.shape[0] or width > _LARGEST[1] * steady.shape[1]:
            continue
        around = _ring(candidate)
        if not around.any():
            continue
        typical = np.median(edges.steadiness[own])
        others = weights[~candidate & (edges.steadiness >= typical)].sum()
        alone = (pixels / 2) / (pixels / 2 + others)  # half of its own are as steady as the median
        confidence = (
            both_ways[label]
            * max(moving[around].mean(), _camera_moves(edges, candidate, typical))
            * (1.0 - joined[around].mean())
            * min(1.0, edges.steadiness[own].mean() / 0.7)
            * min(1.0, alone / _ALONE) ** 2
            * min(1.0, pixels / _ENOUGH_PIXELS)
        )
        best = max(best, float(confidence))
    return best


def _both_ways(edges: _Edges, own: np.ndarray) -> float:
    """0 for edges that run in one direction, 1 for those of letters: eigenvalues of their tensor."""
    across, down = edges.across[own], edges.down[own]
    product = (across * down).sum()
    tensor = np.array([[(across**2).sum(), product], [product, (down**2).sum()]], np.float64)
    least, most = np.linalg.eigvalsh(tensor)
    return float(np.clip((least / max(most, 1e-6) - _ONE_WAY) / (_BOTH_WAYS - _ONE_WAY), 0.0, 1.0))


def _camera_moves(edges: _Edges, candidate: np.ndarray, typical: float) -> float:
    """0 to 1, from how many edges away from a candidate are less steady than its own."""
    away = edges.any & (cv2.dilate(candidate.astype(np.uint8), _APART) == 0)
    if np.count_nonzero(away) < _FEWEST_AROUND:
        return 0.0
    share = (edges.steadiness[away] < 0.5 * typical).mean()
    return float(np.clip((share - _STATIC) / (_MOVES - _STATIC), 0.0, 1.0))


def _edges(pictures: np.ndarray) -> _Edges:
    """Edges of pictures of shape (n, height, width)."""
    across, down = np.zeros_like(pictures), np.zeros_like(pictures)
    across[:, :, 1:-1] = (pictures[:, :, 2:] - pictures[:, :, :-2]) / 2
    down[:, 1:-1] = (pictures[:, 2:] - pictures[:, :-2]) / 2
    mean_across, mean_down = across.mean(axis=0), down.mean(axis=0)
    mean = np.hypot(mean_across, mean_down) + 1e-6
    along = across * (mean_across / mean)
    along += down * (mean_down / mean)
    rank = max(1, int(len(pictures) * _RARELY))
    nearly_always = np.partition(along, rank, axis=0)[rank]
    some_time = (across**2).mean(axis=0) + (down**2).mean(axis=0) >= _WEAKEST**2
    return _Edges(mean_across, mean_down, nearly_always, nearly_always / mean, some_time)


def _ring(candidate: np.ndarray) -> np.ndarray:
    """Pixels around a candidate, but not right beside it, where its own edges blur."""
    filled = candidate.astype(np.uint8)
    return (cv2.dilate(filled, _BESIDE) > 0) & (cv2.dilate(filled, _CLOSE) == 0)
