"""Repeated pictures: frozen video, and frame rates that duplicated frames only pretend."""

from __future__ import annotations

import cv2
import numpy as np

_LOCAL = 0.01  # share of the pixels that counts: those that change most
_STILL = 1.2  # luma; below it, not even the rounding of two averages differs everywhere
_SMALL = (0.1, 0.06)  # changes of a repeat by those of the motion around it
_AROUND = 0.2  # seconds before and after a frame in which that motion is searched
_FROZEN = 0.5  # seconds without a new picture that are a pause, not a frame rate
_FRAME = 0.04  # seconds that a frame lasts, where none lasts as short as that
_MOVES = 0.1  # share of the duration that has to move for its rate to be known


def frame_changes(thumbnails: np.ndarray) -> np.ndarray:
    """How much each frame differs from the one before it.

    Args:
        thumbnails: uint8, shape (n, height, width).

    Returns:
        float64, shape (n - 1, 2): the mean absolute difference, in luma, of the 1 % of the pixels that change
        most, so that a small thing that moves in a still picture counts; and that of all pixels.
    """
    size = thumbnails[0].size
    keep = max(1, round(size * _LOCAL))
    counts = np.zeros((len(thumbnails) - 1, 256))  # of pixels, by how much they change
    for i, count in enumerate(counts):
        difference = cv2.absdiff(thumbnails[i], thumbnails[i + 1])
        count[:] = cv2.calcHist([difference], [0], None, [256], [0, 256]).ravel()
    levels = np.arange(256)
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] - counts  # pixels that change more
    most = np.minimum(counts, np.maximum(keep - above, 0))  # of the 1 %
    return np.stack([most @ levels / keep, counts @ levels / size], axis=1)


def find_repeats(changes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which frames show the picture of the frame before them once more.

    Either next to nothing changes; the noise of a live camera does. Or a frame changes less than a tenth (of
    all pixels: 6 %) of what frames do within 0.2 s both before and after it: a duplicate among moving
    pictures that the encoder has not kept exact.

    Args:
        changes: What `frame_changes` gives.
        times: float64, shape (n,): when each frame is shown, in seconds.

    Returns:
        bool, shape (n - 1,): for each frame but the first.
    """
    reach = max(1, round(_AROUND / max(float(np.median(np.diff(times))), 1e-3)))
    padded = np.pad(changes, ((reach, reach), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=0).max(axis=-1)
    before, after = windows[: len(changes)], windows[reach + 1 :]
    duplicated = changes < np.minimum(before, after) * _SMALL
    return (changes[:, 0] < _STILL) | duplicated.any(axis=1)


def static_ratio(repeats: np.ndarray, times: np.ndarray) -> float:
    """Share of the time in which the picture is static: 0 to 1.

    At a constant rate it is the share of the frames, but the first, that repeat the one before. A picture
    that is static for half a second and more counts as often as the usual rate would have repeated it.

    Args:
        repeats: What `find_repeats` gives.
        times: float64, shape (n,): when each frame is shown, in seconds.
    """
    lasts = np.diff(times)
    static = lasts >= _FROZEN - 1e-6
    usual = float(np.median(lasts[~static])) if not static.all() else _FRAME
    pictures = np.where(static, np.rint(lasts / usual), 1).clip(min=1)
    return float((pictures.sum() - np.count_nonzero(~repeats)) / pictures.sum())


def true_fps(repeats: np.ndarray, times: np.ndarray) -> float:
    """New pictures per second where the video moves.

    Stretches of half a second and more without a new picture, repeated or static, are pauses: they count
    for `static_ratio`, not here. When less than a tenth of the video moves, all of it counts.

    Args:
        repeats: What `find_repeats` gives.
        times: float64, shape (n,): when each frame is shown, in seconds.

    Returns:
        Pictures per second; 0 when there is only one picture.
    """
    if repeats.all():
        return 0.0
    lasts = np.diff(times)
    moving = lasts < _FROZEN - 1e-6
    for start, end in runs(repeats):
        moving[start:end] = times[end] - times[start] < _FROZEN - 1e-6
    if lasts[moving].sum() < _MOVES * lasts.sum():
        moving[:] = True
    seconds = float(lasts[moving].sum())
    return float(np.count_nonzero(~repeats & moving) / seconds) if seconds > 0 else 0.0


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
