"""Luma, brightness, contrast and colour of a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np

STATISTICS = ("luminance", "contrast", "colorfulness")
"""What `colour_statistics` gives."""

_LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
_THREE = np.array([_LUMA, _LUMA, _LUMA], np.float32)  # OpenCV computes three channels faster than one
_PART = 1 << 15  # pixels worked on at a time, so that what lies between stays in the processor's cache
_BESIDE = 64  # more of them: OpenCV rounds the last pixels of a row in another way


def luma(image: np.ndarray) -> np.ndarray:
    """Luma as a number with fractions.

    Args:
        image: uint8, shape (height, width, 3), RGB.

    Returns:
        float32, shape (height, width): 0.2126 R + 0.7152 G + 0.0722 B (BT.709, of gamma-encoded values), 0 to
        255.
    """
    pixels = np.ascontiguousarray(image).reshape(1, -1, 3)
    count = pixels.shape[1]
    values = np.empty((1, count), np.float32)
    before = np.empty((1, min(count, _PART + _BESIDE), 3), np.float32)
    after = np.empty_like(before)
    for start in range(0, count, _PART):
        part = pixels[:, start : start + _PART + _BESIDE]
        size = part.shape[1]
        before[:, :size] = part
        found = cv2.transform(before[:, :size], _THREE, after[:, :size])
        values[:, start : start + _PART] = found[:, :_PART, 0]
    return values.reshape(image.shape[:2])


def colour_statistics(image: np.ndarray, luma: np.ndarray) -> dict[str, float]:
    """Brightness, contrast and colourfulness of a picture.

    ``luminance`` is the mean of luma. ``contrast`` is RMS contrast, its standard deviation (Peli, Contrast
    in complex images, JOSA A 7, 1990). ``colorfulness`` is M3 of Hasler and Süsstrunk, Measuring
    colourfulness in natural images, SPIE 5007, 2003: the length of the standard deviations of the opponent
    colours (red against green R - G, yellow against blue (R + G) / 2 - B) plus 0.3 times the length of their
    means. Means and deviations do not depend on resolution.

    Args:
        image: uint8, shape (height, width, 3), RGB.
        luma: What `luma` gives.

    Returns:
        luminance, 0 to 255; contrast, 0 to 127.5; colorfulness, 0 for grey, about 15 for slightly, 45 for
        averagely and 110 for extremely colourful pictures.
    """
    mean, deviation = (values.item() for values in cv2.meanStdDev(luma))
    red, green, blue, red_green, red_blue, green_blue = _sums(image).tolist()
    # of R - G and of (R + G) / 2 - B: the sum, and that of the squares
    opponent = (
        (red - green, red_green),
        ((red + green) / 2 - blue, (2 * red_blue + 2 * green_blue - red_green) / 4),
    )
    share = 1.0 / luma.size
    means = [total * share for total, _ in opponent]
    deviations = [
        math.sqrt(max(squares * share - mean * mean, 0.0))
        for (_, squares), mean in zip(opponent, means, strict=True)
    ]
    return {
        "luminance": mean,
        "contrast": deviation,
        "colorfulness": math.hypot(*deviations) + 0.3 * math.hypot(*means),
    }


def _sums(image: np.ndarray) -> np.ndarray:
    """Of R, G, B, and of the squares of R - G, R - B and G - B: whole numbers, thus exact in float64."""
    pixels = np.ascontiguousarray(image).reshape(1, -1, 3)
    total = np.zeros(6)
    for start in range(0, pixels.shape[1], _PART):
        red, green, blue = cv2.split(pixels[:, start : start + _PART])
        total[:3] += [cv2.sumElems(channel)[0] for channel in (red, green, blue)]
        pairs = ((red, green), (red, blue), (green, blue))
        total[3:] += [cv2.norm(one, other, cv2.NORM_L2SQR) for one, other in pairs]
    return total
