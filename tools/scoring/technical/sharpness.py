"""Sharpness: how much of a picture is fine structure."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image

VIEWING_LINES = 360
"""Shorter side, in pixels, at which every picture is judged."""

_MOST_PIXELS = 1 << 23  # at that size: a picture more than 64 times as long as high is judged smaller


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian, at a fixed viewing size.

    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000. The Laplacian of one and
    the same scene falls with the resolution it is stored in, so the picture is first scaled to a shorter side
    of `VIEWING_LINES`, with a Lanczos filter, which keeps all structure that this size can show. Files of the
    same shot with 360 lines and more then agree within a few percent, and a smaller file counts as no sharper
    than it looks when shown as large as the others.

    Args:
        luma: float32, shape (height, width), 0 to 255.

    Returns:
        Squared luma, from 0 on. It rises with contrast, texture and noise too; see docs/technical.md.
    """
    height, width = luma.shape
    scale = min(VIEWING_LINES / min(height, width), math.sqrt(_MOST_PIXELS / (height * width)))
    size = (max(3, round(width * scale)), max(3, round(height * scale)))
    if size != (width, height):
        luma = np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.LANCZOS))
    return float(cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_32F, ksize=1))[1].item() ** 2)
