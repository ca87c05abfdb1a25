"""musubi-tuner: buckets of an area, one example for every target that a clip is long enough for.

Frame rates are converted only where `source_fps` is set, which is one value for a whole data set; otherwise
the frames of the file are taken as they are. Latents are cached with `enable_bucket` on and
`bucket_no_upscale` off, whatever the configuration says, so small pictures are always enlarged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import pairs
from tools.export.trainers.base import Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import (
    cropped,
    enlarged_warning,
    lost,
    played_speed,
    speed_warnings,
    too_short,
)

STEP = 16
"""Sides of buckets are multiples of it for every video model."""


class Musubi(Trainer):
    """kohya-ss/musubi-tuner, `VideoDataset` and `BucketSelector`."""

    name = "musubi"
    rule = Rule(
        "kohya-ss/musubi-tuner",
        "30c658c4f4b0bf05038b3346eff9670259b10fc7",
        "2026-06-24",
        tuple(
            f"src/musubi_tuner/dataset/{name}.py"
            for name in ("bucket", "media_utils", "image_video_dataset", "datasources", "config_utils")
        ),
    )
    models = (
        models.WAN_2_1,
        models.WAN_2_2_A14B,
        models.HUNYUANVIDEO,
        models.HUNYUANVIDEO_1_5,
        models.FRAMEPACK,
        models.KANDINSKY_5,
    )
    options: ClassVar[dict[str, Any]] = {
        "frame_extraction": "head",
        "frame_stride": 1,
        "frame_sample": 1,
        "max_frames": 129,
        "source_fps": None,
    }
    extensions = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".flv", ".wmv", ".m4v", ".mpg", ".mpeg")
    any_case = True
    layout_class = pairs.Musubi
    layout = "`a.mp4` with `a.txt` in one flat folder, or JSON Lines with `video_path`, `caption`"
    drops = "clips shorter than every target"
    speed = "unchanged, so too slow or too fast, unless `source_fps` is set (one value for a data set)"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """One piece for every place and target that `frame_extraction` finds in it."""
        if clip.caption is None:
            return lost(
                "no caption", "the caption file is missing, which ends caching with an error", "write one"
            )
        how = self.option(setup, "frame_extraction")
        if how == "uniform" and self.option(setup, "frame_sample") == 1:
            how = "head"
        targets = sorted({(frames - 1) // 4 * 4 + 1 for frames in setup.frames})
        shown = self._shown(clip, max(targets) if how == "head" else None, setup)
        places = list(self._places(how, len(shown), targets, setup))
        if not places:
            return too_short(len(shown), targets[0])
        area = setup.sizes[0][0] * setup.sizes[0][1]
        width, height = bucket_size(clip.width, clip.height, area)
        pieces = tuple(
            Piece(
                Bucket(width, height, frames),
                shown[start],
                shown[start + frames - 1],
                frames,
                played_speed(shown[start], shown[start + frames - 1], frames, clip, setup.model.fps),
                cropped(clip, width, height),
            )
            for start, frames in places
        )
        empty = (
            ()
            if clip.caption.strip()
            else (Reason("empty caption", "it is trained on with an empty prompt"),)
        )
        enlarged = enlarged_warning(clip, width, height)
        return Judgement(pieces, warnings=(*speed_warnings(pieces), *enlarged, *empty, *_several(pieces)))

    def splits_by_length(self, setup: Setup) -> bool:
        """In one data set a clip counts once for every target that it fills."""
        return self.option(setup, "frame_extraction") != "full"

    def _shown(self, clip: Clip, end: int | None, setup: Setup) -> Sequence[int]:
        """Numbers of the frames of the file that are read, up to frame `end` of the target rate.

        A slower file is not filled up: it keeps its frames, but fewer of them lie before `end`.
        """
        source = self.option(setup, "source_fps")
        if source is None or setup.model.fps is None:
            return range(clip.num_frames if end is None else min(end, clip.num_frames))
        shown, place, previous = [], 0.0, -1
        for number in range(clip.num_frames):
            target = int(place)
            place += setup.model.fps / source
            if target == previous:
                continue
            previous = target
            if end is not None and target >= end:
                break
            shown.append(number)
        return shown

    def _places(self, how: str, count: int, targets: list[int], setup: Setup) -> Iterator[tuple[int, int]]:
        """Start and length of every piece of a clip of which `count` frames are read."""
        if how == "full":
            frames = min(count, self.option(setup, "max_frames"))
            yield 0, (frames - 1) // 4 * 4 + 1
            return
        for frames in targets:
            spare = count - frames
            if spare < 0:
                continue
            if how == "head":
                yield 0, frames
            elif how == "chunk":
                yield from ((start, frames) for start in range(0, spare + 1, frames))
            elif how == "slide":
                yield from (
                    (start, frames) for start in range(0, spare + 1, self.option(setup, "frame_stride"))
                )
            elif how == "uniform":
                samples = self.option(setup, "frame_sample")
                yield from ((int(spare * place / (samples - 1)), frames) for place in range(samples))
            else:
                raise ValueError(f"frame_extraction {how!r}; choose from head, chunk, slide, uniform, full")


def bucket_size(width: int, height: int, area: int) -> tuple[int, int]:
    """The bucket of `area` pixels whose aspect ratio is nearest, as `BucketSelector` finds it."""
    return min(_buckets(area), key=lambda size: abs(size[0] / size[1] - width / height))


@lru_cache(maxsize=8)
def _buckets(area: int) -> list[tuple[int, int]]:
    """All buckets of `area` pixels, narrow ones first.

    Widths go from half the root of the area to the root, each with the height that fills the area, and both
    turned.
    """
    root = int(math.sqrt(area))
    buckets = set()
    for side in range(max(STEP, _down(root // 2)), root + STEP, STEP):
        other = _down(area // side)
        buckets |= {(side, other), (other, side)}
    return sorted(buckets)


def _down(value: int) -> int:
    return value - value % STEP


def _several(pieces: tuple[Piece, ...]) -> tuple[Reason, ...]:
    if len(pieces) == 1:
        return ()
    text = f"it gives {len(pieces)} examples, so it counts {len(pieces)} times"
    return (Reason("counted several times", text, "one target, or clips cut to it"),)
