"""Interlacing: frames whose odd and even lines show different times."""

from __future__ import annotations

import numpy as np

_MOVES = 6  # luma by which a pixel has to change to be looked at
_ENOUGH = 0.003  # share of the picture that has to move
_ASYMMETRY = 1.25  # of the two ways to weave neighbouring frames


def fields_differ(current: np.ndarray, following: np.ndarray) -> bool:
    """Whether the two fields of a frame were taken at different times.

    Where something moves, each field of the frame is woven with the other field of the next frame, and the
    second difference across lines is taken (as ffmpeg's idet does). In progressive video both ways span one
    frame and comb alike. In interlaced video one spans half a frame and the other one and a half. A pattern
    of fine lines combs alike both ways, so it is not mistaken for interlacing. Pictures that were scaled in
    height after they were interlaced cannot be recognised.

    Args:
        current: uint8, shape (height, width): luma of a frame.
        following: uint8, the same shape: luma of the next frame.

    Returns:
        True when they differ; also for the frames of 2:3 pulldown that are next to a combed one. False when
        they do not, or nothing moves.
    """
    height = current.shape[0] // 2 * 2
    if height < 4:
        return False
    now, then = current[:height].astype(np.int16), following[:height].astype(np.int16)
    moving = np.abs(now - then) > _MOVES
    rows = moving[0:-2:2] | moving[1:-1:2] | moving[2::2]
    if rows.mean() < _ENOUGH:
        return False
    one, other = _comb(now, then)[rows].mean(), _comb(then, now)[rows].mean()
    return bool(max(one, other) > _ASYMMETRY * min(one, other))


def _comb(even: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Second difference across lines at the odd lines of one frame between the even lines of another."""
    return np.abs(even[0:-2:2] + even[2::2] - 2 * odd[1:-1:2])
