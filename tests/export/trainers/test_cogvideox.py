"""What CogVideoX's own fine-tuning does with clips.

Worked by hand from `preprocess_video_with_resize` and `load_prompts` of THUDM/CogVideo, commit e519ece,
finetune/datasets/utils.py: range(0, frames, frames // wanted), of which the first `wanted`.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.cogvideox import CogVideoX
from tools.export.trainers.judgement import Bucket

TRAINER = CogVideoX()
judge = judging(TRAINER, "cogvideox")


@pytest.mark.parametrize(
    ("num_frames", "last", "used"), [(49, 48, 49), (97, 48, 49), (98, 96, 49), (200, 192, 49), (30, 29, 30)]
)
def test_a_whole_stride_from_the_first_frame(num_frames, last, used):
    (piece,) = judge(clip(720, 480, num_frames, 8)).pieces
    assert (piece.first, piece.last, piece.frames_used) == (0, last, used)
    assert piece.bucket == Bucket(720, 480, 49)


def test_speed_changes_with_the_length():
    assert kinds(judge(clip(720, 480, 97, 8))) == []
    assert kinds(judge(clip(720, 480, 98, 8))) == ["faster"]
    assert judge(clip(720, 480, 98, 8)).pieces[0].speed == pytest.approx(2)
    assert kinds(judge(clip(720, 480, 49, 24))) == ["slower"]


def test_a_short_clip_stands_still_at_its_end():
    assert kinds(judge(clip(720, 480, 48, 8))) == ["frames repeated"]


def test_pictures_are_stretched():
    assert kinds(judge(clip(1280, 720, 49, 8))) == ["stretched"]


def test_captions_must_be_one_line():
    assert judge(clip(caption=" \n")).loss.kind == "no caption"
    assert "caption of several lines" in kinds(judge(clip(caption="A dog.\nIt runs.")))
    assert "caption of several lines" not in kinds(judge(clip(caption="A dog.\n\n")))
