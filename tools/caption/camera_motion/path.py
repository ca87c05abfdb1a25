"""The path of the camera through a clip: the motion of the background from picture to picture, added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.caption.camera_motion.background import MUCH_BORDER, Motion, find_motions, is_background
from tools.caption.camera_motion.tracks import Region, find_corners, find_region, follow

STEP = 1 / 17
"""Seconds between the pictures that are compared, at least: every fourth frame at 60 fps."""

_KEY_AGE = 0.5  # seconds for which points are followed from the same picture
_KEY_REACH = 0.06  # picture heights that the corners of the picture may move meanwhile
_KEY_LEFT = 0.7  # of the background's cells that were followed at first; with fewer a new key is chosen
_EXPECTED_BORDER = 0.05  # of the cells at the border at which an expected motion is seen
_EXPECTED_FROM, _EXPECTED_OF = (
    0.003,
    0.1,
)  # picture heights, and share of the expected displacement, that it may be off
_MISSED_STEPS = 3  # steps that may be missed before the path ends


@dataclass(frozen=True)
class Shot:
    """The path of the camera through a part of a video without a cut.

    Attributes:
        times: float64, shape (n,): seconds.
        path: float64, shape (n, 4): where the camera looks, from (0, 0, 0, 0) on: to the right, up, and roll
            clockwise, with zoom in third place. Shifts are in picture heights, zoom is the logarithm of the
            scale, roll is in radians.
        agreement: Mean share of tracks that agree with the motion.
        coverage: Mean share of the picture's cells that do.
        border: Mean share of the cells at the border that do.
    """

    times: np.ndarray
    path: np.ndarray
    agreement: float
    coverage: float
    border: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.times[-1] - self.times[0])


def choose_steps(times: np.ndarray) -> list[int]:
    """Frames that are about `STEP` apart, so that the frame rate does not matter."""
    chosen = [0]
    for number, time in enumerate(times):
        if time - times[chosen[-1]] >= STEP - 0.001:
            chosen.append(number)
    return chosen


def follow_camera(pictures: np.ndarray, times: np.ndarray, aspect: float) -> list[Shot]:
    """Follow the camera through a video.

    Args:
        pictures: uint8, shape (n, height, width): luma of every frame, of any size.
        times: float64, shape (n,): seconds.
        aspect: Width by height as shown.

    Returns:
        One path for each part of the video in which the background can be followed: a cut ends one. Parts
        where it cannot are left out.
    """
    return _Follower(pictures, times, aspect).run()


class _Follower:
    """Points are found in a key picture and followed into later ones, until they have moved too far.

    Slow motion is thus measured over half a second, where it exceeds the noise, and fast motion from step to
    step.
    """

    def __init__(self, pictures: np.ndarray, times: np.ndarray, aspect: float) -> None:
        self.pictures, self.times, self.aspect = pictures, times, aspect
        some = np.unique(np.linspace(0, len(pictures) - 1, 24).astype(int))
        self.region: Region = find_region(pictures[some])
        self.shots: list[Shot] = []
        self.begin(0)

    def begin(self, number: int) -> None:
        """Start a new path at a frame."""
        self.numbers = [number]
        self.poses = [np.zeros(4)]
        self.motions: list[Motion] = []
        self.set_key(number)

    def set_key(self, number: int) -> None:
        self.key = number
        self.key_pose = self.poses[-1]
        self.key_coverage = 0.0
        self.corners = find_corners(self.pictures[number], self.region)

    def run(self) -> list[Shot]:
        """Follow the camera through the clip."""
        steps = choose_steps(self.times)
        at = 1
        while at < len(steps):
            ahead = self.next_followed(steps, at)
            if ahead is None:
                self.finish()
                self.begin(steps[at])
                at += 1
            else:
                at = ahead + 1
        self.finish()
        return self.shots

    def next_followed(self, steps: list[int], at: int) -> int | None:
        """Follow the camera to the next possible step; None when it is too far away."""
        if self.advance(steps[at]):
            return at
        # Perhaps too fast for a step: frame by frame.
        if all(self.advance(between) for between in range(steps[at - 1] + 1, steps[at] + 1)):
            return at
        # A flash, or a picture without detail: skip it.
        for ahead in range(at + 1, min(at + 1 + _MISSED_STEPS, len(steps))):
            if self.advance(steps[ahead]):
                return ahead
        return None

    def advance(self, number: int) -> bool:
        """Follow the camera to a frame; False when that is not possible."""
        motion = self.measure(number)
        # Faint texture is lost first, and then a subject with more of it could pass for the background.
        few_left = motion is None or motion.coverage < _KEY_LEFT * self.key_coverage
        if few_left and self.key != self.numbers[-1]:
            self.set_key(self.numbers[-1])
            motion = self.measure(number)
        if motion is None:
            return False
        self.key_coverage = self.key_coverage or motion.coverage
        change = camera_change(motion)
        self.numbers.append(number)
        self.poses.append(self.key_pose + change)
        self.motions.append(motion)
        too_far = reach(change, self.aspect) > _KEY_REACH
        if too_far or self.times[number] - self.times[self.key] > _KEY_AGE:
            self.set_key(number)
        return True

    def measure(self, number: int) -> Motion | None:
        """The motion of the background since the key picture; None when it cannot be found."""
        tracks = follow(self.pictures[self.key], self.pictures[number], self.corners, self.region)
        height, width = self.pictures.shape[1:]
        motions = find_motions(tracks, (width, height), self.aspect)
        for motion in motions:
            if motion.border >= MUCH_BORDER and is_background(motion):
                return motion
        for motion in motions:
            if motion.border >= _EXPECTED_BORDER and self.continues(motion, number):
                return motion
        return next((motion for motion in motions if is_background(motion)), None)

    def continues(self, motion: Motion, number: int) -> bool:
        """Whether a motion continues that of the last step."""
        if len(self.poses) < 2:
            return False
        before, last = self.times[self.numbers[-2]], self.times[self.numbers[-1]]
        speed = (self.poses[-1] - self.poses[-2]) / (last - before)
        expected = self.poses[-1] + speed * (self.times[number] - last) - self.key_pose
        off = reach(camera_change(motion) - expected, self.aspect)
        return off <= _EXPECTED_FROM + _EXPECTED_OF * reach(expected, self.aspect)

    def finish(self) -> None:
        """Store the path so far, if it has two frames or more."""
        if len(self.numbers) < 2:
            return
        self.shots.append(
            Shot(
                self.times[self.numbers],
                np.array(self.poses),
                *(
                    float(np.mean([getattr(m, name) for m in self.motions]))
                    for name in ("agreement", "coverage", "border")
                ),
            )
        )


def camera_change(motion: Motion) -> np.ndarray:
    """Change of the camera's pose for a motion of the picture: shift right and up, zoom and roll, shape (4,).

    The logarithm of the similarity: a camera that moves steadily relative to its own picture adds the same
    change in every equal time, also when it rolls or zooms meanwhile.
    """
    turn = np.log(motion.a)
    shift = motion.b * (turn / (motion.a - 1) if abs(motion.a - 1) > 1e-6 else 1.0)
    return np.array([-shift.real, shift.imag, turn.real, -turn.imag])


def reach(change: np.ndarray, aspect: float) -> float:
    """Mean displacement of the corners of the picture by a change of pose, in picture heights."""
    half = np.hypot(aspect, 1) / 2
    return float(np.hypot(np.hypot(change[0], change[1]), half * np.hypot(change[2], change[3])))
