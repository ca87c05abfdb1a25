"""What musubi-tuner does with clips.

Expected buckets came from its own `BucketSelector.get_bucket_resolution`, run outside this repository:
kohya-ss/musubi-tuner, commit 30c658c, src/musubi_tuner/dataset/bucket.py. Pieces are worked by hand from
`retrieve_latent_cache_batches` and `load_video`.
"""

import pytest

from tests.export.trainers.judging import clip, judging
from tools.export.trainers.judgement import Bucket
from tools.export.trainers.musubi import Musubi, bucket_size

TRAINER = Musubi()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "wan2.2-a14b")


def places(judgement):
    return [(piece.first, piece.last, piece.bucket.frames) for piece in judgement.pieces]


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ((960, 544), [(960, 544), (544, 960), (720, 720), (1248, 416), (832, 624), (624, 832), (880, 592)]),
        ((832, 480), [(832, 480), (480, 832), (624, 640), (1072, 368), (720, 544), (544, 720), (768, 512)]),
        (
            (1280, 720),
            [(1280, 720), (720, 1280), (960, 960), (1632, 560), (1104, 832), (832, 1104), (1168, 784)],
        ),
        ((512, 512), [(672, 384), (384, 672), (512, 512), (896, 288), (592, 432), (432, 592), (624, 416)]),
    ],
)
def test_nearest_bucket_of_an_area(area, expected):
    sources = [(1920, 1080), (1080, 1920), (1000, 1000), (3000, 1000), (640, 480), (480, 640), (720, 480)]
    assert [bucket_size(*source, area[0] * area[1]) for source in sources] == expected


def test_a_long_clip_counts_once_for_every_target_it_fills():
    judgement = judge(clip(num_frames=50), frames=(1, 25, 45, 81))
    assert places(judgement) == [(0, 0, 1), (0, 24, 25), (0, 44, 45)]
    assert [warning.kind for warning in judgement.warnings] == ["counted several times"]


def test_targets_are_rounded_down_to_4k_1():
    assert places(judge(clip(num_frames=40), frames=(30, 32))) == [(0, 28, 29)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"frame_extraction": "chunk"}, [(0, 24, 25), (25, 49, 25)]),
        ({"frame_extraction": "slide", "frame_stride": 20}, [(0, 24, 25), (20, 44, 25)]),
        ({"frame_extraction": "uniform", "frame_sample": 3}, [(0, 24, 25), (15, 39, 25), (30, 54, 25)]),
        ({"frame_extraction": "uniform"}, [(0, 24, 25)]),
        ({"frame_extraction": "full"}, [(0, 52, 53)]),
        ({"frame_extraction": "full", "max_frames": 33}, [(0, 32, 33)]),
    ],
)
def test_pieces_of_a_clip_of_55_frames(options, expected):
    assert places(judge(clip(num_frames=55), frames=(25,), options=options)) == expected


def test_a_clip_shorter_than_every_target_is_lost():
    judgement = judge(clip(num_frames=80))
    assert (judgement.pieces, judgement.loss.kind) == ((), "too short")
    # A single frame is enough for full.
    assert places(judge(clip(num_frames=3), options={"frame_extraction": "full"})) == [(0, 0, 1)]


def test_the_frame_rate_of_the_file_is_ignored():
    judgement = judge(clip(num_frames=300, fps=30))
    assert places(judgement) == [(0, 80, 81)]
    # 80 frames at 30 fps take 2.67 s and are played in 5 s.
    assert judgement.pieces[0].speed == pytest.approx(16 / 30)
    assert "slower" in [warning.kind for warning in judgement.warnings]


def test_source_fps_drops_frames():
    # Frame i is kept where i * 16 / 30, added up one by one, has a new whole part: 0, 2, 4, 6, 8, 10, 12, 14
    # and 16, as frame 15 comes to 7.999999999999998.
    one, options = clip(num_frames=30, fps=30), {"source_fps": 30.0}
    judgement = judge(one, frames=(9,), options=options)
    assert places(judgement) == [(0, 16, 9)]
    assert judgement.pieces[0].speed == pytest.approx(16 / 8 * 16 / 30)
    # 30 frames are 16 at 16 fps.
    assert judge(one, frames=(17,), options=options).loss.text.startswith("16 frames")


def test_a_slower_file_loses_frames_to_the_end_of_the_target():
    # At 8 fps frame i stands for frame 2 i at 16; reading stops at frame 81, after 41 frames of any file.
    judgement = judge(clip(num_frames=500, fps=8), options={"source_fps": 8.0})
    assert judgement.loss.kind == "too short"
    assert judgement.loss.text.startswith("41 frames")


def test_captions():
    assert judge(clip(caption=None)).loss.kind == "no caption"
    assert [warning.kind for warning in judge(clip(caption="")).warnings] == ["empty caption"]


def test_small_pictures_are_enlarged():
    judgement = judge(clip(416, 240))
    assert judgement.pieces[0].bucket == Bucket(832, 480, 81)
    assert [warning.kind for warning in judgement.warnings] == ["enlarged"]
    assert "2.00 times" in judgement.warnings[0].text


def test_no_bucket_is_too_small():
    assert TRAINER.dropped({Bucket(832, 480, 81): 1}, TRAINER.setup(MODELS["wan2.1"], batch_size=8)) == {}


def test_videos_of_the_folder_itself():
    assert TRAINER.reads(["a.mp4", "b.MOV", "c.gif", "sub/d.mp4", "a.txt"]) == ["a.mp4", "b.MOV"]
