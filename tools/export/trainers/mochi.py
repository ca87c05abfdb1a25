"""Mochi 1's fine-tuner: videos are first cut to a duration, at 30 fps and 848x480, then encoded.

The duration is `num_frames` / 30 + 0.09 seconds, rounded to one decimal: 1.3 s for 37 frames, which are 39
frames at 30 fps. Shorter clips, and pictures smaller than 848x480, are skipped with a line. Training reads
the folder itself alone, although preparing looks into folders of it too.
"""

from __future__ import annotations

import math

from tools.export import models
from tools.export.layouts import pairs
from tools.export.trainers.base import Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import cropped, lost

FPS = 30


class Mochi(Trainer):
    """genmoai/mochi, `demos/fine_tuner`."""

    name = "mochi"
    rule = Rule(
        "genmoai/mochi",
        "0c86aebf386e6622deadfb47ff1996878cefc0ac",
        "2025-11-13",
        tuple(
            f"demos/fine_tuner/{name}"
            for name in (
                "preprocess.bash",
                "trim_and_crop_videos.py",
                "encode_videos.py",
                "train.py",
                "README.md",
            )
        ),
    )
    models = (models.MOCHI_1,)
    several_lengths = False
    extensions = (".mp4", ".mov")
    any_case = True
    layout_class = pairs.Mochi
    layout = "`a.mp4` with `a.txt` in one flat folder"
    drops = "clips shorter than `num_frames` / 30 + 0.09 s, pictures smaller than 848x480"
    speed = "resampled to 30 fps"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The first frames at 30 fps of a clip that is long and large enough."""
        frames, (width, height) = setup.frames[0], setup.sizes[0]
        duration = _duration(frames)
        if clip.seconds < duration:
            need = math.ceil(duration * clip.fps)
            text = f"{clip.seconds:.2f} s, {duration:g} s needed ({need} frames at {clip.fps:g} fps)"
            return lost("too short", text, "longer clips, or a smaller num_frames")
        if width > clip.width or height > clip.height:
            text = f"{clip.width}x{clip.height} is smaller than {width}x{height}"
            return lost("picture too small", text, "nothing: it is never enlarged")
        step = clip.fps / FPS
        numbers = [min(int(number * step + 1e-6), clip.num_frames - 1) for number in range(frames)]
        used = len(set(numbers))
        share = cropped(clip, width, height)
        piece = Piece(Bucket(width, height, frames), 0, numbers[-1], used, cropped=share)
        found = []
        if used < frames:
            found.append(Reason("frames repeated", f"{used} frames become {frames} at {FPS} fps"))
        if not (clip.caption or "").strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def frames_for(self, length: int, setup: Setup) -> int:
        """As many as last for the duration that it cuts to."""
        del setup
        return math.ceil(_duration(length) * FPS - 1e-6)


def _duration(frames: int) -> float:
    """Seconds that a clip must have for a piece of so many frames."""
    return float(f"{frames / FPS + 0.09:.1f}")
