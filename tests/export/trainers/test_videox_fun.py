"""What VideoX-Fun does with clips.

Expected buckets came from its own `get_closest_ratio`, run outside this repository: aigc-apps/VideoX-Fun,
commit 804a425, videox_fun/data/bucket_sampler.py, scaled and rounded as in scripts/wan2.1/train.py. Frames
are worked by hand from `ImageVideoDataset.get_batch`.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.judgement import Bucket
from tools.export.trainers.videox_fun import VideoXFun, bucket_size

TRAINER = VideoXFun()
judge = judging(TRAINER, "wan2.1")


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (512, [(672, 384), (384, 672), (512, 512), (864, 288), (576, 416), (608, 416)]),
        (640, [(832, 480), (480, 832), (640, 640), (1072, 352), (720, 512), (752, 512)]),
        (631, [(816, 464), (464, 816), (624, 624), (1056, 352), (704, 512), (736, 512)]),
    ],
)
def test_nearest_of_forty_aspect_ratios(side, expected):
    sources = [(1920, 1080), (1080, 1920), (1000, 1000), (3000, 1000), (640, 480), (720, 480)]
    assert [bucket_size(*source, side) for source in sources] == expected


@pytest.mark.parametrize(
    ("num_frames", "stride", "frames", "last", "anywhere"),
    [
        (161, 2, 77, 160, True),  # 161 // 2 = 80 are read over 159 frames, of which 77 are 4k + 1
        (162, 2, 81, 161, True),  # 81 over 161 frames
        (100, 2, 49, 99, True),  # 50 over 99 frames
        (324, 4, 81, 323, True),
        (81, 1, 81, 80, False),
        (82, 1, 81, 81, True),
        (79, 1, 77, 76, False),
    ],
)
def test_every_nth_frame(num_frames, stride, frames, last, anywhere):
    (piece,) = judge(clip(num_frames=num_frames), options={"video_sample_stride": stride}).pieces
    assert (piece.bucket.frames, piece.first, piece.last, piece.anywhere) == (frames, 0, last, anywhere)


def test_a_clip_shorter_than_the_stride_is_replaced_by_another():
    judgement = judge(clip(num_frames=3), options={"video_sample_stride": 4})
    assert (judgement.pieces, judgement.loss.kind) == ((), "too short")
    assert "another clip is drawn" in judgement.loss.text


def test_a_short_clip_shortens_its_batch():
    one = clip(num_frames=100, fps=32)
    assert kinds(judge(one, batch_size=2)) == ["fewer frames"]
    assert not kinds(judge(one))  # alone in its batch


@pytest.mark.parametrize(("fps", "speed"), [(16, 2), (24, 32 / 24), (30, 32 / 30), (60, 32 / 60)])
def test_the_stride_is_the_same_for_every_frame_rate(fps, speed):
    assert judge(clip(num_frames=400, fps=fps)).pieces[0].speed == pytest.approx(speed)


def test_one_size_for_all():
    (piece,) = judge(clip(num_frames=300), options={"fix_sample_size": (480, 840)}).pieces
    assert piece.bucket == Bucket(832, 480, 81)
