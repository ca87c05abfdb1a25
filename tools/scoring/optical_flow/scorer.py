"""From frames to scores: flow as Open-Sora counts it, and motion that compares videos."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from tools.scoring.optical_flow.camera import camera_field
from tools.scoring.optical_flow.pairs import FlowChoice, MotionPair
from tools.scoring.optical_flow.pictures import averaged_picture, pixel_size

Pair = tuple[np.ndarray, np.ndarray]
"""Two pictures, each of shape (H, W, 3)."""

Estimate = Callable[[Sequence[Pair]], Iterable[np.ndarray]]
"""From pairs of pictures to flow in pixels, each float32, shape (H, W, 2)."""

_FAR = 0.05  # of the diagonal, 33 pixels of the grid: from there on estimates are unsure
_FASTEST = 0.95  # share of the places that are slower than ``motion_p95``, and nearer than `_FAR`
_CLIPS = 8  # scored at a time: their pictures and fields take 250 MB


@dataclasses.dataclass(frozen=True)
class Clip:
    """What is needed of a video.

    Attributes:
        flow_pictures: uint8 or float32, each of shape (320, 576, 3): ``flow`` is computed from each to the
            next.
        pictures: uint8, each of shape (320, 576, 3), by number of the frame: those of `pairs`.
        times: Seconds, of the same frames.
        pairs: Frames that ``motion`` is computed between; none when only ``flow`` is computed.
        pixel: See `tools.scoring.optical_flow.pictures.pixel_size`.
    """

    flow_pictures: list[np.ndarray]
    pictures: Mapping[int, np.ndarray]
    times: dict[int, float]
    pairs: list[MotionPair]
    pixel: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class MotionField:
    """Where everything in a picture moves in a short time.

    Attributes:
        displacements: float32, shape (H, W, 2): to the right and down, in diagonals of the frame.
        seconds: The time that it takes.
    """

    displacements: np.ndarray
    seconds: float

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """Lengths of the displacements: float32, shape (H, W)."""
        return np.hypot(self.displacements[..., 0], self.displacements[..., 1])


class _Scaled(dict[int, np.ndarray]):
    """Pictures on the grid by number of the frame, each scaled when it is first used."""

    def __init__(self, images: Mapping[int, np.ndarray], scale: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self._images, self._scale = images, scale

    def __missing__(self, number: int) -> np.ndarray:
        return self.setdefault(number, self._scale(self._images[number]))


def make_clip(
    images: Mapping[int, np.ndarray],
    times: np.ndarray,
    choice: FlowChoice,
    flow_picture: Callable[[np.ndarray], np.ndarray] = averaged_picture,
    *,
    as_needed: bool = False,
) -> Clip:
    """Bring the frames of a video onto the grid.

    Args:
        images: uint8, shape (H, W, 3), RGB, by number of the frame: those of `choice`.
        times: Seconds of all frames of the video, float64, shape (frames,).
        choice: Which frames.
        flow_picture: How they are scaled for ``flow``.
        as_needed: Scale the pictures for ``motion`` when they are used: most of those for a short step are
            not. The clip then holds all images.

    Raises:
        SamplingError: The video is too short.
    """
    numbers = choice.flow_frames(times)
    averaged = _Scaled(images, averaged_picture)
    scaled = averaged if flow_picture is averaged_picture else _Scaled(images, flow_picture)
    pairs = choice.motion(times) if choice.motion_pairs else []
    used = {number for pair in pairs for number in dataclasses.astuple(pair)} - {None}
    return Clip(
        flow_pictures=[scaled[number] for number in numbers],
        pictures=averaged if as_needed else {number: averaged[number] for number in sorted(used)},
        times={number: float(times[number]) for number in sorted(used)},
        pairs=pairs,
        pixel=pixel_size(*images[numbers[0]].shape[:2]),
    )


def score_clips(
    estimate: Estimate, clips: Sequence[Clip], *, split_camera: bool = False
) -> list[dict[str, float]]:
    """Score videos.

    Args:
        estimate: Computes flow; a pair's flow must not depend on the other pairs.
        clips: What `make_clip` returned for them.
        split_camera: Separate the motion of the camera from that of what it shows.

    Returns:
        For each video ``flow``, ``motion`` and ``motion_p95`` (not when it has no pairs for them), and with
        `split_camera` ``motion_camera`` and ``motion_subject``.
    """
    scores = []
    for start in range(0, len(clips), _CLIPS):
        some = clips[start : start + _CLIPS]
        flows = _flow_scores(estimate, some)
        for clip, flow, fields in zip(some, flows, _motion_fields(estimate, some), strict=True):
            motion = motion_scores(fields, clip.pixel, split_camera=split_camera) if fields else {}
            scores.append({"flow": flow, **motion})
    return scores


def flow_score(flows: np.ndarray) -> float:
    """Open-Sora's score: the mean of |u| and |v| over all pixels and pairs, in pixels of the grid.

    Args:
        flows: Shape (N, H, W, 2).
    """
    return float(np.abs(flows).mean(dtype=np.float64))


def motion_scores(
    fields: Sequence[MotionField], pixel: tuple[float, float], *, split_camera: bool = False
) -> dict[str, float]:
    """Speed of what is seen, in diagonals of the frame per second.

    Args:
        fields: What moves in a few short times.
        pixel: Width and height of a pixel, in diagonals.
        split_camera: See `score_clips`.

    Returns:
        ``motion``: mean over pixels and pairs. ``motion_p95``: 95th percentile over both. With `split_camera`
        ``motion_camera``, the mean of the fitted camera motion, and ``motion_subject``, the mean of what is
        left, over pixels that the camera motion leaves in the picture.
    """
    speeds = [field.distances / field.seconds for field in fields]
    scores = {
        "motion": float(np.mean([speed.mean(dtype=np.float64) for speed in speeds])),
        "motion_p95": quantile(np.concatenate([speed.ravel() for speed in speeds]), _FASTEST),
    }
    if split_camera:
        parts = [_camera_and_subject(field.displacements, pixel) / field.seconds for field in fields]
        camera, subject = np.mean(parts, axis=0)
        scores |= {"motion_camera": float(camera), "motion_subject": float(subject)}
    return scores


def quantile(values: np.ndarray, share: float) -> float:
    """What `np.quantile` gives, in a seventh of its time: one value is searched for, not four.

    Args:
        values: float32, shape (n,). They are sorted in part.
        share: Of the values that are less, 0 to 1.
    """
    place = (len(values) - 1) * share
    number = int(place)
    values.partition(number)
    low, after = values[number], values[number + 1 :]
    if not len(after):
        return float(low)
    high, part = after.min(), place - number
    # as NumPy interpolates: from the nearer one
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))


def _camera_and_subject(field: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    """Mean displacements: of the camera, and what is left."""
    camera = camera_field(field, pixel)
    height, width = field.shape[:2]
    x = np.arange(width) + camera[..., 0] / pixel[0]
    y = np.arange(height)[:, None] + camera[..., 1] / pixel[1]
    seen = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    rest = np.hypot(field[..., 0] - camera[..., 0], field[..., 1] - camera[..., 1])
    # where everything leaves the picture, nothing is known of what moves by itself
    subject = rest[seen].mean(dtype=np.float64) if seen.any() else 0.0
    return np.array([np.hypot(camera[..., 0], camera[..., 1]).mean(dtype=np.float64), subject])


def _flow_scores(estimate: Estimate, clips: Sequence[Clip]) -> list[float]:
    flows = iter(estimate([pair for clip in clips for pair in pairwise(clip.flow_pictures)]))
    return [flow_score(np.stack([next(flows) for _ in clip.flow_pictures[1:]])) for clip in clips]


def _motion_fields(estimate: Estimate, clips: Sequence[Clip]) -> list[list[MotionField]]:
    """Motion between the frames of each pair; of what goes far, over a shorter time."""
    steps = [(clip, pair.first, pair.second) for clip in clips for pair in clip.pairs]
    shorter = [pair.near for clip in clips for pair in clip.pairs]
    fields = _fields(estimate, steps)
    far = {
        number: (*steps[number][:2], near)
        for number, (field, near) in enumerate(zip(fields, shorter, strict=True))
        if near is not None and quantile(field.distances.flatten(), _FASTEST) > _FAR
    }
    for number, field in zip(far, _fields(estimate, list(far.values())), strict=True):
        fields[number] = field
    remaining = iter(fields)
    return [[next(remaining) for _ in clip.pairs] for clip in clips]


def _fields(estimate: Estimate, steps: Sequence[tuple[Clip, int, int]]) -> list[MotionField]:
    if not steps:
        return []
    flows = estimate([(clip.pictures[first], clip.pictures[second]) for clip, first, second in steps])
    return [
        MotionField(_in_diagonals(flow, clip.pixel), clip.times[second] - clip.times[first])
        for flow, (clip, first, second) in zip(flows, steps, strict=True)
    ]


def _in_diagonals(flow: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    rows = flow.reshape(len(flow), -1)  # long ones: NumPy is slow with an axis of two
    return (rows * np.tile(np.array(pixel, np.float32), flow.shape[1])).reshape(flow.shape)
