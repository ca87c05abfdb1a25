"""Cosmos-Predict2.5 post-training: 93 frames from a random start, in one size.

A clip of exactly 93 frames is never trained on: the start is drawn below 93 - 93, which is an error; it is
caught, and another clip is drawn in its place, as for shorter ones. So a clip needs 94 frames, and its last
frame is never shown. The picture is resized without keeping its aspect ratio.
"""

from __future__ import annotations

from tools.export import models
from tools.export.layouts import folders
from tools.export.trainers.base import Captions, Rule, Setup, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason
from tools.export.trainers.reasons import enlarged_warning, lost, stretch_warning


class Cosmos(Trainer):
    """nvidia-cosmos/cosmos-predict2.5, `local_datasets/dataset_video.py`."""

    name = "cosmos"
    rule = Rule(
        "nvidia-cosmos/cosmos-predict2.5",
        "50369b8dba911cd5c49a3ca97f247718ebf5276e",
        "2025-10-06",
        (
            "cosmos_predict2/_src/predict2/datasets/local_datasets/dataset_video.py",
            "cosmos_predict2/_src/predict2/datasets/local_datasets/dataset_utils.py",
            "docs/post-training_video2world_cosmos_nemo_assets.md",
        ),
    )
    models = (models.COSMOS_PREDICT_2_5,)
    several_lengths = False
    folder = "videos"
    captions = Captions(folder="metas")
    layout_class = folders.Cosmos
    layout = "`videos/a.mp4` with `metas/a.txt`"
    drops = "**clips of 93 frames and fewer: another clip is drawn in their place**"
    speed = "unchanged; the frame rate is given to the model"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """As many frames as the setup says, from a start that may be drawn."""
        frames = setup.frames[0]
        replaced = "another clip is drawn in its place"
        if clip.num_frames < frames:
            return lost(
                "too short", f"{clip.num_frames} frames, {frames + 1} needed: {replaced}", "longer clips"
            )
        if clip.num_frames == frames:
            text = f"exactly {frames} frames leave no start to draw, which is an error: {replaced}"
            return lost("no start to draw", text, f"clips of {frames + 1} frames or more")
        width, height = setup.sizes[0]
        # The last start that is drawn is num_frames - frames - 1.
        piece = Piece(Bucket(width, height, frames), 0, clip.num_frames - 2, frames, drawn=frames)
        found = [*stretch_warning(clip, width, height), *enlarged_warning(clip, width, height)]
        if not (clip.caption or "").strip():
            found.append(Reason("empty caption", "it is trained on with an empty prompt", "write a caption"))
        return Judgement((piece,), warnings=tuple(found))

    def frames_for(self, length: int, setup: Setup) -> int:
        """One more, so that there is a start to draw."""
        del setup
        return length + 1
