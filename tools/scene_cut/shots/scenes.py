"""Find the scenes of one video: where shots begin and end, in frames and in exact seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.scene_cut.shots.detectors import find_cuts
from tools.scene_cut.shots.limits import MIN_SCENE_LEN, check_limits, check_usable, frames_to_search
from tools.scene_cut.shots.options import check_options
from tools.scene_cut.timestamps import Interval, readable_boundary

if TYPE_CHECKING:
    import numpy as np

    from tools.media.packets import PacketIndex


_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Scene:
    """One shot, half-open: it does not hold its end.

    Attributes:
        start_frame: Number of its first frame.
        end_frame: One past the number of its last frame.
        start: Seconds since the first frame of the video; no later than the start of its first frame, and
            later than that of the frame before.
        end: Seconds; the start of the shot that follows, or the end of the last frame.
    """

    start_frame: int
    end_frame: int
    start: Fraction
    end: Fraction

    @property
    def interval(self) -> Interval:
        """(start, end), as `tools.scene_cut.timestamps` writes it."""
        return self.start, self.end


def detect_scenes(
    path: str | Path,
    detector: str = "adaptive",
    *,
    options: Mapping[str, Any] | None = None,
    min_scene_len: int | float | str = MIN_SCENE_LEN,
    start_time: float | Fraction | str | None = None,
    end_time: float | Fraction | str | None = None,
    max_seconds: float | Fraction | str | None = None,
    frame_skip: int = 0,
    stats_path: str | Path | None = None,
    device: str = "auto",
) -> list[Scene]:
    """Find the shots of a video.

    Args:
        path: The video.
        detector: A name of `tools.scene_cut.shots.options.DETECTORS`.
        options: Options of the detector; the others have PySceneDetect's defaults.
        min_scene_len: Shortest shot: frames (15, "15", "15f") or seconds (0.6, "0.6s", "00:00:00.600").
            Not for transnetv2.
        start_time: What lies before is left out: seconds (12.5, "12.5s", "00:00:12.500"), or the number of
            the first frame wanted ("30f").
        end_time: What starts then or later is left out; written as `start_time` is, "60f" is the first
            frame not wanted.
        max_seconds: Shots that are longer are sliced into consecutive pieces of at most this length.
        frame_skip: Frames left out after each one looked at: faster only where detection, not decoding, is
            slow, and cuts may be missed. Not for transnetv2.
        stats_path: Where to write what the detector measured on each frame, as CSV. Not for transnetv2, nor
            with `frame_skip`.
        device: For transnetv2: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Scenes in order; one for a video without cuts. Together they cover the video, except that TransNetV2
        leaves out the pictures in the middle of a dissolve or fade.

    Raises:
        MediaError: The video cannot be decoded, or nothing lies between start and end (too_short).
        UserError: Unknown detector or option, or a value out of range.
    """
    from tools.media.probe import index_packets

    settings = check_options(detector, options or {})
    limits = check_limits(
        start_time=start_time,
        end_time=end_time,
        max_seconds=max_seconds,
        min_scene_len=min_scene_len,
        frame_skip=frame_skip,
    )
    check_usable(detector, limits, with_stats=stats_path is not None)
    index = index_packets(path)
    frames = frames_to_search(index, limits["start_time"], limits["end_time"])
    if detector == "transnetv2":
        from tools.scene_cut.shots.transnet import TransNet, read_small_frames

        small = read_small_frames(path, index, frames)
        probabilities = TransNet(device).probabilities(small)
        shots = shots_between_transitions(probabilities, settings["threshold"], frames)
    else:
        cuts = find_cuts(
            path,
            index,
            frames,
            detector,
            settings,
            min_scene_len=limits["min_scene_len"],
            frame_skip=limits["frame_skip"],
            stats_path=None if stats_path is None else Path(stats_path),
        )
        shots = shots_between_cuts(cuts, frames)
    return make_scenes(shots, index, max_seconds=limits["max_seconds"])


def shots_between_cuts(cuts: Iterable[int], frames: range) -> list[range]:
    """Shots that follow each other without a gap."""
    bounds = [frames.start, *(cut for cut in cuts if frames.start < cut < frames.stop), frames.stop]
    return [range(a, b) for a, b in itertools.pairwise(bounds)]


def shots_between_transitions(probabilities: np.ndarray, threshold: float, frames: range) -> list[range]:
    """Shots between runs of transition frames.

    TransNetV2 (Souček and Lokoč 2020, arXiv 2008.04838) marks the last frame before a hard cut, and every
    frame of a gradual transition: a shot ends with the first frame of such a run, the next one begins behind
    the run.

    Args:
        probabilities: float, shape (frames,): that a frame belongs to a transition.
        threshold: Above it, it does.
        frames: Numbers of the frames.

    Returns:
        Shots; all frames as one where every frame is a transition.
    """
    marked = [*(probabilities > threshold), False]
    shots, start, before = [], 0, False
    for at, in_transition in enumerate(marked):
        if in_transition and not before:
            shots.append(range(frames.start + start, frames.start + at + 1))
        if before and not in_transition:
            start = at
        before = in_transition
    if start < len(frames) and not marked[len(frames) - 1]:
        shots.append(range(frames.start + start, frames.stop))
    return [shot for shot in shots if shot] or [frames]


def make_scenes(
    shots: Iterable[range], index: PacketIndex, *, max_seconds: Fraction | None = None
) -> list[Scene]:
    """Give shots their exact times, and slice those that are too long.

    Args:
        shots: Ranges of frame numbers.
        index: The packets of the video.
        max_seconds: Longest scene; a frame that is longer on screen is a scene of its own.

    Returns:
        The scenes, in order.
    """
    if max_seconds is not None:
        shots = [piece for shot in shots for piece in _slices(shot, index, max_seconds)]
    return [
        Scene(shot.start, shot.stop, _boundary(index, shot.start), _boundary(index, shot.stop))
        for shot in shots
    ]


def _slices(shot: range, index: PacketIndex, longest: Fraction) -> list[range]:
    pieces, start = [], shot.start
    for frame in range(shot.start + 1, shot.stop + 1):
        if _exact(index, frame) - _exact(index, start) > longest and frame - 1 > start:
            pieces.append(range(start, frame - 1))
            start = frame - 1
    return [*pieces, range(start, shot.stop)]


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
