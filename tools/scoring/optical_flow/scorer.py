"""From frames to scores: flow as Open-Sora counts it, and motion that compares videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from tools.scoring.optical_flow.camera import camera_field
from tools.scoring.optical_flow.pairs import FlowChoice, MotionPair
from tools.scoring.optical_flow.pictures import averaged_picture, pixel_size

Estimate = Callable[[np.ndarray], np.ndarray]
"""From pairs of pictures, shape (N, 2, H, W, 3), to flow in pixels, float32, shape (N, H, W, 2)."""

_FAR = 0.05  # of the diagonal, 33 pixels of the grid: from there on estimates are unsure
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
    fields: Sequence[tuple[np.ndarray, float]], pixel: tuple[float, float], *, split_camera: bool = False
) -> dict[str, float]:
    """Speed of what is seen, in diagonals of the frame per second.

    Args:
        fields: Displacements, shape (H, W, 2), in diagonals, and the seconds that they took.
        pixel: Width and height of a pixel, in diagonals.
        split_camera: See `score_clips`.

    Returns:
        ``motion``: mean over pixels and pairs. ``motion_p95``: 95th percentile over both. With `split_camera`
        ``motion_camera``, the mean of the fitted camera motion, and ``motion_subject``, the mean of what is
        left, over pixels that the camera motion leaves in the picture.
    """
    speeds = [np.hypot(field[..., 0], field[..., 1]) / seconds for field, seconds in fields]
    scores = {
        "motion": float(np.mean([speed.mean(dtype=np.float64) for speed in speeds])),
        "motion_p95": float(np.percentile(np.concatenate([speed.ravel() for speed in speeds]), 95)),
    }
    if split_camera:
        parts = [_camera_and_subject(field, pixel) / seconds for field, seconds in fields]
        camera, subject = np.mean(parts, axis=0)
        scores |= {"motion_camera": float(camera), "motion_subject": float(subject)}
    return scores


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
    pairs = [pair for clip in clips for pair in pairwise(clip.flow_pictures)]
    flows = iter(estimate(np.stack([np.stack(pair) for pair in pairs])))
    return [flow_score(np.stack([next(flows) for _ in clip.flow_pictures[1:]])) for clip in clips]


def _motion_fields(estimate: Estimate, clips: Sequence[Clip]) -> list[list[tuple[np.ndarray, float]]]:
    """Displacements of each pair in diagonals, and their seconds; what goes far, over a shorter time."""
    steps = [(clip, pair.first, pair.second) for clip in clips for pair in clip.pairs]
    shorter = [pair.near for clip in clips for pair in clip.pairs]
    fields = _fields(estimate, steps)
    far = {
        number: (*steps[number][:2], near)
        for number, ((field, _), near) in enumerate(zip(fields, shorter, strict=True))
        if near is not None and np.percentile(np.hypot(*np.moveaxis(field, 2, 0)), 95) > _FAR
    }
    for number, field in zip(far, _fields(estimate, list(far.values())), strict=True):
        fields[number] = field
    remaining = iter(fields)
    return [[next(remaining) for _ in clip.pairs] for clip in clips]


def _fields(estimate: Estimate, steps: Sequence[tuple[Clip, int, int]]) -> list[tuple[np.ndarray, float]]:
    if not steps:
        return []
    flows = estimate(np.stack([np.stack([c.pictures[i], c.pictures[j]]) for c, i, j in steps]))
    return [
        (flow * np.array(clip.pixel, np.float32), clip.times[second] - clip.times[first])
        for flow, (clip, first, second) in zip(flows, steps, strict=True)
    ]
