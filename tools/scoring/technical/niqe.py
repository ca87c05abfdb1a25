"""NIQE: how far the statistics of a picture are from those of undistorted photographs."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from PIL import Image

from tools.scoring.technical.niqe_model import NiqeModel

PATCH = 96
"""Side of a patch in pixels."""

SMALLEST = 2 * PATCH + 2
"""Fewest pixels of a side: smaller pictures have too few patches to have a covariance."""

_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # neighbours: left, above, and the two diagonals
_SHAPES = np.arange(0.2, 10.0, 0.001)


def niqe(luma: np.ndarray, model: NiqeModel) -> float | None:
    """Natural Image Quality Evaluator.

    Mittal, Soundararajan and Bovik, Making a "completely blind" image quality analyzer, IEEE Signal
    Processing Letters 20, 2013. Luma is normalised by local mean and deviation; on patches of 96 x 96 pixels,
    and of 48 x 48 at half the size, generalised Gaussians are fitted to the values and to the products of
    neighbours (36 features); the score is the distance of their mean and covariance from the model's.

    Args:
        luma: float32, shape (height, width), 0 to 255. It is not scaled: NIQE judges pixels as they are.
        model: Statistics of undistorted photographs.

    Returns:
        0 and more; less is better. None when a side is shorter than `SMALLEST`, or all patches are flat.
    """
    if min(luma.shape) < SMALLEST:
        return None
    features = niqe_features(luma, model.legacy)
    if len(features) < 2:
        return None
    distance = features.mean(axis=0) - model.mean
    covariance = (np.cov(features.T) + model.covariance) / 2.0
    # A legacy model has features twice: the cut-off says which singular values are 0 but for rounding.
    inverse = np.linalg.pinv(covariance, rcond=len(distance) * np.finfo(np.float64).eps)
    return math.sqrt(max(0.0, distance @ inverse @ distance))


def niqe_features(luma: np.ndarray, legacy: bool) -> np.ndarray:
    """The features of each patch.

    Args:
        luma: float32, shape (height, width).
        legacy: As scikit-video up to 1.1.11 computed them: black around the picture, and on the diagonals the
            left scale twice. A model fits only features of its own kind.

    Returns:
        float64, shape (patches, 36); flat patches are left out.
    """
    height, width = (side // PATCH * PATCH for side in luma.shape)
    luma = np.ascontiguousarray(luma[:height, :width], dtype=np.float32)
    half = Image.fromarray(luma).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    features = np.hstack(
        [
            _patch_features(_normalised(luma, legacy), PATCH, legacy),
            _patch_features(_normalised(np.asarray(half), legacy), PATCH // 2, legacy),
        ]
    )
    return features[np.isfinite(features).all(axis=1)]


def _normalised(luma: np.ndarray, legacy: bool) -> np.ndarray:
    """Luma less its local mean, by local deviation plus 1: Gaussian window of 7 pixels, sigma 7/6."""
    luma = luma.astype(np.float64)  # in float32, the variance of bright even areas is mostly rounding
    window = cv2.getGaussianKernel(7, 7 / 6, cv2.CV_64F)
    border = cv2.BORDER_CONSTANT if legacy else cv2.BORDER_REPLICATE
    mean = cv2.sepFilter2D(luma, cv2.CV_64F, window, window, borderType=border)
    square = cv2.sepFilter2D(luma * luma, cv2.CV_64F, window, window, borderType=border)
    return ((luma - mean) / (np.sqrt(np.abs(square - mean * mean)) + 1.0)).astype(np.float32)


def _patch_features(values: np.ndarray, side: int, legacy: bool) -> np.ndarray:
    rows, columns = values.shape[0] // side, values.shape[1] // side
    patches = values.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    shape, _, left, right = _fit(patches)
    features = [shape, (left + right) / 2.0]
    for number, (down, across) in enumerate(_SHIFTS):
        shape, mean, left, right = _fit(patches * np.roll(patches, (down, across), axis=(1, 2)))
        features += [shape, mean, left, left if legacy and number > 1 else right]
    return np.stack(features, axis=1)


def _fit(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit an asymmetric generalised Gaussian to each patch by its moments (Lasmar et al., ICIP 2009).

    Returns:
        Shape, mean, left and right scale, each float64 of shape (patches,); not finite for flat patches.
    """
    flat = patches.reshape(len(patches), -1)
    negative = np.minimum(flat, 0.0)
    fewer = np.count_nonzero(negative, axis=1).astype(np.float64)
    squares = np.einsum("ij,ij->i", flat, flat, dtype=np.float64)
    below = np.einsum("ij,ij->i", negative, negative, dtype=np.float64)
    absolute = np.abs(flat).sum(axis=1, dtype=np.float64)
    count = flat.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt(below / fewer)
        right = np.sqrt((squares - below) / (count - fewer))
        ratio = left / right
        moment = (absolute / count) ** 2 / (squares / count)
        moment = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape, scale, gain = _shape_of(moment)
    left, right = scale * left, scale * right
    return shape, (right - left) * gain, left, right


def _shape_of(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shape on the grid whose ratio of moments is closest, with two ratios of gamma functions of it."""
    ratios, scales, gains = _tables()
    after = np.clip(np.searchsorted(ratios, moment), 1, len(ratios) - 1)
    nearest = np.where(moment - ratios[after - 1] <= ratios[after] - moment, after - 1, after)
    shape = np.where(np.isfinite(moment), _SHAPES[nearest], np.nan)
    return shape, scales[nearest], gains[nearest]


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each shape g: G(2/g)^2 / (G(1/g) G(3/g)), which ascends; sqrt(G(1/g) / G(3/g)); G(2/g) / G(1/g)."""
    one, two, three = (np.array([math.lgamma(n / g) for g in _SHAPES]) for n in (1, 2, 3))
    return np.exp(2 * two - one - three), np.exp((one - three) / 2), np.exp(two - one)
