"""CogVideoX's own fine-tuning: every n-th frame with a whole stride, stretched to one size.

A clip shorter than asked for is filled up with its last frame. Blank lines of `prompts.txt` are left out,
so an empty caption, or one of several lines, makes the numbers of prompts and videos differ, which ends
training.
"""

from __future__ import annotations

from tools.export import models
from tools.export.layouts import folders
from tools.export.trainers.base import Captions, Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import (
    enlarged_warning,
    lost,
    played_speed,
    speed_warnings,
    stretch_warning,
)


class CogVideoX(Trainer):
    """THUDM/CogVideo, `finetune/datasets`."""

    name = "cogvideo"
    rule = Rule(
        "THUDM/CogVideo",
        "e519eced782c08db81f45e5eb40baa45958087ae",
        "2025-05-14",
        ("finetune/datasets/utils.py", "finetune/datasets/t2v_dataset.py", "finetune/schemas/args.py"),
    )
    models = (models.COGVIDEOX, models.COGVIDEOX_1_5)
    several_lengths = False
    extensions = (".mp4", ".avi", ".mov", ".mkv", ".webm")
    any_case = True
    recursive = True
    captions = Captions(by_line=True)
    layout_class = folders.CogVideoX
    layout = "`prompts.txt` and `videos.txt`, one line a clip"
    drops = "nothing; an empty caption, or one of several lines, ends training"
    speed = "**changed with the clip's length**: every n-th frame, n = its frames // `num_frames`"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The stride that its length allows, from the first frame."""
        lines = [line for line in (clip.caption or "").splitlines() if line.strip()]
        if not lines:
            text = "a blank line of prompts.txt is no prompt, and fewer prompts than videos end training"
            return lost("no caption", text, "write a caption")
        frames = setup.frames[0]
        stride = max(clip.num_frames // frames, 1)
        used = min(frames, clip.num_frames)
        last = (used - 1) * stride
        width, height = setup.sizes[0]
        speed = played_speed(0, last, used, clip, setup.model.fps)
        piece = Piece(Bucket(width, height, frames), 0, last, used, speed)
        found = [
            *speed_warnings([piece]),
            *stretch_warning(clip, width, height),
            *enlarged_warning(clip, width, height),
        ]
        if used < frames:
            text = f"{clip.num_frames} frames are filled up to {frames} with the last one: it stands still"
            found.append(Reason("frames repeated", text, "leave it out"))
        if len(lines) > 1:
            text = f"{len(lines)} lines are {len(lines)} prompts, more than videos, which ends training"
            found.append(Reason("caption of several lines", text, "join the lines"))
        return Judgement((piece,), warnings=tuple(found))
