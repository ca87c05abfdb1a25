"""Weights and pictures for GMFlow, made from the names of the parameters: the same wherever they are made."""

from __future__ import annotations

import hashlib

import numpy as np


def named_noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers that depend on a name alone: float64."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(shape)


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One parameter: weights of size 1 / sqrt(inputs), small biases, and features that keep scores soft.

    With larger features and norms, scores are so far apart that a softmax is a choice of one place, and
    rounding decides which: then no two implementations agree, nor one with itself in another precision.
    """
    noise = named_noise(name, shape)
    if "norm" in name:
        return 0.15 * (1 + 0.1 * noise) if name.endswith("weight") else 0.05 * noise
    if name.endswith("bias"):
        return 0.05 * noise
    size = 0.3 if name in ("backbone.trident_conv.weight", "refine.flow_head.conv2.weight") else 1.0
    return size * noise / np.sqrt(np.prod(shape[1:]))


def pictures(height: int, width: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth random pictures, and the same moved by 3 pixels to the right and 2 down.

    Returns:
        uint8, shape (count, height, width, 3), both.
    """
    smooth = named_noise(f"{height} x {width}", (count, height // 8, width // 8, 3))
    large = np.repeat(np.repeat(smooth, 8, axis=1), 8, axis=2)
    for axis, length in ((1, height), (2, width)):  # box filter, around the border
        large = sum(np.roll(large, shift, axis) for shift in range(-4, 5)) / 9
        assert large.shape[axis] == length
    first = np.clip(128 + 90 * large, 0, 255).astype(np.uint8)
    return first, np.roll(first, (2, 3), axis=(1, 2))
