"""DiffSynth-Studio: the first frames of a file; the frame rate counts for LTX-2 and MiniMax-H3, not for Wan.

A clip shorter than `num_frames` is cut to the next number that the model takes, down to a single frame.
Where the frame rate counts, so does the duration that FFmpeg prints, of two decimals: 121 frames at 24 fps
are 5.04 s, and so 120 frames, of which 113 are used. Such a file needs one frame more.
With `--height` and `--width` the picture is scaled to cover that size and cropped; without them it keeps
its own, scaled down to `--max_pixels` and cut to multiples. One example is one batch on each GPU.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import tables
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import (
    cropped,
    enlarged_warning,
    lost,
    played_speed,
    speed_warnings,
    too_short,
)


class DiffSynth(Trainer):
    """modelscope/DiffSynth-Studio, `diffsynth/core/data/operators.py`."""

    name = "diffsynth"
    rule = Rule(
        "modelscope/DiffSynth-Studio",
        "fed7b18fac2ed4cb802796eec91970e7659bccde",
        "2026-08-20",
        (
            "diffsynth/core/data/operators.py",
            "diffsynth/core/data/unified_dataset.py",
            "diffsynth/diffusion/runner.py",
            "examples/wanvideo/model_training/train.py",
            "examples/ltx2/model_training/train.py",
            "examples/minimax_h3/model_training/train.py",
        ),
    )
    models = (
        models.WAN_2_1,
        models.WAN_2_2_A14B,
        # The Wan trainer cuts to multiples of 16 for every Wan model.
        replace(models.WAN_2_2_5B, multiple=16),
        models.LTX_2,
        models.MINIMAX_H3,
    )
    options: ClassVar[dict[str, Any]] = {"max_pixels": None}
    most_lengths = None  # a clip shorter than --num_frames is cut to the next number below
    extensions = (".mp4", ".avi", ".mov", ".wmv", ".mkv", ".flv", ".webm", ".gif")
    any_case = True
    recursive = True
    captions = Captions(table=Table(("video",), ("prompt",)))
    layout_class = tables.DiffSynth
    layout = "`metadata.csv` (JSON, JSON Lines) with `video`, `prompt`"
    drops = "nothing; short clips are cut to what the model takes, down to one frame"
    speed = "resampled for LTX-2 and MiniMax-H3; **unchanged for Wan**, so too slow or too fast"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The first frames, of the file for Wan, of the model's rate for the others."""
        model, wanted = setup.model, max(setup.frames)
        resampled = _resampled(setup)
        rate = model.fps if resampled and model.fps else clip.fps
        there = _counted(clip.num_frames, clip.fps, rate) if resampled else clip.num_frames
        if there < 1:
            return too_short(there, 1)
        frames = wanted if there >= wanted else _shortened(there, model.frames.step, model.frames.rest)
        numbers = [min(round(number / rate * clip.fps), clip.num_frames - 1) for number in range(frames)]
        size = self._size(clip, setup)
        if min(size) < 1:
            text = f"{clip.width}x{clip.height} is smaller than {model.multiple}x{model.multiple}"
            return lost("picture too small", text)
        speed = played_speed(0, numbers[-1], frames, clip, model.fps)
        piece = Piece(Bucket(*size, frames), 0, numbers[-1], len(set(numbers)), speed, cropped(clip, *size))
        found = [*speed_warnings([piece]), *enlarged_warning(clip, *size)]
        if frames < min(there, wanted):
            text = f"{there} frames there, {frames} trained on, {wanted} asked for"
            found.append(Reason("fewer frames", text, "leave it out, or a smaller --num_frames"))
        if piece.frames_used < frames:
            found.append(Reason("frames repeated", f"{piece.frames_used} frames become {frames}"))
        if not (clip.caption or "").strip():
            text = "there is no prompt; an empty cell of a CSV is read as not a number"
            found.append(Reason("empty caption", text, "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def frames_for(self, length: int, setup: Setup) -> int:
        """As many as are counted in the printed duration: one more where that is rounded down."""
        fps = setup.model.fps
        if not _resampled(setup) or fps is None:
            return length
        return next(frames for frames in itertools.count(length) if _counted(frames, fps, fps) >= length)

    def _size(self, clip: Clip, setup: Setup) -> tuple[int, int]:
        most = self.option(setup, "max_pixels")
        if most is None:
            return setup.sizes[0]
        width, height = clip.width, clip.height
        if width * height > most:
            scale = (width * height / most) ** 0.5
            width, height = int(width / scale), int(height / scale)
        multiple = setup.model.multiple
        return width // multiple * multiple, height // multiple * multiple


def _resampled(setup: Setup) -> bool:
    """Whether the model's frame rate is kept to."""
    return not setup.model.name.startswith("wan") and setup.model.fps is not None


def _counted(frames: int, fps: float, rate: float) -> int:
    """Frames at `rate` that the loader counts in a file: of its duration in hundredths of a second."""
    seconds = math.floor(frames / fps * 100 + 0.5) / 100
    return math.floor(seconds * rate)


def _shortened(frames: int, step: int, rest: int) -> int:
    """The next number of frames below that leaves the rest, or 1 if there is none."""
    while frames > 1 and frames % step != rest % step:
        frames -= 1
    return frames
