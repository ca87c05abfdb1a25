"""Interlacing: frames whose odd and even lines show different times."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_MOVES = 6  # luma by which a pixel has to change to count
_ENOUGH = 0.003  # share of the picture that has to move
_ASYMMETRY = (0.08, 0.15)  # by which one way to weave neighbouring frames combs more than the other
_OF_MOTION = 0.25  # share of what motion adds to combing, with which the smaller of them is enough
_CHANCE = 0.0005  # that by the share of the picture that moves: few pixels differ by chance


def field_order(current: np.ndarray, following: np.ndarray) -> int:
    """Which field of a frame was taken first.

    Where something moves, each field of the frame is woven with the other field of the next frame, and the
    second difference across lines is taken (as ffmpeg's idet does), at the odd lines and at the even ones: so
    it does not matter which of the frames its encoder kept sharper. In progressive video both ways span one
    frame and comb alike. In interlaced video one spans half a frame, and combs as the frame itself does, and
    the other one and a half. A pattern of fine lines combs alike both ways, so it is not mistaken for
    interlacing. Pictures that were scaled in height after they were interlaced cannot be recognised.

    Args:
        current: uint8, shape (height, width): luma of a frame.
        following: uint8, the same shape: luma of the next frame.

    Returns:
        1 for the top field, -1 for the bottom field; also for the frames of 2:3 pulldown that are next to a
        combed one. 0 when they show one time, or nothing moves.
    """
    height = current.shape[0] // 2 * 2
    if height < 4:
        return 0
    now, then = current[:height], following[:height]
    _, moving = cv2.threshold(cv2.absdiff(now, then), _MOVES, 255, cv2.THRESH_BINARY)
    rows = cv2.bitwise_or(cv2.bitwise_or(moving[:-2], moving[1:-1]), moving[2:])
    count = np.count_nonzero(rows)
    share = count / rows.size
    if share < _ENOUGH:
        return 0
    top, bottom = combing(now, then, rows) / count, combing(then, now, rows) / count
    less, more = sorted((top, bottom))
    chance = _CHANCE / share
    if more <= (1 + _ASYMMETRY[0] + chance) * less:
        return 0
    if more <= (1 + _ASYMMETRY[1] + chance) * less:
        still = min(less, combing(now, now, rows) / count, combing(then, then, rows) / count)
        if more - less < _OF_MOTION * (more - still):
            return 0
    return 1 if top > bottom else -1


def interlaced_share(orders: Sequence[int]) -> float:
    """Share of frames that are interlaced: those of one field order, less those of the other.

    A video has one order; frames of both come by chance.

    Args:
        orders: What `field_order` gives of each sampled frame; one at least.
    """
    return abs(sum(orders)) / len(orders)


def combing(even: np.ndarray, odd: np.ndarray, where: np.ndarray) -> float:
    """Second differences across lines of the even lines of one frame woven with the odd lines of another.

    Args:
        even: uint8, shape (height, width), of an even height.
        odd: The same.
        where: uint8, shape (height - 2, width): 255 at the pixels that count, else 0.

    Returns:
        The sum of their absolute values.
    """
    total = 0.0
    for first, outer, inner in ((0, even, odd), (1, odd, even)):
        some = where[first::2]
        beside = np.add(outer[first:-2:2] & some, outer[first + 2 :: 2] & some, dtype=np.int16)
        between = (inner[first + 1 : -1 : 2] & some).astype(np.int16)
        total += cv2.norm(beside, 2 * between, cv2.NORM_L1)
    return total
