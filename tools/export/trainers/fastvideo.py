"""FastVideo: a validator before anything is read, which drops what is too long as well as what is too short.

It needs a caption, fps, num_frames and a size for every clip in `videos2caption.json`. A clip longer than
`video_length_tolerance_range` times what is trained on is dropped, and so is one with too few frames at the
training's rate, as `drop_short_ratio` is 1. Of the others the first frames are used, at that rate. Only
sums are logged.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import tables
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, enlarged_warning, lost, played_speed, speed_warnings


class FastVideo(Trainer):
    """hao-ai-lab/FastVideo, `fastvideo/workflow/preprocess/components.py`."""

    name = "fastvideo"
    rule = Rule(
        "hao-ai-lab/FastVideo",
        "2f3d4074064e4d86f99dc784ebbaa296e6f5925f",
        "2026-08-21",
        (
            "fastvideo/workflow/preprocess/components.py",
            "fastvideo/pipelines/preprocess/preprocess_stages.py",
            "fastvideo/configs/configs.py",
            "fastvideo/dataset/transform.py",
        ),
    )
    models = (models.WAN_2_1, models.WAN_2_2_5B)
    several_lengths = False
    options: ClassVar[dict[str, Any]] = {
        "train_fps": None,
        "speed_factor": 1.0,
        "video_length_tolerance_range": 2.0,
        "drop_short_ratio": 1.0,
        "do_temporal_sample": False,
    }
    folder = "videos"
    captions = Captions(table=Table(("path",), ("cap",), "videos"))
    layout_class = tables.FastVideo
    layout = "`videos/a.mp4` and `videos2caption.json` with `path`, `cap`, `fps`, `num_frames`, `resolution`"
    drops = "clips without a caption, **longer than twice what is trained on**, or with too few frames"
    speed = "resampled to `train_fps`"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The validator, then the first frames at the training's rate."""
        if not clip.caption:
            return lost("no caption", "there is no caption, so the validator drops it", "write a caption")
        frames = setup.frames[0]
        rate = self.rate(clip, setup)
        most = (
            self.option(setup, "video_length_tolerance_range")
            * frames
            / rate
            * self.option(setup, "speed_factor")
        )
        if clip.seconds > most:
            text = f"{clip.seconds:.2f} s, more than the {most:.2f} s that are allowed"
            return lost("too long", text, "cut the clip, or a larger video_length_tolerance_range")
        interval = clip.fps / rate
        there = math.ceil(clip.num_frames / interval)
        ratio = self.option(setup, "drop_short_ratio")
        if there < frames and ratio >= 1:
            return lost("too short", f"{there} frames at {rate:g} fps, {frames} needed", "fewer frames")
        width, height = setup.sizes[0]
        count = min(there, frames)
        numbers = [min(int(number * interval), clip.num_frames - 1) for number in range(count)]
        drawn = numbers[-1] + 1 if self.option(setup, "do_temporal_sample") and there > frames else 0
        last = clip.num_frames - 1 if drawn else numbers[-1]
        speed = played_speed(0, numbers[-1], count, clip, rate)
        used = len(set(numbers))
        piece = Piece(Bucket(width, height, count), 0, last, used, speed, cropped(clip, width, height), drawn)
        found = [*speed_warnings([piece]), *enlarged_warning(clip, width, height)]
        if used < count:
            found.append(Reason("frames repeated", f"{used} frames become {count}"))
        if count < frames:
            text = (
                f"{count} frames of {frames}: dropped with a probability of {ratio:g}, else of another shape"
            )
            found.append(Reason("fewer frames", text, "leave it out"))
        if not clip.caption.strip():
            found.append(Reason("empty caption", "its caption is blank", "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def rate(self, clip: Clip, setup: Setup) -> float:
        """The training's."""
        return self.option(setup, "train_fps") or super().rate(clip, setup)
