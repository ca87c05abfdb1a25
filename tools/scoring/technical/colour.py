"""Brightness, contrast and colour of a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np

_LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
_OPPONENT = np.array([_LUMA, (1.0, -1.0, 0.0), (0.5, 0.5, -1.0)], np.float32)


def opponent_channels(image: np.ndarray) -> np.ndarray:
    """Luma and two opponent colours.

    Args:
        image: uint8, shape (height, width, 3), RGB.

    Returns:
        float32, shape (height, width, 3): Y = 0.2126 R + 0.7152 G + 0.0722 B (BT.709, of gamma-encoded
        values, 0 to 255), red against green R - G, yellow against blue (R + G) / 2 - B.
    """
    return cv2.transform(image.astype(np.float32), _OPPONENT)


def colour_statistics(channels: np.ndarray) -> dict[str, float]:
    """Brightness, contrast and colourfulness of a picture.

    ``luminance`` is the mean of Y. ``contrast`` is RMS contrast, the standard deviation of Y (Peli, Contrast
    in complex images, JOSA A 7, 1990). ``colorfulness`` is M3 of Hasler and Süsstrunk, Measuring
    colourfulness in natural images, SPIE 5007, 2003: the length of the standard deviations of the opponent
    colours plus 0.3 times the length of their means. Means and deviations do not depend on resolution.

    Args:
        channels: What `opponent_channels` gives.

    Returns:
        luminance, 0 to 255; contrast, 0 to 127.5; colorfulness, 0 for grey, about 15 for slightly, 45 for
        averagely and 110 for extremely colourful pictures.
    """
    mean, deviation = (values.ravel().tolist() for values in cv2.meanStdDev(channels))
    return {
        "luminance": mean[0],
        "contrast": deviation[0],
        "colorfulness": math.hypot(*deviation[1:]) + 0.3 * math.hypot(*mean[1:]),
    }
