"""What finetrainers does with clips.

Expected buckets came from its own `find_nearest_video_resolution`, run outside this repository:
a-r-r-o-w/finetrainers, commit f476c37, finetrainers/functional/video.py.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.finetrainers import Finetrainers
from tools.export.trainers.judgement import Bucket

TRAINER = Finetrainers()
judge = judging(TRAINER, "wan2.2-a14b")


BUCKETS = [(49, 480, 832), (49, 832, 480), (81, 480, 832), (81, 512, 512), (17, 480, 832), (17, 960, 1664)]


@pytest.mark.parametrize(
    ("width", "height", "num_frames", "expected"),
    [
        (1920, 1080, 100, (81, 480, 832)),
        (1080, 1920, 100, (81, 512, 512)),
        (1080, 1920, 60, (49, 832, 480)),
        (1000, 1000, 81, (81, 512, 512)),
        (1000, 1000, 80, (49, 832, 480)),
        (1920, 1080, 17, (17, 960, 1664)),
    ],
)
def test_longest_then_nearest_aspect_ratio(width, height, num_frames, expected):
    options = {"video_resolution_buckets": BUCKETS}
    (piece,) = judge(clip(width, height, num_frames), "wan2.1", options=options).pieces
    assert (piece.bucket.frames, piece.bucket.height, piece.bucket.width) == expected
    assert (piece.first, piece.last) == (0, num_frames - 1)


def test_a_clip_shorter_than_every_bucket_keeps_its_frames():
    judgement = judge(clip(1920, 1080, 16), "wan2.1", options={"video_resolution_buckets": BUCKETS})
    assert judgement.pieces[0].bucket == Bucket(1664, 960, 16)
    assert "fewer frames" in kinds(judgement)


def test_frames_are_spread_over_the_clip():
    judgement = judge(clip(832, 480, 321), "wan2.1")
    assert judgement.pieces[0].speed == pytest.approx(4)  # 20 s in 5
    assert kinds(judgement) == ["faster"]


def test_pictures_are_stretched_unless_told():
    assert kinds(judge(clip(720, 1280), "wan2.1")) == ["enlarged", "stretched"]
    judgement = judge(clip(832, 832), "wan2.1", options={"reshape_mode": "resize_crop"})
    assert kinds(judgement) == []
    assert judgement.pieces[0].cropped == pytest.approx(1 - 480 / 832)
    judgement = judge(clip(1664, 960), "wan2.1", options={"reshape_mode": "center_crop"})
    assert judgement.pieces[0].cropped == pytest.approx(0.75)
    assert (
        judge(clip(64, 48), "wan2.1", options={"reshape_mode": "center_crop"}).loss.kind
        == "picture too small"
    )


def test_captions():
    assert judge(clip(caption=None), "wan2.1").loss.kind == "no caption"
    assert kinds(judge(clip(832, 480, caption="A dog.\nIt runs."), "wan2.1")) == ["caption of several lines"]
    assert kinds(judge(clip(832, 480, caption="A dog.\n"), "wan2.1")) == []
