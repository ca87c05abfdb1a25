"""Find the scenes of one video: where shots begin and end, in frames and in exact seconds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.media.reading.timeline.packets import LONG_FRAME_SECONDS, PacketIndex
from tools.scene_cut.shots.boundaries import (
    SLICE,
    Shot,
    decisive_values,
    gaps_of_probabilities,
    shots_between,
)
from tools.scene_cut.shots.transitions import find_transitions, grey
from tools.scene_cut.timestamps import Interval, readable_boundary

if TYPE_CHECKING:
    from tools.scene_cut.shots.transnet import TransNet


_MILLISECOND = Fraction(1, 1000)


@dataclasses.dataclass(frozen=True)
class Scene:
    """One shot, half-open: its end is not part of it.

    Attributes:
        start_frame: Number of its first frame.
        end_frame: One past the number of its last frame.
        start: Seconds since the first frame of the video; no later than the start of its first frame, and
            later than that of the frame before. Within its first frame where that was sliced.
        end: Seconds; the start of the frame that follows, or the end of the last frame, or within that.
        begins: The boundary before it: "cut", "gradual" (a dissolve or fade), "slice" (a long shot was
            sliced), or "edge" (the beginning or end of the video, or of what was searched of it).
        ends: The boundary behind it, likewise.
    """

    start_frame: int
    end_frame: int
    start: Fraction
    end: Fraction
    begins: str
    ends: str

    @property
    def interval(self) -> Interval:
        """(start, end), as `tools.scene_cut.timestamps` writes it."""
        return self.start, self.end


def detect_scenes(path: str | Path, detector: str = "adaptive", **options: Any) -> list[Scene]:
    """As `tools.scene_cut.shots.detect.detect_scenes`, with PySceneDetect's default detector."""
    from tools.scene_cut.shots.detect import detect_scenes

    return detect_scenes(path, detector, **options)


def shots_of_network(network: TransNet, pictures: np.ndarray, frames: range, threshold: float) -> list[Shot]:
    """Shots by TransNetV2 and the mixture test.

    Args:
        network: The loaded network.
        pictures: These frames as `tools.scene_cut.shots.transnet.read_small_frames` returns them.
        frames: Numbers of the frames.
        threshold: Probability above which a frame is in a transition.
    """
    transitions = find_transitions(np.stack([grey(picture) for picture in pictures]))
    found = network.probabilities(pictures, decisive_values(threshold))
    gaps = gaps_of_probabilities(*found, threshold, transitions)
    return [
        dataclasses.replace(shot, frames=frames[shot.frames.start : shot.frames.stop])
        for shot in shots_between(gaps, range(len(frames)))
    ]


def make_scenes(
    shots: Iterable[Shot], index: PacketIndex, *, max_seconds: Fraction | None = None
) -> list[Scene]:
    """Give shots their exact times, and slice those that are too long.

    Args:
        shots: Their frame numbers and the kinds of their boundaries.
        index: The packets of the video.
        max_seconds: Longest scene; a frame that is longer on screen is in several.

    Returns:
        The scenes, in order.
    """
    scenes = []
    for shot in shots:
        whole = [_Part(shot.frames, None, None)]
        parts = whole if max_seconds is None else _slices(shot.frames, index, max_seconds)
        begins = shot.begins
        for part in parts:
            ends = shot.ends if part is parts[-1] else SLICE
            first, stop = part.frames.start, part.frames.stop
            start = _boundary(index, first) if part.start is None else part.start
            end = _boundary(index, stop) if part.end is None else part.end
            scenes.append(Scene(first, stop, start, end, begins, ends))
            begins = SLICE
    return scenes


class _Part(NamedTuple):
    """A part of a shot: the frames on screen, and where it begins or ends within one; None for its edge."""

    frames: range
    start: Fraction | None
    end: Fraction | None


def _slices(shot: range, index: PacketIndex, longest: Fraction) -> list[_Part]:
    """Slice between frames, and within a long frame that alone is on screen for more than `longest`."""
    parts, first, start = [], shot.start, None
    at = _exact(index, first)
    for frame in shot:
        begins, ends = _exact(index, frame), _exact(index, frame + 1)
        while ends - at > longest:
            within = Fraction(math.floor((at + longest) * 1000), 1000)
            whole = ends - begins <= max(longest, Fraction(LONG_FRAME_SECONDS) + _MILLISECOND)
            if frame == first and start is None and whole:
                break
            if frame > first and (whole or within <= begins):
                parts.append(_Part(range(first, frame), start, None))
                first, start, at = frame, None, begins
            else:
                at = within if within > at else at + longest
                parts.append(_Part(range(first, frame + 1), start, at))
                first, start = frame, at
    return [*parts, _Part(range(first, shot.stop), start, None)]


def _exact(index: PacketIndex, frame: int) -> Fraction:
    """Start of a frame in seconds; the end of the video for the number behind the last."""
    pts = int(index.pts[frame]) if frame < len(index.pts) else index.end_pts
    return (pts - int(index.pts[0])) * index.time_base


def _boundary(index: PacketIndex, frame: int) -> Fraction:
    """A short number between the start of the frame before and that of this one."""
    if frame == len(index.pts):  # the end: rounded up, so that the last frame is inside in any case,
        end = max(_exact(index, frame), _exact(index, frame - 1) + _MILLISECOND)  # also one of no duration
        return Fraction(math.ceil(end * 1000), 1000)
    return readable_boundary(_exact(index, frame), _exact(index, frame - 1) if frame else None)
