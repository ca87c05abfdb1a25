"""The LTX-2 trainer of Lightricks: buckets said one by one, the first frames of a clip, its own frame rate.

Clips are filtered by the shortest bucket, then each takes the bucket of the nearest aspect ratio (of
logarithms) among those that it is long enough for; of equal ones the longer, then the larger. Latents of
several buckets do not stack, so several buckets need a batch size of 1. The loader leaves out the last
batch that is not full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import tables
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Dropped, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, enlarged_warning, too_short


class LTXTrainer(Trainer):
    """Lightricks/LTX-2, `packages/ltx-trainer`."""

    name = "ltx-trainer"
    rule = Rule(
        "Lightricks/LTX-2",
        "400fd31054597515f47125691032c04b1c3ee24e",
        "2026-08-16",
        tuple(
            f"packages/ltx-trainer/{name}"
            for name in (
                "scripts/process_videos.py",
                "scripts/process_captions.py",
                "src/ltx_trainer/video_utils.py",
                "src/ltx_trainer/trainer.py",
                "docs/dataset-preparation.md",
            )
        ),
    )
    # The frame rate of each clip is kept beside its latents.
    models = (replace(models.LTX_2, fps=None),)
    options: ClassVar[dict[str, Any]] = {"buckets": None}
    extensions = (".mp4", ".mov", ".mkv", ".avi", ".webm")
    any_case = True
    recursive = True
    captions = Captions(table=Table(("video", "media_path"), ("caption",)))
    layout_class = tables.LTXTrainer
    layout = "CSV, JSON or JSON Lines with `video`, `caption`"
    drops = "clips shorter than the shortest bucket; the last batch that is not full"
    speed = "unchanged: each clip's frame rate is kept beside it"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The bucket of the nearest aspect ratio among those that are short enough."""
        given = self.option(setup, "buckets")
        shapes = given or [(*size, frames) for size in setup.sizes for frames in setup.frames]
        buckets = [Bucket(width, height, frames) for width, height, frames in shapes]
        fitting = [bucket for bucket in buckets if bucket.frames <= clip.num_frames]
        if not fitting:
            return too_short(clip.num_frames, min(bucket.frames for bucket in buckets))

        def distance(bucket: Bucket) -> tuple[float, int, int]:
            ratio = abs(math.log(clip.width / clip.height) - math.log(bucket.width / bucket.height))
            return ratio, -bucket.frames, -bucket.width * bucket.height

        bucket = min(fitting, key=distance)
        share = cropped(clip, bucket.width, bucket.height)
        piece = Piece(bucket, 0, bucket.frames - 1, bucket.frames, cropped=share)
        found = enlarged_warning(clip, bucket.width, bucket.height)
        if not (clip.caption or "").strip():
            found += (Reason("empty caption", "there is no text for it", "write a caption, of sounds too"),)
        return Judgement((piece,), warnings=found)

    def lengths(self, setup: Setup) -> list[int]:
        """Those of the buckets."""
        given = self.option(setup, "buckets")
        return [frames for _, _, frames in given] if given else list(setup.frames)

    def one_length(self, setup: Setup) -> str:
        """Latents of several buckets do not stack."""
        return "" if setup.batch_size == 1 else "several buckets need --batch-size 1"

    def dropped(self, counts: Mapping[Bucket, int], setup: Setup) -> dict[Bucket, Dropped]:
        """The rest of the one bucket, or all where several buckets are to make one batch."""
        if setup.batch_size == 1:
            return {}
        if len(counts) > 1:
            text = f"{len(counts)} buckets cannot make batches of {setup.batch_size}: their shapes differ"
            reason = Reason("several buckets in a batch", text, "batch_size 1, or one bucket")
            return {bucket: Dropped(count, reason, ends_training=True) for bucket, count in counts.items()}
        found = {}
        for bucket, count in counts.items():
            over = count % setup.batch_size
            if over:
                kind = "bucket smaller than batch" if count < setup.batch_size else "rest of bucket"
                text = f"{count} examples in batches of {setup.batch_size}, others left out in each epoch"
                found[bucket] = Dropped(over, Reason(kind, text))
        return found
