"""Labels and numbers of camera motion, from the path of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.caption.camera_motion.path import Shot

UNDETERMINED = "undetermined"
STATIC = "static"
SHAKE = "shake"
MOVES = (
    ("pan_left", "pan_right"),
    ("tilt_down", "tilt_up"),
    ("zoom_out", "zoom_in"),
    ("roll_ccw", "roll_cw"),
)
"""Labels of each column of a path: for falling and for rising values."""

LABELS = (
    *(STATIC, "pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out"),
    *("roll_cw", "roll_ccw", SHAKE, UNDETERMINED),
)
"""Every label, in the order in which they are joined."""

FULL_MOVE = 16.0
"""Seconds in which the slowest move that counts reaches the threshold."""

_BURST = 2.0  # seconds at that speed: the least displacement of a shorter move in a longer clip
_FAINT = 0.06  # of the strongest move, below which another one gets no label
_RECOIL = 0.35  # of a move, below which its opposite gets no label
_TREND = 0.5  # seconds to each side that the trend of a path is fitted to
_SHAKE = 0.016  # of the threshold
_SHAKE_OF_SPEED = 0.02  # seconds: shake below this part of the speed of a move is not visible
_SHAKE_SWING = 3.0  # times the shake in its direction: the least displacement of a move in a shaken clip
_SHAKE_RATE = 3.0  # changes of side per second; fewer are the beginning and the end of a move
_LONG_ENOUGH = 0.25  # seconds; shorter shots are ignored
_TRACKED = 0.5  # of the clip's time
_FEW_SHOTS = 3
# Share of the tracked time that a label of the clip must have: among few shots, and among many.
_PRESENT = (1 / 3, 0.6)


@dataclass(frozen=True)
class CameraMotion:
    """The motion of the camera in a clip.

    Attributes:
        labels: In the order of `LABELS`.
        pan: To the right, in picture widths per second.
        tilt: Up, in picture heights per second.
        zoom: Relative change of scale in a second: 0.1 when everything is 1.1 times as large after it.
        roll: Clockwise as seen by the camera, radians per second; the picture then turns counterclockwise.
        shake: Root mean square distance of the picture from its smoothed path, as a fraction of the shorter
            side.

    The numbers are means over the clip, and None when the motion is undetermined.
    """

    labels: tuple[str, ...]
    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None
    roll: float | None = None
    shake: float | None = None

    def __str__(self) -> str:
        return "+".join(self.labels)


def classify(shots: Sequence[Shot], duration: float, aspect: float, threshold: float = 0.25) -> CameraMotion:
    """Label the motion of the camera.

    A move counts when it carries the picture, at the corners, by `threshold` of the shorter side in 16
    seconds, and in proportion when it lasts shorter or longer; but in a clip of more than 2 seconds never by
    less than in 2 seconds. So the same speed counts in clips of any length.

    A clip with cuts gets the labels that shots of at least a third of its time have (of more than 3 shots:
    three fifths); when none do, or when shots move in opposite directions, it is undetermined.

    Args:
        shots: Result of `tools.caption.camera_motion.path.follow_camera`.
        duration: Seconds from the first frame of the clip to the last.
        aspect: Width by height as shown.
        threshold: As a fraction of the shorter side.
    """
    shots = [s for s in shots if s.duration >= min(_LONG_ENOUGH, 0.5 * duration)]
    tracked = sum(s.duration for s in shots)
    if tracked < _TRACKED * duration or not tracked:
        return CameraMotion((UNDETERMINED,))
    seen: dict[str, float] = {}
    for shot in shots:
        for label in label_shot(shot, aspect, threshold):
            seen[label] = seen.get(label, 0.0) + shot.duration
    enough = _PRESENT[len(shots) > _FEW_SHOTS] * tracked
    labels = {label for label, seconds in seen.items() if seconds >= enough * (1 - 1e-9)}
    opposite = len(shots) > 1 and any({a, b} <= labels for a, b in MOVES)
    if opposite or not labels:
        return CameraMotion((UNDETERMINED,))
    if len(labels) > 1:
        labels.discard(STATIC)
    return CameraMotion(tuple(x for x in LABELS if x in labels), **_numbers(shots, tracked, aspect))


def label_shot(shot: Shot, aspect: float, threshold: float) -> set[str]:
    """Labels of one shot."""
    trend = smooth(shot.times, shot.path)
    shifts = trend * corner_scale(aspect)
    slowest = threshold / FULL_MOVE
    least = slowest * min(_BURST, shot.duration)
    shaken = shakes(shot, trend, aspect, threshold)
    amplitude = ((shot.path - trend) * corner_scale(aspect)).std(axis=0) if shaken else np.zeros(4)
    moves: dict[str, float] = {}
    for axis, (falling, rising) in enumerate(MOVES):
        enough = max(least, _SHAKE_SWING * amplitude[axis])
        fall = strongest_run(shot.times, -shifts[:, axis], slowest, enough)
        rise = strongest_run(shot.times, shifts[:, axis], slowest, enough)
        moves[falling] = fall if fall > _RECOIL * rise else 0.0
        moves[rising] = rise if rise > _RECOIL * fall else 0.0
    strongest = max(moves.values())
    labels = {name for name, size in moves.items() if size > _FAINT * strongest}
    if shaken:
        labels.add(SHAKE)
    return labels or {STATIC}


def strongest_run(times: np.ndarray, values: np.ndarray, slowest: float, least: float) -> float:
    """The largest rise of a curve from any time to a later one that is fast enough to count.

    Args:
        times: Seconds, shape (n,).
        values: Shape (n,).
        slowest: Rise per second, at least.
        least: Rise, at least.

    Returns:
        0.0 when there is none.
    """
    # A rise fast enough is one of what is left without the slowest one that counts.
    faster = values - slowest * times
    lowest = np.minimum.accumulate(faster)
    rise = np.maximum(faster - lowest, 0.0)
    since = np.maximum.accumulate(np.where(faster <= lowest, np.arange(len(times)), 0))
    high = values - values[since]
    counts = (rise > 0) & (high >= least * (1 - 1e-9))
    return float(high[counts].max(initial=0.0))


def shakes(shot: Shot, trend: np.ndarray, aspect: float, threshold: float) -> bool:
    """Whether the picture shakes: far enough around its trend, and often enough from side to side."""
    off = (shot.path - trend) * corner_scale(aspect)
    axis = int(np.argmax((off**2).mean(axis=0)))
    away = off[:, axis]
    sides = np.sign(away[np.abs(away) > 0.5 * away.std()])
    changes = np.count_nonzero(np.diff(sides)) / shot.duration
    travel = np.hypot(*(np.diff(trend[:, :2], axis=0) / min(aspect, 1.0)).T).sum()
    need = max(_SHAKE * threshold, _SHAKE_OF_SPEED * travel / shot.duration)
    return bool(changes >= _SHAKE_RATE and shake_of(shot, aspect) >= need)


def corner_scale(aspect: float) -> np.ndarray:
    """Factors from each column of a path to the displacement of a corner, in shorter sides."""
    half = np.hypot(aspect, 1) / 2
    return np.array([1, 1, half, half]) / min(aspect, 1.0)


def smooth(times: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The trend of a path: at each time, a parabola fitted to half a second on both sides.

    A parabola follows a steady and an evenly accelerated move exactly (Savitzky and Golay 1964).
    """
    trend = np.empty_like(path)
    first = np.searchsorted(times, times - _TREND - 1e-6)
    last = np.searchsorted(times, times + _TREND + 1e-6)
    for i, (begin, end) in enumerate(zip(first, last, strict=True)):
        if end - begin < 4:
            trend[i] = path[i]
            continue
        away = times[begin:end] - times[i]
        powers = np.stack([np.ones_like(away), away, away**2], axis=1)
        trend[i] = np.linalg.lstsq(powers, path[begin:end], rcond=None)[0][0]
    return trend


def shake_of(shot: Shot, aspect: float) -> float:
    """Root mean square distance of the picture's points from their smoothed path, in shorter sides."""
    off = shot.path - smooth(shot.times, shot.path)
    spread = (aspect**2 + 1) / 12  # mean square distance of the points of a rectangle from its centre
    square = (off[:, :2] ** 2).sum(axis=1) + spread * (off[:, 2:] ** 2).sum(axis=1)
    return float(np.sqrt(square.mean())) / min(aspect, 1.0)


def _numbers(shots: Sequence[Shot], tracked: float, aspect: float) -> dict[str, float]:
    x, y, zoom, roll = sum((s.path[-1] - s.path[0] for s in shots), np.zeros(4)) / tracked
    squares = sum(shake_of(s, aspect) ** 2 * s.duration for s in shots)
    return {
        "pan": float(x / aspect),
        "tilt": float(y),
        "zoom": float(np.expm1(zoom)),
        "roll": float(roll),
        "shake": float(np.sqrt(squares / tracked)),
    }
