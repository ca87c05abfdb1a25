"""What the LTX-2 trainer does with clips.

Expected buckets came from its own `MediaDataset._get_resolution_bucket_for_item`, run outside this
repository: Lightricks/LTX-2, commit 400fd31, packages/ltx-trainer/scripts/process_videos.py.
"""

import pytest

from tools.export.trainers.judgement import Bucket, Clip
from tools.export.trainers.ltx import LTXTrainer

TRAINER = LTXTrainer()
BUCKETS = [(960, 544, 49), (768, 448, 89), (512, 512, 121), (544, 960, 25)]


def clip(width=1280, height=720, num_frames=121, fps=24.0, caption: str | None = "A dog barks."):
    return Clip("a.mp4", width, height, num_frames, fps, caption)


def judge(one, **settings):
    settings.setdefault("options", {"buckets": BUCKETS})
    return TRAINER.judge(one, TRAINER.setup(TRAINER.models[0], **settings))


@pytest.mark.parametrize(
    ("width", "height", "num_frames", "expected"),
    [
        (1920, 1080, 121, (960, 544, 49)),
        (1920, 1080, 60, (960, 544, 49)),
        (1080, 1920, 121, (544, 960, 25)),
        (1000, 1000, 121, (512, 512, 121)),
        (1000, 1000, 88, (960, 544, 49)),
        (1280, 720, 25, (544, 960, 25)),
        (960, 544, 49, (960, 544, 49)),
        (768, 448, 500, (768, 448, 89)),
    ],
)
def test_nearest_aspect_ratio_among_those_it_is_long_enough_for(width, height, num_frames, expected):
    (piece,) = judge(clip(width, height, num_frames)).pieces
    assert piece.bucket == Bucket(*expected)
    assert (piece.first, piece.last) == (0, expected[2] - 1)


def test_of_one_aspect_ratio_the_longest_then_the_largest():
    setup = {"sizes": ((640, 360), (1280, 720)), "frames": (25, 121), "options": {}}
    assert judge(clip(), **setup).pieces[0].bucket == Bucket(1280, 720, 121)
    assert judge(clip(num_frames=120), **setup).pieces[0].bucket == Bucket(1280, 720, 25)


@pytest.mark.parametrize(("num_frames", "lost"), [(24, True), (25, False)])
def test_shorter_than_the_shortest_bucket(num_frames, lost):
    judgement = judge(clip(num_frames=num_frames))
    assert (judgement.loss is not None) == lost
    assert (not judgement.pieces) == lost


@pytest.mark.parametrize("fps", [23.976, 25, 60])
def test_frame_rates_are_kept(fps):
    judgement = judge(clip(fps=fps))
    assert judgement.pieces[0].speed == 1
    assert judgement.warnings == ()


def test_several_buckets_end_a_training_in_batches():
    counts = {Bucket(960, 544, 49): 5, Bucket(512, 512, 121): 1}
    assert TRAINER.dropped(counts, TRAINER.setup(TRAINER.models[0])) == {}
    dropped = TRAINER.dropped(counts, TRAINER.setup(TRAINER.models[0], batch_size=2))
    assert all(drop.ends_training for drop in dropped.values())


def test_the_last_batch_of_one_bucket_is_left_out():
    setup = TRAINER.setup(TRAINER.models[0], batch_size=2)
    bucket = Bucket(960, 544, 49)
    assert TRAINER.dropped({bucket: 5}, setup)[bucket].pieces == 1
    assert TRAINER.dropped({bucket: 4}, setup) == {}


def test_an_empty_caption_is_trained_on():
    judgement = judge(clip(caption=None))
    assert judgement.pieces
    assert [warning.kind for warning in judgement.warnings] == ["empty caption"]
