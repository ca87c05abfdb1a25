"""Shot detectors: which there are, their options with PySceneDetect's defaults, and how they are run.

The detectors are PySceneDetect's own classes (https://scenedetect.com). They are fed with frames of our
decoder, so they also work on files that OpenCV cannot read, and with the exact time of every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import UserError

if TYPE_CHECKING:
    from scenedetect.detector import SceneDetector

    from tools.media.packets import PacketIndex

_SIDE = 256  # PySceneDetect looks at pictures whose longer side has this many pixels


@dataclass(frozen=True)
class Option:
    """One option of a detector.

    Attributes:
        kind: Its type; bool options are switches.
        default: PySceneDetect's own.
        help: What it does.
        choices: Allowed values, for names.
    """

    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()


_WEIGHTS = Option(str, "1,1,1,0", "weights of the changes in hue, saturation, luma and edges")
_LUMA = Option(bool, False, "look at brightness alone")
_KERNEL = Option(int, None, "odd size of the kernel that widens edges (from the frame size)")

DETECTORS: dict[str, dict[str, Option]] = {
    "adaptive": {
        "adaptive_threshold": Option(
            float, 3.0, "content change by its average over the window that makes a cut"
        ),
        "window_width": Option(int, 2, "frames on either side that are averaged"),
        "min_content_val": Option(float, 15.0, "least content change of a cut"),
        "weights": _WEIGHTS,
        "luma_only": _LUMA,
        "kernel_size": _KERNEL,
    },
    "content": {
        "threshold": Option(float, 27.0, "content change that makes a cut"),
        "weights": _WEIGHTS,
        "luma_only": _LUMA,
        "kernel_size": _KERNEL,
        "filter_mode": Option(
            str, "merge", "what becomes of cuts that follow too fast", ("merge", "suppress")
        ),
    },
    "threshold": {
        "threshold": Option(float, 12.0, "mean brightness (0 to 255) below which the picture is black"),
        "fade_bias": Option(float, 0.0, "where in the black the cut is, from -1 (out) to 1 (in)"),
        "add_final_scene": Option(bool, False, "cut also where the video ends in black"),
        "method": Option(str, "floor", "fade to black, or to white", ("floor", "ceiling")),
    },
    "hash": {
        "threshold": Option(float, 0.35, "share of hash bits that change at a cut"),
        "size": Option(int, 8, "side of the hash in bits"),
        "lowpass": Option(int, 2, "how much fine detail is ignored"),
    },
    "histogram": {
        "threshold": Option(float, 0.2, "difference of brightness histograms that makes a cut"),
        "bins": Option(int, 128, "bins of the histogram"),
    },
    "transnetv2": {
        "threshold": Option(float, 0.5, "probability above which a frame belongs to a transition"),
    },
}
"""Every detector with its options; ``min_scene_len`` is common to all but transnetv2."""


def check_options(detector: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a detector, with defaults for those not given.

    Raises:
        UserError: Unknown detector, or an option that belongs to another one.
    """
    if detector not in DETECTORS:
        raise UserError(f"Invalid detector ({detector}). Supported values are {', '.join(DETECTORS)}.")
    known = DETECTORS[detector]
    for name in options:
        if name not in known:
            owners = [d for d, o in DETECTORS.items() if name in o]
            whose = f"it is an option of {', '.join(owners)}" if owners else "no detector has it"
            raise UserError(f"--{name.replace('_', '-')}: not an option of detector {detector}, {whose}")
    return {name: options.get(name, option.default) for name, option in known.items()}


def find_cuts(
    path: str | Path,
    index: PacketIndex,
    frames: range,
    detector: str,
    options: Mapping[str, Any],
    *,
    min_scene_len: str | int | float = 15,
    frame_skip: int = 0,
) -> list[int]:
    """Run one of PySceneDetect's detectors.

    Args:
        path: The video.
        index: Its packets.
        frames: Numbers of the frames to look at.
        detector: A name of `DETECTORS`, other than transnetv2.
        options: All its options.
        min_scene_len: Shortest shot: frames, or seconds as text ("0.6s").
        frame_skip: Frames left out after each one looked at.

    Returns:
        Number of the first frame of each new shot, ascending.

    Raises:
        MediaError: The video cannot be decoded.
    """
    from scenedetect.common import FrameTimecode, Timecode

    rate = _rate(index)
    machine = _build(detector, options, min_scene_len)
    cuts, seen, code = [], [], None
    for number, picture in _pictures(path, index, frames[:: frame_skip + 1]):
        ticks = int(index.pts[number] - index.pts[0])
        code = FrameTimecode(Timecode(pts=ticks, time_base=index.time_base), fps=rate)
        seen.append(number)
        cuts += machine.process_frame(code, picture)
    if code is not None:
        cuts += machine.post_process(code)
    return _frame_numbers(cuts, np.asarray(seen), index, rate)


def _rate(index: PacketIndex) -> Fraction:
    """Frames per second that turns a number of frames into a time; only ``min_scene_len`` depends on it."""
    if index.average_rate:
        return Fraction(index.average_rate)
    return (
        Fraction(len(index.pts) / index.duration).limit_denominator(100_000)
        if index.duration
        else Fraction(25)
    )


def _build(detector: str, options: Mapping[str, Any], min_scene_len: str | int | float) -> SceneDetector:
    from scenedetect import detectors
    from scenedetect.detector import FlashFilter

    given = {name: value for name, value in options.items() if value is not None}
    if "weights" in given:
        given["weights"] = detectors.ContentDetector.Components(*parse_weights(given["weights"]))
    if "filter_mode" in given:
        given["filter_mode"] = FlashFilter.Mode[given["filter_mode"].upper()]
    if "method" in given:
        given["method"] = detectors.ThresholdDetector.Method[given["method"].upper()]
    names = {
        "adaptive": detectors.AdaptiveDetector,
        "content": detectors.ContentDetector,
        "threshold": detectors.ThresholdDetector,
        "hash": detectors.HashDetector,
        "histogram": detectors.HistogramDetector,
    }
    return names[detector](min_scene_len=min_scene_len, **given)


def parse_weights(text: str) -> tuple[float, ...]:
    """Four numbers, separated by commas.

    Raises:
        UserError: The text is something else.
    """
    try:
        weights = tuple(float(piece) for piece in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != 4:
        raise UserError(f"--weights {text}: give four numbers, as in 1,1,1,0")
    return weights


def _pictures(path: str | Path, index: PacketIndex, frames: range) -> Iterable[tuple[int, np.ndarray]]:
    """Frames as PySceneDetect sees them: upright, in stored pixels, BGR, the longer side at most 256 wide."""
    import cv2

    from tools.media.decoding import iter_video_frames
    from tools.media.pictures import PictureConverter

    cv2.setNumThreads(1)
    width, height = index.coded_width, index.coded_height
    if index.rotation % 180:
        width, height = height, width
    factor = max(width, height) / _SIDE
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    # The whole picture is converted, then sampled, as OpenCV and PySceneDetect do it: scores are theirs, and
    # so are the cuts that lie near a threshold.
    convert = PictureConverter(index, size=(width, height), format="bgr24")
    for frame in iter_video_frames(path, frames=frames, index=index):
        picture = convert(frame.picture)
        if factor > 1:
            picture = cv2.resize(picture, small, interpolation=cv2.INTER_LINEAR)
        yield frame.index, picture


def _frame_numbers(cuts: list[Any], seen: np.ndarray, index: PacketIndex, rate: Fraction) -> list[int]:
    """Frame numbers of PySceneDetect's times: the nearest frame, for exact times the frame itself."""
    times = index.times
    numbers = set()
    for cut in cuts:
        at = int(np.searchsorted(times, cut.seconds - 1e-6))
        nearest = min(
            (n for n in (at - 1, at) if 0 <= n < len(times)), key=lambda n: abs(times[n] - cut.seconds)
        )
        if nearest > seen[0]:
            numbers.add(nearest)
    return sorted(numbers)
