"""Open-Sora 2.0: every n-th frame, classes of resolution, nine aspect ratios and their turns.

Above `fps_max` frames are skipped by a whole stride: 25 fps are taken for 12, and the prompt says so. The
largest class is tried first of those of which the picture has 0.8 of the pixels; in it the longest number
of frames that is there. A clip that fits in none has no batch, without a word. The last batch of a bucket
that is not full is left out.

The rule is that of buckets with a probability of 1, as in `configs/diffusion/train/stage1.py` for videos.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import tables
from tools.export.models import Model
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, lost, played_speed, speed_warnings

_RATIOS = ((2.39, 1), (2, 1), (16, 9), (1.85, 1), (9, 16), (5, 8), (3, 2), (4, 3), (1, 1))
"""Width to height, as `ASPECT_RATIO_LD_LIST` has them."""

_MULTIPLE = 16


class OpenSora(Trainer):
    """hpcaitech/Open-Sora, `opensora/datasets`."""

    name = "open-sora"
    rule = Rule(
        "hpcaitech/Open-Sora",
        "7ad6a96a135feb81f755c84fb391818718f6beb2",
        "2026-04-09",
        (
            *(
                f"opensora/datasets/{name}.py"
                for name in ("bucket", "aspect", "utils", "datasets", "sampler")
            ),
            "opensora/datasets/video_transforms.py",
            "scripts/diffusion/train.py",
            "configs/diffusion/train/stage1.py",
        ),
    )
    models = (models.OPEN_SORA_2,)
    most_lengths = None  # as in stage1.py
    # bucket_config is {256: frames, 768: frames} for classes that differ in their numbers of frames.
    options: ClassVar[dict[str, Any]] = {"fps_max": 24, "bucket_config": None}
    extensions = (".mp4", ".avi", ".mov", ".mkv", ".webm")
    any_case = True
    recursive = True
    captions = Captions(table=Table(("path",), ("text",)))
    layout_class = tables.OpenSora
    layout = "CSV or Parquet with `path`, `text`, `num_frames`, `height`, `width`, `fps`"
    drops = (
        "clips below 0.8 of the smallest class's pixels or shorter than 5 frames; batches that are not full"
    )
    speed = "above 24 fps every n-th frame: **25 fps become 12**; the prompt says the rate"

    def setup(self, model: Model, **settings: Any) -> Setup:
        """All the lengths of `stage1.py` where none are given."""
        rule = model.frames
        settings.setdefault("frames", tuple(range(rule.least, rule.most + 1, rule.step)))
        return super().setup(model, **settings)

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The largest class, in it the longest length, in it the nearest aspect ratio."""
        most = self.option(setup, "fps_max")
        stride = 1 if clip.fps < most else math.ceil(clip.fps / most)
        told = clip.fps if clip.fps < most else math.floor(clip.fps / stride)
        there = clip.num_frames // stride
        classes = self._classes(setup)
        large_enough = [area for area in classes if clip.width * clip.height >= 0.8 * area]
        if not large_enough:
            text = f"{clip.width}x{clip.height}, 0.8 of {math.isqrt(min(classes))}px needed"
            return lost("picture too small", text, "a smaller class of resolution")
        # A bucket of one frame takes what has one frame, and nothing else.
        lengths = {
            area: [n for n in classes[area] if n <= there and (n > 1 or there == 1)] for area in large_enough
        }
        found = [(area, max(lengths[area])) for area in large_enough if lengths[area]]
        if not found:
            least = min(frames for area in large_enough for frames in classes[area] if frames > 1)
            text = f"{there} frames ({clip.num_frames} at a stride of {stride}), {least} needed"
            return lost("too short", text, "longer clips")
        area, frames = found[0]
        width, height = bucket_size(clip.width, clip.height, area)
        window = frames * stride
        start = max(0, clip.num_frames - window - 1)  # the last one that is drawn
        reach = min(window, clip.num_frames) - 1
        speed = played_speed(0, reach, frames, clip, told)
        share = cropped(clip, width, height)
        shape = Bucket(width, height, frames)
        last = min(start + reach, clip.num_frames - 1)
        piece = Piece(shape, 0, last, frames, speed, share, reach + 1 if start else 0)
        warnings = [*speed_warnings([piece])]
        if stride > 1:
            text = f"{clip.fps:g} fps are above {most}: frame 1 of {stride}, {told} FPS in the prompt"
            warnings.append(Reason("frames skipped", text, f"resample the clip to {most} fps or less"))
        if not (clip.caption or "").strip():
            warnings.append(Reason("empty caption", "its prompt is the frame rate alone", "write a caption"))
        return Judgement((piece,), warnings=tuple(warnings))

    def lengths(self, setup: Setup) -> list[int]:
        """Those of all classes."""
        return sorted({frames for lengths in self._classes(setup).values() for frames in lengths})

    def rate(self, clip: Clip, setup: Setup) -> float:
        """The clip's, which the prompt says, but no more than is sampled whole."""
        return min(clip.fps, self.option(setup, "fps_max"))

    def _classes(self, setup: Setup) -> dict[int, tuple[int, ...]]:
        """Pixels of each class, largest first, and its numbers of frames."""
        given = self.option(setup, "bucket_config")
        classes = given or {math.isqrt(width * height): setup.frames for width, height in setup.sizes}
        return {side**2: tuple(frames) for side, frames in sorted(classes.items(), reverse=True)}

    def dropped(self, counts: Mapping[Bucket, int], setup: Setup) -> dict[Bucket, Dropped]:
        """What is over a multiple of one GPU's batch. Whole batches too few for all GPUs go as well."""
        batch = setup.batch_size
        found = {}
        for bucket, count in counts.items():
            over = count % batch
            if over:
                kind = "bucket smaller than batch" if count < batch else "rest of bucket"
                found[bucket] = Dropped(
                    over, Reason(kind, f"{count} examples in batches of {batch}", "a smaller batch")
                )
        return found


def bucket_size(width: int, height: int, area: int) -> tuple[int, int]:
    """The size of about `area` pixels whose name's aspect ratio is nearest in height / width."""
    ratios: dict[float, tuple[int, int]] = {}
    turned: dict[float, tuple[int, int]] = {}
    for wide, high in _RATIOS:
        size = _near_area(wide / high, area)
        if size not in ratios.values():
            ratios[high / wide] = size
            turned[wide / high] = (size[1], size[0])
    # Names in both lists, such as 9:16, have the size of the second.
    sizes = {**ratios, **turned}
    return sizes[min(sizes, key=lambda ratio: abs(height / width - ratio))]


def _near_area(ratio: float, area: int) -> tuple[int, int]:
    """Sides in multiples of 16, one of them moved by 16 if that brings the area nearer."""
    width = int(math.sqrt(area * ratio) // _MULTIPLE) * _MULTIPLE
    height = int((area / width) // _MULTIPLE) * _MULTIPLE
    best = (width, height)
    for size in (
        (width, height - _MULTIPLE),
        (width, height + _MULTIPLE),
        (width - _MULTIPLE, height),
        (width + _MULTIPLE, height),
    ):
        if abs(size[0] * size[1] - area) < abs(best[0] * best[1] - area):
            best = size
    return best
