"""diffusion-pipe: frames at the model's rate, buckets of aspect ratios and frames, batches rounded down.

A video is counted in frames of the model's rate, put into the nearest aspect ratio (of logarithms) and the
longest frame bucket that it fills; every resolution of the configuration trains on it. A bucket is cut to a
multiple of the batch over all GPUs, and one that is smaller than that is left out whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import pairs
from tools.export.models import FrameRule, Model
from tools.export.trainers.base import Captions, Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, enlarged_warning, lost, played_speed, speed_warnings


class DiffusionPipe(Trainer):
    """tdrussell/diffusion-pipe, `utils/dataset.py` and `models/base.py`."""

    name = "diffusion-pipe"
    rule = Rule(
        "tdrussell/diffusion-pipe",
        "8f83dbf25d03219df705570ec03e62be04bc402f",
        "2026-08-20",
        (
            "utils/dataset.py",
            "utils/common.py",
            "models/base.py",
            "models/wan/wan.py",
            "models/minimax_h3.py",
            "models/ltx2.py",
        ),
    )
    models = (
        models.WAN_2_1,
        models.WAN_2_2_A14B,
        models.WAN_2_2_5B,
        models.HUNYUANVIDEO,
        models.HUNYUANVIDEO_1_5,
        replace(models.LTX_VIDEO, sound=False),
        replace(models.LTX_2, sound=False),
        replace(models.MINIMAX_H3, frames=FrameRule(17, 0, 17, 136)),
    )
    options: ClassVar[dict[str, Any]] = {
        "min_ar": 0.5,
        "max_ar": 2.0,
        "num_ar_buckets": 7,
        "ar_buckets": None,
        "size_buckets": None,
        "num_repeats": 1,
        "skip_empty_caption": True,
        "video_clip_mode": "single_beginning",
    }
    # Of the many that imageio lists as video, those that users have.
    extensions = (
        ".tar",
        ".mp4",
        ".mov",
        ".mkv",
        ".avi",
        ".webm",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".gif",
    )
    any_case = True
    captions = Captions(by_name="captions.json")
    layout_class = pairs.DiffusionPipe
    layout = "`a.mp4` with `a.txt`, or `captions.json`; one flat folder"
    drops = "clips without a caption file, shorter than every frame bucket, what fills no batch of all GPUs"
    speed = "resampled to the model's frame rate"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """Nearest aspect ratio, longest frame bucket, once for every resolution."""
        if clip.caption is None and self.option(setup, "skip_empty_caption"):
            return lost(
                "no caption", "there is no caption file, and skip_empty_caption is on", "write a caption"
            )
        fps = setup.model.fps or clip.fps
        frames = int(clip.num_frames * fps / clip.fps)
        find = self._size_buckets if self.option(setup, "size_buckets") else self._ar_buckets
        buckets = find(clip, frames, setup)
        if not buckets:
            least = min((length for length in self.lengths(setup) if length > 1), default=1)
            text = f"{frames} frames at {fps:g} fps ({clip.num_frames} at {clip.fps:g}), {least} needed"
            return lost(
                "too short", text, f"a frame bucket of {setup.model.frames.longest(frames) or 'fewer'} frames"
            )
        pieces = tuple(self._piece(clip, frames, fps, bucket, setup) for bucket in buckets)
        return Judgement(pieces, warnings=self._warnings(clip, frames, pieces, setup))

    def dropped(self, counts: Mapping[Bucket, int], setup: Setup) -> dict[Bucket, Dropped]:
        """What is over a multiple of the batch of all GPUs; of a smaller bucket all."""
        batch = setup.global_batch
        repeats = self.option(setup, "num_repeats")
        found: dict[Bucket, Dropped] = {}
        for bucket, count in counts.items():
            # A bucket counts num_repeats times; what is cut off is given in clips' worth, rounded up.
            total = int(count * repeats)
            over = total % batch
            if over:
                kind = "bucket smaller than batch" if total < batch else "rest of bucket"
                text = f"{total} examples in batches of {batch}"
                remedy = "more clips of this shape, a smaller batch or num_repeats" if total < batch else ""
                found[bucket] = Dropped(min(count, math.ceil(over / repeats)), Reason(kind, text, remedy))
        return found

    def _ar_buckets(self, clip: Clip, frames: int, setup: Setup) -> list[Bucket]:
        length = _longest(frames, self.lengths(setup))
        if length is None:
            return []
        ratio = min(self._ratios(setup), key=lambda ratio: _distance(clip, ratio))
        multiple = _bucket_multiple(setup.model)
        sides = sorted({round(math.sqrt(width * height), 3) for width, height in setup.sizes})
        found = []
        for side in sides:
            wide = math.sqrt(side**2 * ratio)
            width, height = _nearest(wide, multiple), _nearest(side**2 / wide, multiple)
            found.append(Bucket(width, height, length, f"ar {ratio:g}"))
        return found

    def _size_buckets(self, clip: Clip, frames: int, setup: Setup) -> list[Bucket]:
        """The bucket that the loader takes, which is not always the nearest one.

        It sorts the buckets by length and their ratios, each counted once, by size, and then takes the
        places of the ratios for places of the buckets.
        """
        buckets = sorted(self.option(setup, "size_buckets"), key=lambda size: -size[2])
        ratios = sorted({round(width / height, 3) for width, height, _ in buckets})
        places = sorted(range(len(ratios)), key=lambda place: _distance(clip, ratios[place]))
        for place in places:
            width, height, length = buckets[place]
            if length <= frames and (length > 1 or frames == 1):
                return [Bucket(width, height, length)]
        return []

    def lengths(self, setup: Setup) -> list[int]:
        """The frame buckets, or the lengths of the size buckets."""
        sizes = self.option(setup, "size_buckets")
        # There is always a bucket for images, of one frame.
        return [size[2] for size in sizes] if sizes else sorted({1, *setup.frames})

    def _ratios(self, setup: Setup) -> list[float]:
        given = self.option(setup, "ar_buckets")
        if given:
            ratios = [ratio[0] / ratio[1] if isinstance(ratio, (list, tuple)) else ratio for ratio in given]
        else:
            low, high, count = (self.option(setup, name) for name in ("min_ar", "max_ar", "num_ar_buckets"))
            steps = max(count - 1, 1)
            ratios = [low * (high / low) ** (step / steps) for step in range(count)]
        return sorted({round(ratio, 3) for ratio in ratios})

    def _piece(self, clip: Clip, frames: int, fps: float, bucket: Bucket, setup: Setup) -> Piece:
        rule, multiple = setup.model.frames, setup.model.multiple
        # What is encoded is aligned once more: 80 frames of a bucket are 77 to a model of 4k + 1.
        length = max(bucket.frames - (bucket.frames - rule.rest) % rule.step, 1)
        width, height = _nearest(bucket.width, multiple), _nearest(bucket.height, multiple)
        start = (frames - length) // 2 if self.option(setup, "video_clip_mode") == "single_middle" else 0
        step = (clip.num_frames - 1) / max(frames - 1, 1)
        first, last = int(start * step), int((start + length - 1) * step)
        shape = replace(bucket, width=width, height=height, frames=length)
        used = min(length, last - first + 1)
        speed = played_speed(first, last, length, clip, fps)
        return Piece(shape, first, last, used, speed, cropped(clip, width, height))

    def _warnings(
        self, clip: Clip, frames: int, pieces: tuple[Piece, ...], setup: Setup
    ) -> tuple[Reason, ...]:
        found = [*speed_warnings(pieces)]
        found += self._not_nearest(clip, pieces, setup)
        if frames > clip.num_frames:
            text = f"{clip.num_frames} frames become {frames} by repeating some"
            found.append(Reason("frames repeated", text, "a source with more frames per second"))
        if not (clip.caption or "").strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        largest = max(pieces, key=lambda piece: piece.bucket.width * piece.bucket.height).bucket
        return (*found, *enlarged_warning(clip, largest.width, largest.height))

    def _not_nearest(self, clip: Clip, pieces: tuple[Piece, ...], setup: Setup) -> list[Reason]:
        taken = pieces[0].bucket
        fitting = [
            size for size in self.option(setup, "size_buckets") or () if size[2] <= max(taken.frames, 1)
        ]
        if not fitting:
            return []
        width, height, _ = min(fitting, key=lambda size: _distance(clip, size[0] / size[1]))
        if _distance(clip, width / height) >= _distance(clip, taken.width / taken.height) - 1e-3:
            return []
        text = f"it goes to {taken.width}x{taken.height}, although {width}x{height} is nearer"
        return [
            Reason(
                "not the nearest bucket",
                text,
                "size_buckets of different shapes only, narrowest and longest first",
            )
        ]


def _distance(clip: Clip, ratio: float) -> float:
    return abs(math.log(clip.width / clip.height) - math.log(ratio))


def _longest(frames: int, lengths: list[int]) -> int | None:
    """The longest bucket that `frames` frames fill; a video of several frames is never taken for an image."""
    longest = max((length for length in lengths if length <= frames), default=None)
    return None if longest == 1 and frames > 1 else longest


def _nearest(value: float, multiple: int) -> int:
    # Half to even, as Python rounds there too.
    return int(round(value / multiple) * multiple)


def _bucket_multiple(model: Model) -> int:
    """What buckets are rounded to, before the picture is fitted to the model's own multiple.

    `pixels_round_to_multiple` is 32 for Wan 2.2 5B and LTX-Video alone; LTX-2 and MiniMax-H3 keep 16.
    """
    return 32 if model.name in ("wan2.2-5b", "ltx-video") else 16
