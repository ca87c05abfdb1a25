"""PySceneDetect's shot detectors, run on our own frames.

They are PySceneDetect's own classes (https://scenedetect.com). They are fed with frames of our
decoder, so they also work on files that OpenCV cannot read, and with the exact time of every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import MediaError
from tools.scene_cut.shots.limits import MIN_SCENE_LEN
from tools.scene_cut.shots.options import parse_weights
from tools.scene_cut.shots.stats import FrameStats
from tools.scene_cut.shots.transitions import find_transitions, grey

if TYPE_CHECKING:
    from scenedetect.common import FrameTimecode
    from scenedetect.detector import SceneDetector

    from tools.media.reading.timeline.packets import PacketIndex
    from tools.stage.names.new_files import MadeFiles


def find_cuts(
    path: str | Path,
    index: PacketIndex,
    frames: range,
    detector: str,
    options: Mapping[str, Any],
    *,
    min_scene_len: int | float = MIN_SCENE_LEN,
    frame_skip: int = 0,
    stats_path: Path | None = None,
    made: MadeFiles | None = None,
) -> tuple[list[int], list[range]]:
    """Run one of PySceneDetect's detectors, and the mixture test on the same pictures.

    Args:
        path: The video.
        index: Its packets.
        frames: Numbers of the frames to examine.
        detector: A name of `DETECTORS`, other than transnetv2.
        options: All its options.
        min_scene_len: Shortest shot: frames as int, seconds as float.
        frame_skip: Frames left out after each one that is examined.
        stats_path: Where to write what the detector measured, see `tools.scene_cut.shots.stats`.
        made: What was made for the table; with it no other file is replaced there.

    Returns:
        Number of the first frame of each new shot, ascending; and the frames of each dissolve and fade, see
        `tools.scene_cut.shots.transitions`.

    Raises:
        MediaError: The video cannot be opened, none of these frames can be decoded, or the statistics cannot
            be written.
    """
    rate = _rate(index)
    machine = _build(detector, options, min_scene_len)
    stats = FrameStats(machine) if stats_path else None
    cuts, seen, greys = [], [], []
    for number, picture in _pictures(path, index, frames[:: frame_skip + 1]):
        code = _code(number, index, rate)
        seen.append(number)
        greys.append(grey(picture))
        cuts += machine.process_frame(code, picture)
        if stats:
            stats.add(number, code)
    if not seen:
        raise MediaError("decode", path, f"none of its frames {frames.start} to {frames[-1]} can be decoded")
    cuts += machine.post_process(_code(frames[-1], index, rate))
    if stats and stats_path:
        stats.write(stats_path, path, made)
    # Of frames that were left out or do not decode, those between two of a transition belong to it.
    transitions = [range(seen[t.start], seen[t.stop - 1] + 1) for t in find_transitions(np.stack(greys))]
    return _frame_numbers(cuts, seen[0], index), transitions


def _code(number: int, index: PacketIndex, rate: Fraction) -> FrameTimecode:
    """The exact time of a frame as PySceneDetect takes it."""
    from scenedetect.common import FrameTimecode, Timecode

    ticks = int(index.pts[number] - index.pts[0])
    return FrameTimecode(Timecode(pts=ticks, time_base=index.time_base), fps=rate)


def _rate(index: PacketIndex) -> Fraction:
    """Frames per second that turns a number of frames into a time; only ``min_scene_len`` depends on it."""
    if index.average_rate:
        return Fraction(index.average_rate)
    return (
        Fraction(len(index.pts) / index.duration).limit_denominator(100_000)
        if index.duration
        else Fraction(25)
    )


def _build(detector: str, options: Mapping[str, Any], min_scene_len: int | float) -> SceneDetector:
    from scenedetect import detectors
    from scenedetect.detector import FlashFilter

    from tools.scene_cut.shots.content import FastAdaptiveDetector, FastContentDetector

    given = {name: value for name, value in options.items() if value is not None}
    if "weights" in given:
        given["weights"] = detectors.ContentDetector.Components(*parse_weights(given["weights"]))
    if "filter_mode" in given:
        given["filter_mode"] = FlashFilter.Mode[given["filter_mode"].upper()]
    if "method" in given:
        given["method"] = detectors.ThresholdDetector.Method[given["method"].upper()]
    names = {
        "adaptive": FastAdaptiveDetector,
        "content": FastContentDetector,
        "threshold": detectors.ThresholdDetector,
        "hash": detectors.HashDetector,
        "histogram": detectors.HistogramDetector,
    }
    return names[detector](min_scene_len=min_scene_len, **given)


def _pictures(path: str | Path, index: PacketIndex, frames: range) -> Iterable[tuple[int, np.ndarray]]:
    """Frames as PySceneDetect sees them."""
    from tools.media.reading.video_frames import iter_video_frames
    from tools.scene_cut.shots.small_pictures import SmallPictures

    small = SmallPictures(index)
    for frame in iter_video_frames(path, frames=frames, index=index):
        yield frame.index, small(frame.picture)


def _frame_numbers(cuts: Iterable[FrameTimecode], first: int, index: PacketIndex) -> list[int]:
    """Frame numbers of PySceneDetect's times: the nearest frame, for exact times the frame itself."""
    times = index.times
    numbers = set()
    for cut in cuts:
        at = int(np.searchsorted(times, cut.seconds - 1e-6))
        nearest = min(
            (n for n in (at - 1, at) if 0 <= n < len(times)), key=lambda n: abs(times[n] - cut.seconds)
        )
        if nearest > first:
            numbers.add(nearest)
    return sorted(numbers)
