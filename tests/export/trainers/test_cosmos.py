"""What Cosmos-Predict2.5 does with clips.

Worked by hand from `VideoDataset._load_video` of nvidia-cosmos/cosmos-predict2.5, commit 50369b8: the start
is numpy.random.randint(0, frames - 93), which refuses 0.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.cosmos import Cosmos
from tools.export.trainers.judgement import Bucket

TRAINER = Cosmos()
judge = judging(TRAINER, "cosmos-predict2.5")


def test_a_clip_of_exactly_93_frames_is_never_trained_on():
    judgement = judge(clip(num_frames=93))
    assert (judgement.pieces, judgement.loss.kind) == ((), "no start to draw")
    assert judgement.loss.remedy == "clips of 94 frames or more"


def test_numpy_draws_no_start_of_93_frames():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match="high <= 0"):
        numpy.random.randint(0, 93 - 93)


@pytest.mark.parametrize(("num_frames", "last"), [(94, 92), (95, 93), (200, 198)])
def test_the_last_frame_is_never_shown(num_frames, last):
    (piece,) = judge(clip(num_frames=num_frames)).pieces
    assert piece.bucket == Bucket(1280, 704, 93)
    assert (piece.first, piece.last, piece.anywhere) == (0, last, True)


def test_a_shorter_clip():
    assert judge(clip(num_frames=92)).loss.kind == "too short"


@pytest.mark.parametrize("fps", [16, 23.976, 30])
def test_frame_rates_are_given_to_the_model(fps):
    judgement = judge(clip(num_frames=94, fps=fps))
    assert judgement.pieces[0].speed == 1
    assert kinds(judgement) == ["stretched"]  # 1280x720 to 1280x704


def test_pictures_are_stretched():
    assert kinds(judge(clip(1280, 704, 94))) == []
    assert kinds(judge(clip(720, 1280, 94))) == ["enlarged", "stretched"]


def test_lower_case_mp4_in_videos_alone():
    names = ["videos/a.mp4", "videos/b.MP4", "videos/c.mov", "d.mp4", "videos/e/f.mp4", "metas/a.txt"]
    assert TRAINER.reads(names) == ["videos/a.mp4"]
