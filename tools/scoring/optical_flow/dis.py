"""Optical flow by OpenCV's DIS: no weights, a few milliseconds on a CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np


def dis_flow(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Dense inverse search, preset medium.

    Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016, https://arxiv.org/abs/1603.03590.

    Args:
        pairs: Pictures, uint8, each of shape (H, W, 3), RGB; only luma is used.

    Returns:
        For each pair float32, shape (H, W, 2): how far each pixel moves to the right and down, in pixels.
    """
    import cv2

    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    no_guess = cast(Any, None)  # of the flow; the annotation requires one
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # it searches in as many stripes as there are threads, with other results
    try:
        lumas = ([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pair] for pair in pairs)
        return [estimator.calc(first, second, no_guess) for first, second in lumas]
    finally:
        cv2.setNumThreads(threads)
