"""The file to write for a clip, so that a trainer uses it whole, at its speed, and crops nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tools.export.explain import judge
from tools.export.trainers.base import Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Reason, unusable

_TRIES = 4
"""A cropped picture may come to another bucket; so it is cropped again, this often at most."""


@dataclass(frozen=True)
class Target:
    """A file to write.

    Attributes:
        width: Pixels, even. Never more than the clip has.
        height: Pixels, likewise.
        num_frames: Frames at `fps`.
        fps: Frames per second.
        bucket: What the trainer makes of it; of several pieces the longest, then the largest.
    """

    width: int
    height: int
    num_frames: int
    fps: float
    bucket: Bucket


def target(clip: Clip, trainer: Trainer, setup: Setup) -> Target | Reason:
    """What to write for a clip: the longest piece that the trainer's configuration has room for.

    It is resampled to the model's frame rate, cropped to the aspect ratio of its bucket, and scaled down to
    it. A picture smaller than its bucket is cropped alone, as what enlarges it is the trainer.

    Captions are not looked at: those that a trainer refuses (`Trainer.judge`) are for the user to fix.

    Returns:
        The file, or why there is none that the trainer would use.
    """
    reason = unusable(clip)
    if reason:
        return reason
    if clip.width < 2 or clip.height < 2:
        return Reason("picture too small", f"{clip.width}x{clip.height} cannot be encoded")
    fps = trainer.rate(clip, setup)
    there = trainer.frames_there(clip, setup)
    lengths = sorted({length for length in trainer.lengths(setup) if length > 1}, reverse=True)
    need = [(length, trainer.frames_for(length, setup)) for length in lengths]
    if not need:  # a format that takes everything
        need = [(there, there)]
    fitting = [pair for pair in need if pair[1] <= there]
    if not fitting:
        least = min(frames for _, frames in need)
        return Reason(
            "too short", f"{there} frames at {fps:g} fps, {least} needed", "a smaller number of frames"
        )
    written = replace(clip, num_frames=fitting[0][1], fps=fps, caption=clip.caption or "-")
    return _sized(clip, written, trainer, setup)


def fitting_size(clip: Clip, trainer: Trainer, setup: Setup) -> tuple[int, int] | None:
    """The largest size of the configuration's first aspect ratio of which a clip fills the bucket.

    Args:
        clip: One that is smaller than its bucket.
        trainer: Who reads it.
        setup: How one trains.

    Returns:
        Width and height for the configuration, or None: there is no size for so small a picture.
    """
    # Numbers of frames are chosen anew for other sizes, so this clip is given one that it has.
    frames = setup.model.frames.longest(trainer.frames_there(clip, setup))
    if frames is None:
        return None
    setup = replace(setup, frames=(frames,))
    width, height = setup.sizes[0]
    step = setup.model.multiple
    # Buckets are rounded, so one of a few more pixels than the clip has may fit it.
    most = math.isqrt(clip.width * clip.height * width // height) * 5 // 4 + step
    for wide in range(min(width, most) // step, 0, -1):
        size = wide * step, max(1, round(wide * height / width)) * step
        found = target(clip, trainer, replace(setup, sizes=(size,)))
        if (
            isinstance(found, Target)
            and found.bucket.width <= clip.width
            and found.bucket.height <= clip.height
        ):
            return size
    return None


def _sized(clip: Clip, written: Clip, trainer: Trainer, setup: Setup) -> Target | Reason:
    """Crops the picture to the bucket that the trainer finds, until it finds the same again.

    SimpleTuner rounds aspect ratios before it rounds sizes, and ai-toolkit rounds the sides of small
    pictures up or down, so some pictures have no such bucket; the trainer crops a few hundredths of them
    itself.
    """
    bucket = _bucket(written, trainer, setup)
    for _ in range(_TRIES):
        if isinstance(bucket, Reason):
            return bucket
        before = bucket.width, bucket.height
        width, height = _size(clip, bucket)
        written = replace(written, width=width, height=height)
        bucket = _bucket(written, trainer, setup)
        if isinstance(bucket, Bucket) and (bucket.width, bucket.height) == before:
            break
    if isinstance(bucket, Reason):
        return bucket
    return Target(written.width, written.height, written.num_frames, written.fps, bucket)


def _bucket(written: Clip, trainer: Trainer, setup: Setup) -> Bucket | Reason:
    """Of the pieces of a clip the longest, then the largest, or why there is none."""
    judgement = judge(written, trainer, setup)
    if judgement.loss:
        return judgement.loss
    return max((piece.bucket for piece in judgement.pieces), key=_longest_then_largest)


def _longest_then_largest(bucket: Bucket) -> tuple[int, int]:
    return bucket.frames, bucket.width * bucket.height


def _size(clip: Clip, bucket: Bucket) -> tuple[int, int]:
    """The bucket's size, or where the clip is smaller its largest part of the same aspect ratio."""
    if bucket.width <= clip.width and bucket.height <= clip.height:
        return bucket.width, bucket.height
    width = min(clip.width, clip.height * bucket.width / bucket.height)
    height = min(clip.height, clip.width * bucket.height / bucket.width)
    return max(2, int(width) // 2 * 2), max(2, int(height) // 2 * 2)
