"""Optical flow by OpenCV's DIS: no weights, a few milliseconds on a CPU."""

from __future__ import annotations

from typing import Any, cast

import numpy as np


def dis_flow(pairs: np.ndarray) -> np.ndarray:
    """Dense inverse search, preset medium.

    Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016, https://arxiv.org/abs/1603.03590.

    Args:
        pairs: uint8, shape (N, 2, H, W, 3), RGB; only luma is used.

    Returns:
        float32, shape (N, H, W, 2): how far each pixel moves to the right and down, in pixels.
    """
    import cv2

    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = np.empty((*pairs.shape[:1], *pairs.shape[2:4], 2), np.float32)
    no_guess = cast(Any, None)  # of the flow; the annotation requires one
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # it searches in as many stripes as there are threads, with other results
    try:
        for flow, pair in zip(flows, pairs, strict=True):
            first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pair)
            flow[:] = estimator.calc(first, second, no_guess)
    finally:
        cv2.setNumThreads(threads)
    return flows
