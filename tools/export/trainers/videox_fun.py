"""VideoX-Fun (and EasyAnimate): every n-th frame from a random start, the nearest of forty aspect ratios.

A clip shorter than the stride raises an error, which is caught: another clip is drawn in its place, and
only a line of the log says so. One that gives fewer frames than asked for shortens its whole batch. Batches
are filled over epochs, so no bucket is left out.

The rule is that of `--enable_bucket` without `--random_hw_adapt`, `--random_ratio_crop` and
`--training_with_video_token_length`, which draw sizes at random, or of `--fix_sample_size`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import tables
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, enlarged_warning, lost, played_speed, speed_warnings

_SHAPES = (
    "8:32 8:31 8:30 8:29 9:28 9:27 9:26 10:25 10:24 11:23 11:22 11:21 12:21 12:20 13:19 13:18 14:18 14:17 "
    "15:17 15:16 16:16 16:15 17:15 17:14 18:14 18:13 19:13 20:12 21:12 22:11 23:11 24:10 25:10 26:9 27:9 "
    "28:9 29:8 30:8 31:8 32:8"
)
SHAPES = [(int(high), int(wide)) for high, wide in (shape.split(":") for shape in _SHAPES.split())]
"""(height, width) in multiples of 32 for an area of 512 x 512; scaled for other areas."""


class VideoXFun(Trainer):
    """aigc-apps/VideoX-Fun, `videox_fun/data/dataset_image_video.py` and `scripts/wan2.1/train.py`."""

    name = "videox-fun"
    rule = Rule(
        "aigc-apps/VideoX-Fun",
        "804a4258e2608f855ccaec8fffa279e75a3b89c6",
        "2026-05-12",
        (
            "videox_fun/data/dataset_image_video.py",
            "videox_fun/data/bucket_sampler.py",
            "videox_fun/data/utils.py",
            "scripts/wan2.1/train.py",
            "scripts/wan2.1/train.sh",
        ),
    )
    models = (models.WAN_2_1, models.WAN_2_2_A14B)
    # As scripts/wan2.1/train.sh has it; the script's own default is 4.
    options: ClassVar[dict[str, Any]] = {"video_sample_stride": 2, "fix_sample_size": None}
    most_lengths = None  # a clip shorter than --video_sample_n_frames is cut to 4k + 1
    extensions = (".mp4", ".mov", ".mkv", ".avi", ".webm")
    any_case = True
    recursive = True
    captions = Captions(table=Table(("file_path",), ("text",)))
    layout_class = tables.VideoXFun
    layout = "JSON list or CSV of `file_path`, `text`, `type`"
    drops = "clips shorter than the stride: **another clip is drawn in their place**"
    speed = "each 2nd to 4th frame (`video_sample_stride`), whatever the frame rate"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """Every n-th frame of as many as there are, cut to 4k + 1."""
        stride, wanted = self.option(setup, "video_sample_stride"), max(setup.frames)
        sampled = min(wanted, clip.num_frames // stride)
        if sampled == 0:
            text = f"{clip.num_frames} frames at a stride of {stride}: another clip is drawn in its place"
            return lost("too short", text, "a smaller video_sample_stride")
        rule = setup.model.frames
        frames = (sampled - 1) // rule.step * rule.step + 1
        reach = min(clip.num_frames, (sampled - 1) * stride + 1)
        size = self._size(clip, setup)
        anywhere = reach < clip.num_frames
        last = clip.num_frames - 1 if anywhere else (frames - 1) * stride
        speed = played_speed(0, (frames - 1) * stride, frames, clip, setup.model.fps)
        piece = Piece(
            Bucket(*size, frames), 0, last, frames, speed, cropped(clip, *size), reach if anywhere else 0
        )
        found = [*speed_warnings([piece]), *enlarged_warning(clip, *size)]
        if frames < (wanted - 1) // rule.step * rule.step + 1 and setup.batch_size > 1:
            text = f"{clip.num_frames} frames at a stride of {stride} give {frames}: it shortens its batch"
            found.append(Reason("fewer frames", text, f"clips of {(wanted - 1) * stride + stride} frames"))
        if not (clip.caption or "").strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def one_length(self, setup: Setup) -> str:
        """A shorter clip shortens the others of its batch."""
        alone = setup.batch_size == 1
        return "" if alone else "a shorter clip shortens its whole batch, unless --batch-size is 1"

    def rate(self, clip: Clip, setup: Setup) -> float:
        """The model's, times the stride."""
        return super().rate(clip, setup) * self.option(setup, "video_sample_stride")

    def frames_for(self, length: int, setup: Setup) -> int:
        """As many as the stride makes of them."""
        return length * self.option(setup, "video_sample_stride")

    def _size(self, clip: Clip, setup: Setup) -> tuple[int, int]:
        fixed = self.option(setup, "fix_sample_size")  # (height, width)
        if fixed:
            return int(fixed[1] / 16) * 16, int(fixed[0] / 16) * 16
        width, height = setup.sizes[0]
        return bucket_size(clip.width, clip.height, math.isqrt(width * height))


def bucket_size(width: int, height: int, side: int) -> tuple[int, int]:
    """The size for side² pixels whose height / width, of two decimals, is nearest to the picture's."""
    high, wide = min(SHAPES, key=lambda shape: abs(round(shape[0] / shape[1], 2) - height / width))
    return int(wide * 32 / 512 * side / 16) * 16, int(high * 32 / 512 * side / 16) * 16
