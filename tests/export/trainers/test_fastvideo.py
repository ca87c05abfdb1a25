"""What FastVideo does with clips.

Which clips are kept came from its own `PreprocessingDataValidator`, run outside this repository with
num_frames 77, train_fps 16, video_length_tolerance_range 2 and drop_short_ratio 1: hao-ai-lab/FastVideo,
commit 2f3d407, fastvideo/workflow/preprocess/components.py.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.fastvideo import FastVideo
from tools.export.trainers.judgement import Bucket

TRAINER = FastVideo()
judge = judging(TRAINER, "wan2.1")


@pytest.mark.parametrize(
    ("caption", "fps", "num_frames", "kept"),
    [
        ("A dog.", 16, 77, True),
        ("A dog.", 16, 76, False),
        ("A dog.", 30, 143, True),
        ("A dog.", 25, 119, True),
        ("A dog.", 24, 115, True),
        ("A dog.", 24, 114, False),
        ("A dog.", 23.976, 114, True),
        ("A dog.", 16, 154, True),
        ("A dog.", 16, 155, False),
        ("", 16, 80, False),
        (" ", 16, 80, True),
        (None, 16, 80, False),
        ("A dog.", 8, 39, True),
        ("A dog.", 8, 38, False),
    ],
)
def test_the_validator(caption, fps, num_frames, kept):
    judgement = judge(clip(num_frames=num_frames, fps=fps, caption=caption), frames=(77,))
    assert bool(judgement.pieces) == kept


def test_why_it_drops():
    assert judge(clip(num_frames=163)).loss.kind == "too long"  # 10.19 s, and 2 * 81 / 16 = 10.125
    assert judge(clip(num_frames=80)).loss.kind == "too short"
    assert judge(clip(caption="")).loss.kind == "no caption"
    assert judge(clip(num_frames=300), options={"video_length_tolerance_range": 5}).pieces


def test_the_first_frames_at_the_rate_of_the_training():
    (piece,) = judge(clip(num_frames=160, fps=30)).pieces
    # numpy.arange(0, 160, 1.875).astype(int)[:81] ends at int(80 * 1.875)
    assert (piece.first, piece.last, piece.frames_used) == (0, 150, 81)
    assert piece.speed == pytest.approx(1)
    assert piece.bucket == Bucket(832, 480, 81)


def test_a_slow_clip_repeats_frames():
    assert kinds(judge(clip(num_frames=41, fps=8))) == ["frames repeated"]


def test_mp4_in_lower_case():
    assert TRAINER.reads(["videos/a.mp4", "videos/b.MP4", "c.mp4"]) == ["videos/a.mp4"]
