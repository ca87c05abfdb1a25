"""Training buckets: groups of rows that a training run puts into one batch.

A bucket is a class of resolution, a number of frames and an aspect ratio, as the training of Open-Sora
1.1 to 1.3 defines them (`opensora/datasets/bucket.py` and `aspect.py` there).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

PIXELS: dict[str, int] = {
    "144p": 144 * 256,
    "256": 256 * 256,
    "240p": 240 * 426,
    "360p": 360 * 640,
    "512": 512 * 512,
    "480p": 480 * 854,
    "720p": 720 * 1280,
    "1024": 1024 * 1024,
    "1080p": 1080 * 1920,
    "2k": 1440 * 2560,
    "2048": 2048 * 2048,
    "2880": 2880 * 2880,
    "4k": 2160 * 3840,
}
"""Nominal pixels of each class of resolution. Those of Open-Sora 1.3 that end in ``_16d`` have the same."""

REACHED = 0.8
"""A row reaches a class with this share of its nominal pixels."""

# fmt: off
VIDEO_RATIOS: tuple[float, ...] = (
    0.38, 0.43, 0.48, 0.50, 0.53, 0.54, 0.56, 0.62, 0.67, 0.75,
    1.00, 1.33, 1.50, 1.78, 1.89, 2.00, 2.08,
)
"""Height / width in the classes that are named like video sizes (240p, 4k): 3:8, 9:21, 12:25, ... 50:27."""

SQUARE_RATIOS: tuple[float, ...] = (
    0.25, 0.26, 0.27, 0.28, 0.32, 0.33, 0.35, 0.40, 0.42, 0.48,
    0.50, 0.52, 0.57, 0.60, 0.68, 0.72, 0.78, 0.82, 0.88, 0.94,
    1.00, 1.07, 1.13, 1.21, 1.29, 1.38, 1.46, 1.67, 1.75, 2.00,
    2.09, 2.40, 2.50, 2.89, 3.00, 3.11, 3.62, 3.75, 3.88, 4.00,
)
"""Height / width in the square classes 256, 512, 1024 and 2048, which are those of PixArt-alpha."""

LARGE_SQUARE_RATIOS: tuple[float, ...] = (
    0.25, 0.26, 0.27, 0.28, 0.32, 0.33, 0.34, 0.40, 0.42, 0.47,
    0.49, 0.51, 0.55, 0.59, 0.68, 0.72, 0.78, 0.83, 0.89, 0.93,
    1.00, 1.07, 1.12, 1.21, 1.28, 1.39, 1.47, 1.70, 1.82, 2.03,
    2.13, 2.39, 2.50, 2.92, 3.00, 3.12, 3.68, 3.82, 3.95, 4.00,
)
"""Height / width in the square class 2880."""
# fmt: on


@dataclass(frozen=True)
class Share:
    """Which share of the rows that fit a bucket it takes.

    Attributes:
        keep: Probability to stay; the others go on to the next lower resolution.
        consider: Probability that a video may have this number of frames at all; the others go on to the next
            smaller number of frames of the same resolution.
    """

    keep: float
    consider: float = 1.0


BucketConfig = Mapping[str, Mapping[int, Share]]
"""Class of resolution to number of frames (1: images) to share."""


def nominal_pixels(resolution: str) -> int:
    """Pixels of a class of resolution.

    Raises:
        KeyError: There is no such class.
    """
    return PIXELS[resolution.removesuffix("_16d")]


def aspect_ratios(resolution: str) -> tuple[float, ...]:
    """The aspect ratios (height / width) of a class of resolution, ascending."""
    name = resolution.removesuffix("_16d")
    if name == "2880":
        return LARGE_SQUARE_RATIOS
    return SQUARE_RATIOS if name.isdigit() else VIDEO_RATIOS


def bucket_names(config: BucketConfig) -> list[str]:
    """The names of all buckets, such as ``480p_51_0.56``: the largest first, then by aspect ratio."""
    return [
        f"{resolution}_{frames}_{ratio:.2f}"
        for resolution, frames, _ in _levels(config)
        for ratio in aspect_ratios(resolution)
    ]


def assign_buckets(
    num_frames: np.ndarray,
    height: np.ndarray,
    width: np.ndarray,
    config: BucketConfig,
    *,
    frame_interval: int = 1,
    seed: int | None = None,
) -> np.ndarray:
    """Find the bucket of each row.

    Classes of resolution are tried from the largest down. A row reaches a class with `REACHED` of its nominal
    pixels. An image (1 frame) goes into the class's bucket of 1 frame. A video goes into the bucket with the
    most frames that it has ``frame_interval`` times, and not to the one of 1. A bucket whose share is 0 takes
    nothing: who fits it goes on to the next lower resolution, not to fewer frames. The aspect ratio is the
    nearest one of the class; of two as near, the smaller.

    Args:
        num_frames: Frames of each row, float64; NaN where it is not known.
        height: Pixels, float64; NaN where it is not known.
        width: Likewise.
        config: The buckets.
        frame_interval: Training takes every Nth frame.
        seed: Draw by the shares, the same for the same seed and rows. None: every share above 0 is 1.

    Returns:
        Index into `bucket_names` of each row, int64; -1 for rows that fit no bucket.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        pixels, ratio = height * width, height / width
    found = np.full(num_frames.shape, -1, dtype=np.int64)
    first = 0  # index of the first bucket of this level
    previous, looking = "", found < 0
    for level, (resolution, frames, share) in enumerate(_levels(config)):
        if resolution != previous:
            previous = resolution
            looking = (found < 0) & (pixels >= REACHED * nominal_pixels(resolution))
        enough = (
            num_frames == 1 if frames == 1 else (num_frames > 1) & (num_frames >= frames * frame_interval)
        )
        considered, kept = _draw(share, len(found), seed, level)
        fits = looking & enough & considered
        taken = fits & kept
        found[taken] = first + _nearest(ratio[taken], aspect_ratios(resolution))
        looking &= ~fits
        first += len(aspect_ratios(resolution))
    return found


def _levels(config: BucketConfig) -> Iterator[tuple[str, int, Share]]:
    """Resolutions from the largest down (equal ones in the order of the config), frames likewise."""
    for resolution in sorted(config, key=nominal_pixels, reverse=True):
        for frames in sorted(config[resolution], reverse=True):
            yield resolution, frames, config[resolution][frames]


def _draw(
    share: Share, rows: int, seed: int | None, level: int
) -> tuple[np.ndarray | bool, np.ndarray | bool]:
    if seed is None:
        return share.consider > 0, share.keep > 0
    random = np.random.default_rng([seed, level])
    return random.random(rows) < share.consider, random.random(rows) < share.keep


def _nearest(ratio: np.ndarray, choices: tuple[float, ...]) -> np.ndarray:
    values = np.array(choices)
    return np.searchsorted((values[1:] + values[:-1]) / 2, ratio, side="left")
