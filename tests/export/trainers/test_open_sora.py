"""What Open-Sora 2.0 does with clips.

Expected buckets came from its own `Bucket.get_bucket_id` and `map_target_fps`, run outside this repository
with classes 256px (1, 5 ... 129 frames) and 768px (1, 33, 65): hpcaitech/Open-Sora, commit 7ad6a96,
opensora/datasets/bucket.py, aspect.py and utils.py.
"""

import pytest

from tests.export.trainers.judging import clip, judging
from tools.export.trainers.judgement import Bucket
from tools.export.trainers.open_sora import OpenSora

TRAINER = OpenSora()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "open-sora-2")


CLASSES = {256: range(1, 130, 4), 768: (1, 33, 65)}


@pytest.mark.parametrize(
    ("width", "height", "num_frames", "fps", "expected"),
    [
        (1280, 720, 129, 24, (1024, 576, 65)),
        (1280, 720, 40, 24, (1024, 576, 33)),
        (1280, 720, 20, 24, (336, 192, 17)),
        (1280, 720, 129, 25, (1024, 576, 33)),
        (1280, 720, 129, 30, (1024, 576, 33)),
        (1280, 720, 260, 60, (1024, 576, 65)),
        (720, 1280, 100, 23.976, (576, 1024, 65)),
        (320, 240, 200, 24, (288, 224, 129)),
        (256, 204, 200, 24, None),
        (256, 205, 200, 24, (288, 224, 129)),
        (1000, 1000, 9, 24, (256, 256, 9)),
        (1000, 1000, 4, 24, None),
        (1000, 1000, 1, 24, (768, 768, 1)),
        (2390, 1000, 7, 30, None),
        (1000, 1600, 300, 24, (592, 992, 65)),
        (1024, 576, 70, 29.97, (1024, 576, 33)),
        (1024, 460, 70, 24, (400, 160, 69)),
        (1024, 461, 70, 24, (1184, 496, 65)),
    ],
)
def test_class_length_and_aspect_ratio(width, height, num_frames, fps, expected):
    judgement = judge(clip(width, height, num_frames, fps), options={"bucket_config": CLASSES})
    assert [piece.bucket for piece in judgement.pieces] == ([Bucket(*expected)] if expected else [])


def test_why_a_clip_has_no_bucket():
    assert judge(clip(256, 204, 200)).loss.kind == "picture too small"
    assert judge(clip(num_frames=4)).loss.kind == "too short"


@pytest.mark.parametrize(
    ("fps", "told"), [(16, None), (23.976, None), (24, None), (25, 12), (29.97, 14), (30, 15), (60, 20)]
)
def test_frame_rates_above_the_largest_are_divided(fps, told):
    judgement = judge(clip(num_frames=300, fps=fps))
    skipped = [warning.text for warning in judgement.warnings if warning.kind == "frames skipped"]
    assert bool(skipped) == (told is not None)
    assert all(f"{told} FPS" in text for text in skipped)


def test_all_lengths_of_the_usual_configuration():
    assert TRAINER.setup(MODELS["open-sora-2"]).frames == tuple(range(5, 130, 4))


def test_where_a_piece_may_start():
    # 129 of 150 frames: the start is drawn from 0 to 150 - 129 - 1 = 20.
    (piece,) = judge(clip(num_frames=150)).pieces
    assert (piece.first, piece.last, piece.anywhere) == (0, 148, True)
    (piece,) = judge(clip(num_frames=129)).pieces
    assert (piece.first, piece.last, piece.anywhere) == (0, 128, False)


def test_the_last_batch_is_left_out():
    bucket = Bucket(336, 192, 129)
    setup = TRAINER.setup(MODELS["open-sora-2"], batch_size=2)
    assert TRAINER.dropped({bucket: 5}, setup)[bucket].pieces == 1
    assert TRAINER.dropped({bucket: 1}, setup)[bucket].reason.kind == "bucket smaller than batch"
    assert TRAINER.dropped({bucket: 4}, setup) == {}
