"""ai-toolkit: frames spread over the whole clip, so that its speed changes with its length.

`shrink_video_to_frames`, which is on unless it is turned off, takes `num_frames` frames from the first to
the last one of the file. Only a clip that lasts as long as the model plays them keeps its speed. No clip is
lost, pictures are never enlarged beyond a bucket of their own size, and batches that are not full are
filled by repeating.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import pairs
from tools.export.trainers.base import Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, played_speed, speed_warnings, too_short


class AIToolkit(Trainer):
    """ostris/ai-toolkit, `toolkit/dataloader_mixins.py` and `toolkit/buckets.py`."""

    name = "ai-toolkit"
    rule = Rule(
        "ostris/ai-toolkit",
        "27a03a91f23eb1b757d5ec2e80ee3e129cfcc350",
        "2026-08-21",
        (
            "toolkit/dataloader_mixins.py",
            "toolkit/data_loader.py",
            "toolkit/config_modules.py",
            "toolkit/buckets.py",
            "toolkit/data_transfer_object/data_loader.py",
            "extensions_built_in/diffusion_models/minimax_h3/src/packing.py",
        ),
    )
    models = (
        models.WAN_2_2_A14B,
        models.WAN_2_2_5B,
        models.LTX_2,
        # Its own least number: five frames are the rest alone.
        replace(models.MINIMAX_H3, frames=models.FrameRule(17, 5, 5, 124)),
    )
    options: ClassVar[dict[str, Any]] = {
        "shrink_video_to_frames": True,
        "fps": 24,
        "auto_frame_count": False,
        "trim_auto_frame_count_tail": True,
    }
    extensions = (".mp4", ".avi", ".mov", ".webm", ".mkv", ".wmv", ".m4v", ".flv")
    any_case = True
    recursive = True
    layout_class = pairs.AIToolkit
    layout = "`a.mp4` with `a.txt`, sub-folders too, or JSON `{path: {caption}}`"
    drops = "nothing"
    speed = "**changed with the clip's length**: `num_frames` frames are spread over the whole clip"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """One piece for each resolution; which frames depends on the options."""
        frames = self._frames(clip, setup)
        if frames < 1:
            return too_short(frames, setup.model.frames.least)
        first, last, used, drawn = self._span(clip, frames, setup)
        speed = played_speed(first, first + drawn - 1 if drawn else last, frames, clip, setup.model.fps)
        pieces = []
        for width, height in setup.sizes:
            size = bucket_size(clip.width, clip.height, math.isqrt(width * height), setup.model.multiple)
            share = cropped(clip, *size)
            pieces.append(Piece(Bucket(*size, frames), first, last, used, speed, share, drawn))
        found = [*speed_warnings(pieces)]
        if used < frames:
            found.append(
                Reason("frames repeated", f"{used} frames become {frames}", "longer clips, or fewer frames")
            )
        if not (clip.caption or "").strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        return Judgement(tuple(pieces), warnings=tuple(found))

    def splits_by_length(self, setup: Setup) -> bool:
        """A data set has one `num_frames`."""
        return not self.option(setup, "auto_frame_count")

    def reads(self, names: Any) -> list[str]:
        """Files of the folder and of those in it, but for hidden ones and the folder of control pictures."""
        return [
            name
            for name in super().reads(names)
            if not any(part.startswith(".") for part in name.split("/"))
            and name.split("/")[-2:-1] != ["_controls"]
        ]

    def _frames(self, clip: Clip, setup: Setup) -> int:
        if not self.option(setup, "auto_frame_count"):
            return setup.frames[0]
        rule = setup.model.frames
        frames = int(clip.num_frames / clip.fps * self.option(setup, "fps"))
        if setup.model.name == "minimax-h3":
            frames = max(frames, rule.rest)
            return frames - (frames - rule.rest) % rule.step
        if self.option(setup, "trim_auto_frame_count_tail"):
            frames = max(0, frames - 1)
        return frames // rule.step * rule.step + 1

    def _interval(self, clip: Clip, setup: Setup) -> int:
        return max(1, round(clip.fps / self.option(setup, "fps")))

    def _span(self, clip: Clip, frames: int, setup: Setup) -> tuple[int, int, int, int]:
        """First frame, last frame, how many different ones, and how many a draw spans or 0."""
        end = clip.num_frames - 1
        auto = self.option(setup, "auto_frame_count")
        if auto and self.option(setup, "trim_auto_frame_count_tail"):
            ratio = clip.fps / self.option(setup, "fps")
            numbers = [min(round(number * ratio), end) for number in range(frames)]
            return 0, numbers[-1], len(set(numbers)), 0
        stride = self._interval(clip, setup)
        spread = self.option(setup, "shrink_video_to_frames") or clip.num_frames // stride < frames
        if not spread and clip.num_frames >= frames:
            return 0, end, frames, (frames - 1) * stride + 1
        interval = end / (frames - 1) if frames > 1 else 0
        numbers = {min(round(number * interval), end) for number in range(frames)}
        return 0, max(numbers), len(numbers), 0


def bucket_size(width: int, height: int, side: int, multiple: int) -> tuple[int, int]:
    """The bucket of a picture: of its own area, or scaled down to side² pixels if it is larger.

    Each side is rounded down or up; of the four sizes that which comes nearest to the area without
    exceeding side².
    """
    largest = side * side
    area = min(width * height, largest)
    scale = (area / (width * height)) ** 0.5
    wide, high = width * scale / multiple, height * scale / multiple
    sizes = [
        (round_x(wide) * multiple, round_y(high) * multiple)
        for round_x in (math.floor, math.ceil)
        for round_y in (math.floor, math.ceil)
    ]
    fitting = [size for size in sizes if min(size) > 0 and size[0] * size[1] <= largest]
    if not fitting:
        fitting = [(max(multiple, sizes[0][0]), max(multiple, sizes[0][1]))]
    return min(fitting, key=lambda size: abs(size[0] * size[1] - area))
