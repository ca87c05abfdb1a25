"""What Mochi 1's fine-tuner does with clips.

Worked by hand from demos/fine_tuner of genmoai/mochi, commit 0c86aeb: preprocess.bash asks for
`printf "%.1f"` of num_frames / 30 + 0.09 seconds, trim_and_crop_videos.py skips what is shorter or smaller.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.judgement import Bucket
from tools.export.trainers.mochi import Mochi

TRAINER = Mochi()
judge = judging(TRAINER, "mochi-1")


@pytest.mark.parametrize(
    ("frames", "fps", "num_frames", "used"),
    [
        (37, 30, 39, True),  # 1.3 s
        (37, 30, 38, False),  # 1.27 s, although 37 frames are asked for
        (85, 30, 87, True),  # 2.9 s
        (85, 30, 86, False),
        (25, 30, 27, True),  # 0.9 s
        (37, 24, 32, True),  # 1.33 s
        (37, 24, 31, False),
    ],
)
def test_a_clip_must_be_longer_than_its_frames(frames, fps, num_frames, used):
    judgement = judge(clip(848, 480, num_frames, fps), frames=(frames,))
    assert bool(judgement.pieces) == used
    if not used:
        assert judgement.loss.kind == "too short"


def test_pictures_are_never_enlarged():
    assert judge(clip(846, 480, 200, 30)).loss.kind == "picture too small"
    assert judge(clip(1920, 478, 200, 30)).loss.kind == "picture too small"
    assert judge(clip(720, 1280, 200, 30)).loss.kind == "picture too small"


def test_resampled_to_30_fps():
    (piece,) = judge(clip(1920, 1080, 300, 60), frames=(37,)).pieces
    assert (piece.bucket, piece.last, piece.speed) == (Bucket(848, 480, 37), 72, 1)
    judgement = judge(clip(848, 480, 100, 15), frames=(37,))
    assert (judgement.pieces[0].last, judgement.pieces[0].frames_used) == (18, 19)
    assert kinds(judgement) == ["frames repeated"]


def test_cropped_at_the_sides():
    (piece,) = judge(clip(1920, 1080, 100, 30)).pieces
    assert piece.cropped == pytest.approx(1 - (848 / 480) / (16 / 9))


def test_the_folder_itself():
    assert TRAINER.reads(["a.mp4", "b.MOV", "c/d.mp4", "e.webm"]) == ["a.mp4", "b.MOV"]
