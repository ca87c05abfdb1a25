"""finetrainers: the longest bucket that a clip fills, with frames spread evenly over the whole clip.

Of the buckets with that number of frames it takes the nearest aspect ratio, then the tallest. A clip
shorter than every bucket is not lost: it keeps its own number of frames, which the model may not take and
which makes no batch with others. The picture is resized without keeping its aspect ratio, unless
`reshape_mode` says otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from tools.export import models
from tools.export.layouts import pairs
from tools.export.trainers.base import Captions, Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import (
    cropped,
    enlarged_warning,
    lost,
    played_speed,
    speed_warnings,
    stretch_warning,
)


class Finetrainers(Trainer):
    """a-r-r-o-w/finetrainers, `finetrainers/data/dataset.py` and `finetrainers/functional/video.py`."""

    name = "finetrainers"
    rule = Rule(
        "a-r-r-o-w/finetrainers",
        "f476c3717da6cbfb1070505a99ee989426b46d9c",
        "2025-06-04",
        ("finetrainers/data/dataset.py", "finetrainers/functional/video.py", "finetrainers/constants.py"),
    )
    models = (models.WAN_2_1, models.LTX_VIDEO, models.HUNYUANVIDEO, models.COGVIDEOX)
    options: ClassVar[dict[str, Any]] = {"reshape_mode": "bicubic", "video_resolution_buckets": None}
    extensions = (".mp4", ".mov")
    captions = Captions(by_line=True, required=False)
    layout_class = pairs.Finetrainers
    layout = "`a.mp4` with `a.txt`; or `prompts.txt` and `videos.txt`; or a Hugging Face video folder"
    drops = "files without a caption file; short clips keep an illegal number of frames"
    speed = "**changed with the clip's length**: frames are spread over the whole clip"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The bucket, and the frames spread over the clip."""
        if clip.caption is None:
            return lost("no caption", "files are found by their captions, and it has none", "write a caption")
        given = self.option(setup, "video_resolution_buckets")  # (frames, height, width), as in training.json
        shapes = given or [
            (frames, height, width) for width, height in setup.sizes for frames in setup.frames
        ]
        buckets = [Bucket(width, height, frames) for frames, height, width in shapes]
        bucket = _nearest(clip, buckets)
        mode = self.option(setup, "reshape_mode")
        if mode == "center_crop" and (clip.width < bucket.width or clip.height < bucket.height):
            text = f"{clip.width}x{clip.height} is smaller than {bucket.width}x{bucket.height}: an error"
            return lost("picture too small", text, "reshape_mode resize_crop")
        frames = min(bucket.frames, clip.num_frames)
        last = clip.num_frames - 1 if frames > 1 else 0
        speed = played_speed(0, last, frames, clip, setup.model.fps)
        share = 0.0 if mode == "bicubic" else cropped(clip, bucket.width, bucket.height)
        if mode == "center_crop":  # nothing is scaled
            share = 1 - bucket.width * bucket.height / (clip.width * clip.height)
        piece = Piece(replace(bucket, frames=frames), 0, last, frames, speed, share)
        found = [*speed_warnings([piece]), *enlarged_warning(clip, bucket.width, bucket.height)]
        if mode == "bicubic":
            found += stretch_warning(clip, bucket.width, bucket.height)
        if frames < bucket.frames:
            text = f"{frames} frames, fewer than every bucket: they are kept, in no batch with others"
            found.append(Reason("fewer frames", text, "leave it out, or add a shorter bucket"))
        if not clip.caption.strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        elif len(clip.caption.strip().splitlines()) > 1:
            text = "prompts.txt has one caption a line, so it would be several"
            found.append(Reason("caption of several lines", text, "join the lines"))
        return Judgement((piece,), warnings=tuple(found))

    def lengths(self, setup: Setup) -> list[int]:
        """Those of the buckets."""
        given = self.option(setup, "video_resolution_buckets")
        return [frames for frames, _, _ in given] if given else list(setup.frames)


def _nearest(clip: Clip, buckets: list[Bucket]) -> Bucket:
    short_enough = [bucket.frames for bucket in buckets if bucket.frames <= clip.num_frames]
    if short_enough:
        frames = max(short_enough)
    else:
        frames = min(buckets, key=lambda bucket: abs(bucket.frames - clip.num_frames)).frames
    ratio = clip.width / clip.height
    return min(
        (bucket for bucket in buckets if bucket.frames == frames),
        key=lambda bucket: (abs(bucket.width / bucket.height - ratio), -bucket.height, -bucket.width),
    )
