"""Find the scenes of one video: where shots begin and end, in frames and in exact seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError
from tools.scene_cut.shots.detectors import check_options, find_cuts
from tools.scene_cut.timestamps import Interval, readable_boundary

if TYPE_CHECKING:
    import numpy as np

    from tools.media.packets import PacketIndex


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
    min_scene_len: str | int | float = 15,
    start_time: float | Fraction | None = None,
    end_time: float | Fraction | None = None,
    max_seconds: float | Fraction | None = None,
    frame_skip: int = 0,
    device: str = "auto",
) -> list[Scene]:
    """Find the shots of a video.

    Args:
        path: The video.
        detector: A name of `tools.scene_cut.shots.detectors.DETECTORS`.
        options: Options of the detector; the others have PySceneDetect's defaults.
        min_scene_len: Shortest shot: frames, or seconds as text ("0.6s"). TransNetV2 knows no such limit.
        start_time: Seconds; what lies before is left out.
        end_time: Seconds; what lies behind is left out.
        max_seconds: Shots that are longer are sliced into consecutive pieces of at most this length.
        frame_skip: Frames left out after each one looked at: faster only where detection, not decoding, is
            slow, and cuts may be missed.
        device: For transnetv2: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Scenes in order; one for a video without cuts. Together they cover the video, except that TransNetV2
        leaves out the pictures in the middle of a dissolve or fade.

    Raises:
        MediaError: The video cannot be decoded, or nothing lies between start and end (too_short).
        UserError: Unknown detector or option.
    """
    from tools.media.probe import index_packets

    settings = check_options(detector, options or {})
    index = index_packets(path)
    frames = frames_to_search(index, start_time, end_time)
    if detector == "transnetv2":
        from tools.scene_cut.shots.transnet import TransNet, read_small_frames

        small = read_small_frames(path, index, frames)
        probabilities = TransNet(device).probabilities(small)
        shots = shots_between_transitions(probabilities, settings["threshold"], frames)
    else:
        cuts = find_cuts(
            path, index, frames, detector, settings, min_scene_len=min_scene_len, frame_skip=frame_skip
        )
        shots = shots_between_cuts(cuts, frames)
    return make_scenes(shots, index, max_seconds=max_seconds)


def frames_to_search(
    index: PacketIndex, start_time: float | Fraction | None = None, end_time: float | Fraction | None = None
) -> range:
    """The frames between two times.

    Raises:
        MediaError: There are none.
    """
    frames = index.frames_between(
        None if start_time is None else float(start_time), None if end_time is None else float(end_time)
    )
    if not frames:
        raise MediaError(
            "too_short",
            index.path,
            f"no frame from {float(start_time or 0):g} s on; the video ends at {index.duration:.3f} s",
        )
    return frames


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
    shots: Iterable[range], index: PacketIndex, *, max_seconds: float | Fraction | None = None
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
        shots = [piece for shot in shots for piece in _slices(shot, index, Fraction(max_seconds))]
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
    if frame == len(index.pts):  # the end: rounded up, so that the last frame is inside in any case
        return Fraction(math.ceil(_exact(index, frame) * 1000), 1000)
    return readable_boundary(_exact(index, frame), _exact(index, frame - 1) if frame else None)
