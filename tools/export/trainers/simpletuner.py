"""SimpleTuner: frames trimmed to 8k + 1, shorter clips skipped, each line of a caption a caption.

The first frames are taken as they are, whatever their rate. Every bucket must fill a batch over all GPUs,
or training ends with an error, unless `--allow_dataset_oversubscription` is given.

The rule is that of `crop: true` with `crop_aspect: preserve` and a resolution as an area in megapixels.
What the loader keeps of earlier pictures (the first size found for an aspect ratio is used for all of that
ratio) is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import pairs
from tools.export.models import FrameRule
from tools.export.trainers.base import Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement, Piece, Reason
from tools.export.trainers.reasons import (
    cropped,
    enlarged_warning,
    lost,
    played_speed,
    speed_warnings,
    too_short,
)

_NAMED_AREAS = {0.25: 512**2, 0.5: 768**2, 1.0: 1024**2, 2.0: 1536**2, 4.0: 2048**2}


class SimpleTuner(Trainer):
    """bghira/SimpleTuner, its discovery metadata backend and `multiaspect/image.py`."""

    name = "simpletuner"
    rule = Rule(
        "bghira/SimpleTuner",
        "bc8e6ab7738ce457a2ed8eb2d26cadd91c6442cb",
        "2026-08-22",
        tuple(
            f"simpletuner/helpers/{name}"
            for name in (
                "metadata/backends/discovery.py",
                "metadata/backends/base.py",
                "multiaspect/image.py",
                "image_manipulation/training_sample.py",
                "caching/vae.py",
                "prompts.py",
                "models/wan/model.py",
                "models/ltxvideo2/model.py",
            )
        ),
    )
    # Sides must be multiples of 32 or 64 (`aspect_bucket_alignment`), and LTX-2 is told 25 frames per second.
    models = (
        replace(models.WAN_2_1, frames=FrameRule(8, 1, 9, 81), multiple=32),
        replace(models.WAN_2_2_A14B, frames=FrameRule(8, 1, 9, 81), multiple=32),
        replace(models.WAN_2_2_5B, frames=FrameRule(8, 1, 9, 121), multiple=64, sizes=((1280, 704),)),
        replace(models.LTX_2, multiple=64, fps=25, sizes=((768, 448), (960, 512))),
    )
    options: ClassVar[dict[str, Any]] = {
        "min_frames": None,
        "max_frames": None,
        "bucket_strategy": "aspect_ratio",
        "frame_interval": None,
        "allow_dataset_oversubscription": False,
        "repeats": 0,
    }
    extensions = (
        ".mp4",
        ".avi",
        ".mov",
        ".mkv",
        ".webm",
        ".flv",
        ".wmv",
        ".m4v",
        ".mpeg",
        ".mpg",
        ".3gp",
        ".ogv",
    )
    any_case = True
    recursive = True
    layout_class = pairs.SimpleTuner
    layout = "`a.mp4` with `a.txt`, or a Parquet, CSV or JSON Lines of captions; `multidatabackend.json`"
    drops = "clips below `min_frames` after trimming to 8k+1; **a small bucket ends training with an error**"
    speed = "unchanged, so too slow or too fast for the model"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """Trimmed to the model's rule, filtered by length, then the first frames."""
        if clip.caption is None:
            return lost("no caption", "its caption file is not found, which is an error", "write a caption")
        wanted, trimmed = setup.frames[0], _trimmed(clip.num_frames, setup)
        least = self.option(setup, "min_frames") or wanted
        most = self.option(setup, "max_frames")
        if trimmed < least:
            judgement = too_short(trimmed, least)
            text = f"{clip.num_frames} frames are trimmed to {trimmed}, {least} needed"
            return (
                replace(judgement, loss=replace(judgement.loss, text=text)) if judgement.loss else judgement
            )
        if most is not None and trimmed > most:
            return lost("too long", f"{trimmed} frames, more than max_frames {most}", "cut the clip")
        size = bucket_size(clip.width, clip.height, setup.sizes[0], setup.model.multiple)
        frames = min(trimmed, wanted)
        bucket = Bucket(*size, frames, self._group(size, trimmed, setup))
        speed = played_speed(0, frames - 1, frames, clip, setup.model.fps)
        piece = Piece(bucket, 0, frames - 1, frames, speed, cropped(clip, *size))
        found = [*speed_warnings([piece]), *enlarged_warning(clip, *size)]
        lines = [line for line in clip.caption.split("\n") if line]
        if len(lines) > 1:
            text = f"its {len(lines)} lines are {len(lines)} captions, of which one is drawn each time"
            found.append(Reason("caption of several lines", text, "join the lines"))
        elif not clip.caption.strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def one_length(self, setup: Setup) -> str:
        """Where they are set, there is one data set."""
        return "" if self.splits_by_length(setup) else "min_frames and max_frames are of one data set"

    def splits_by_length(self, setup: Setup) -> bool:
        """A data set has one `num_frames`, below which `min_frames` must not be."""
        return self.option(setup, "min_frames") is None and self.option(setup, "max_frames") is None

    def length_of(self, clip: Clip, setup: Setup) -> int:
        """By the frames of the file, to which `min_frames` and `max_frames` of each data set refer."""
        trimmed = _trimmed(clip.num_frames, setup)
        return max((length for length in setup.frames if length <= trimmed), default=min(setup.frames))

    def dropped(self, counts: Mapping[Bucket, int], setup: Setup) -> dict[Bucket, Dropped]:
        """Buckets that fill no batch over all GPUs: an error, or repeated if that is allowed."""
        if self.option(setup, "allow_dataset_oversubscription") and not self.option(setup, "repeats"):
            return {}
        batch, repeats = setup.global_batch, self.option(setup, "repeats") + 1
        found = {}
        for bucket, count in counts.items():
            if count * repeats < batch:
                text = f"{count * repeats} examples, {batch} needed for one batch over all GPUs"
                remedy = "--allow_dataset_oversubscription, repeats, or a smaller batch"
                reason = Reason("bucket smaller than batch", text, remedy)
                found[bucket] = Dropped(count, reason, ends_training=True)
        return found

    def _group(self, size: tuple[int, int], frames: int, setup: Setup) -> str:
        if self.option(setup, "bucket_strategy") == "aspect_ratio":
            return f"ar {round(size[0] / size[1], 2)}"
        interval = self.option(setup, "frame_interval") or 1
        return f"@{frames // interval * interval or frames}"


def _trimmed(frames: int, setup: Setup) -> int:
    step = setup.model.frames.step
    return max((frames - 1) // step * step + 1, 1)


def bucket_size(width: int, height: int, size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The bucket of a picture for a resolution of the pixels of `size`, in megapixels of two decimals.

    Its aspect ratio is the picture's, rounded to two decimals. A square one has the side of the area; some
    areas are taken for others that are written alike (0.25 for 512 x 512).
    """
    megapixels = round(size[0] * size[1] / 1e6, 2)
    ratio = round(width / height, 2) or 0.01
    edge = _nearest(int(math.sqrt(megapixels * 1e6)), multiple)
    wide, high = _nearest(edge * math.sqrt(ratio), multiple), _nearest(edge / math.sqrt(ratio), multiple)
    if round(wide / high, 2) == 1.0:
        area = next(
            (area for name, area in _NAMED_AREAS.items() if abs(megapixels - name) < 0.05), megapixels * 1e6
        )
        wide = high = _nearest(math.sqrt(area), multiple)
    return wide, high


def _nearest(value: float, multiple: int) -> int:
    return max(round(value / multiple) * multiple, multiple)
