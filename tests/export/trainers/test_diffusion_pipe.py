"""What diffusion-pipe does with clips.

Expected buckets came from its own functions, run outside this repository: `_find_closest_ar_bucket`,
`_find_closest_size_bucket`, `dedup_and_sort` and `round_to_nearest_multiple` of tdrussell/diffusion-pipe,
commit 8f83dbf, utils/dataset.py and utils/common.py. Numbers of frames follow from
int(source_frames * model_fps / source_fps) by hand.
"""

from dataclasses import replace

import pytest

from tests.export.trainers.judging import clip, judging
from tools.errors import UserError
from tools.export.trainers.diffusion_pipe import DiffusionPipe
from tools.export.trainers.judgement import Bucket

TRAINER = DiffusionPipe()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "wan2.2-a14b")


def shapes(judgement):
    return [(piece.bucket.width, piece.bucket.height, piece.bucket.frames) for piece in judgement.pieces]


@pytest.mark.parametrize(
    ("num_frames", "fps", "frames"),
    [
        (81, 16, 81),
        (80, 16, 33),
        (122, 24, 81),
        (121, 24, 33),  # int(80.67)
        (122, 23.976, 81),
        (121, 23.976, 33),  # int(80.75)
        (152, 30, 81),
        (151, 30, 33),  # int(80.53)
        (127, 25, 81),
        (126, 25, 33),  # int(80.64)
        (62, 30, 33),
    ],
)
def test_frames_are_counted_at_the_rate_of_the_model(num_frames, fps, frames):
    judgement = judge(clip(num_frames=num_frames, fps=fps), frames=(33, 81))
    assert [piece.bucket.frames for piece in judgement.pieces] == [frames]


@pytest.mark.parametrize("num_frames", [1, 4, 61])
def test_a_clip_shorter_than_every_frame_bucket_is_lost(num_frames):
    judgement = judge(clip(num_frames=num_frames, fps=30), frames=(33, 81))
    assert judgement.pieces == ()
    assert judgement.loss.kind == "too short"
    assert "33 needed" in judgement.loss.text


@pytest.mark.parametrize("num_frames", [2, 3])
def test_a_video_of_which_one_frame_is_left_is_an_image(num_frames):
    assert [shape[2] for shape in shapes(judge(clip(num_frames=num_frames, fps=30)))] == [1]


@pytest.mark.parametrize(
    ("width", "height", "sizes", "expected"),
    [
        (1920, 1080, [(832, 480)], [(800, 496)]),
        (1080, 1920, [(832, 480)], [(496, 800)]),
        (1000, 1000, [(832, 480)], [(624, 624)]),
        (1920, 800, [(832, 480)], [(896, 448)]),
        (707, 1000, [(832, 480)], [(496, 800)]),
        (720, 480, [(512, 512)], [(640, 400)]),
        (1920, 1080, [(512, 512), (768, 768)], [(640, 400), (960, 608)]),
    ],
)
def test_nearest_aspect_ratio_once_for_every_resolution(width, height, sizes, expected):
    judgement = judge(clip(width, height), sizes=tuple(sizes))
    assert [shape[:2] for shape in shapes(judgement)] == expected


def test_aspect_ratios_that_are_given():
    settings = {"sizes": ((512, 512),), "options": {"ar_buckets": [[16, 9], 1.0]}}
    # 16/9 is rounded to 1.778: sqrt(512 * 512 * 1.778) = 682.7 and 512 * 512 / 682.7 = 384.0
    assert shapes(judge(clip(1920, 1080), **settings)) == [(688, 384, 81)]


def test_sides_of_wan_5b_are_multiples_of_32():
    assert shapes(judge(clip(num_frames=121, fps=24), "wan2.2-5b", sizes=((832, 480),))) == [(800, 512, 121)]


@pytest.mark.parametrize(("frames", "trained"), [((34, 68), 68), ((39, 56), 51)])
def test_minimax_h3_takes_17k(frames, trained):
    # align_frames of models/minimax_h3.py: 56 // 17 * 17 = 51. The bucket is 640x400; round(400 / 32) is 12.
    one = clip(num_frames=70, fps=24)
    assert shapes(judge(one, "minimax-h3", frames=frames)) == [(640, 384, trained)]


def test_a_frame_bucket_is_aligned_to_4k_1():
    # align_frames of models/base.py: (80 - 1) // 4 * 4 + 1 = 77
    assert [shape[2] for shape in shapes(judge(clip(), frames=(80,)))] == [77]


@pytest.mark.parametrize(
    ("sizes", "width", "height", "frames", "expected"),
    [
        ([[512, 512, 33], [640, 360, 33], [640, 360, 65]], 1280, 720, 70, (512, 512, 33)),
        ([[512, 512, 33], [640, 360, 33], [640, 360, 65]], 720, 1280, 90, (640, 360, 65)),
        ([[512, 512, 33], [640, 360, 33], [640, 360, 65]], 500, 500, 90, (640, 360, 65)),
        ([[640, 360, 33], [360, 640, 33], [512, 512, 81]], 1280, 720, 40, (360, 640, 33)),
        ([[640, 360, 33], [360, 640, 33], [512, 512, 81]], 720, 1280, 90, (512, 512, 81)),
        ([[640, 360, 33], [360, 640, 33], [512, 512, 81]], 500, 500, 90, (640, 360, 33)),
    ],
)
def test_size_buckets_are_mixed_up_as_the_loader_does(sizes, width, height, frames, expected):
    # `_find_closest_size_bucket` takes places in the sorted ratios for places in the sorted buckets.
    one = clip(width, height, frames, 16)
    judgement = judge(one, options={"size_buckets": sizes})
    bucket = judgement.pieces[0].bucket
    width, height, length = expected
    trained = (round(width / 16) * 16, round(height / 16) * 16, length)
    assert (bucket.width, bucket.height, bucket.frames) == trained
    assert "not the nearest bucket" in [warning.kind for warning in judgement.warnings]


def test_a_clip_too_short_for_all_size_buckets():
    assert judge(clip(num_frames=20), options={"size_buckets": [[512, 512, 33]]}).loss.kind == "too short"


def test_a_missing_caption_file_loses_the_clip_and_an_empty_one_does_not():
    assert judge(clip(caption=None)).loss.kind == "no caption"
    assert judge(clip(caption=None), options={"skip_empty_caption": False}).pieces
    empty = judge(clip(caption=" \n"))
    assert empty.pieces
    assert [warning.kind for warning in empty.warnings] == ["empty caption"]


def test_the_first_frames_or_those_in_the_middle():
    one = clip(num_frames=101)
    (piece,) = judge(one).pieces
    assert (piece.first, piece.last, piece.speed) == (0, 80, 1.0)
    (piece,) = judge(one, options={"video_clip_mode": "single_middle"}).pieces
    assert (piece.first, piece.last) == (10, 90)


def test_a_slow_clip_repeats_frames():
    judgement = judge(clip(num_frames=61, fps=12), frames=(81,))  # int(61 * 16 / 12) = 81
    assert judgement.pieces[0].frames_used == 61
    assert "frames repeated" in [warning.kind for warning in judgement.warnings]


def test_what_is_cropped_away():
    # 1280x720 in 800x496: scaled to cover, of 16:9 = 1.7778 stays 800/496 = 1.6129
    (piece,) = judge(clip()).pieces
    assert piece.cropped == pytest.approx(1 - (800 / 496) / (1280 / 720))


def test_buckets_are_cut_to_batches_of_all_gpus():
    buckets = {Bucket(832, 480, 81): 1, Bucket(480, 832, 81): 4, Bucket(640, 640, 81): 7}
    setup = TRAINER.setup(MODELS["wan2.2-a14b"], batch_size=2, gpus=2)
    dropped = TRAINER.dropped(buckets, setup)
    assert {bucket.width: (drop.pieces, drop.reason.kind) for bucket, drop in dropped.items()} == {
        832: (1, "bucket smaller than batch"),
        640: (3, "rest of bucket"),
    }
    assert TRAINER.dropped(buckets, replace(setup, options={"num_repeats": 4})) == {}
    assert TRAINER.dropped(buckets, replace(setup, accumulation=8))[Bucket(640, 640, 81)].pieces == 7


def test_only_media_of_the_folder_itself_are_read():
    names = ["a.mp4", "A.MP4", "a.txt", "captions.json", "b.mkv", "sub/c.mp4", "cache.npz", "d.tar"]
    assert TRAINER.reads(names) == ["a.mp4", "A.MP4", "b.mkv", "d.tar"]


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(UserError, match="no option 'num_ar_bucket' here; those it has: ar_buckets, max_ar"):
        judge(clip(), options={"num_ar_bucket": 7})
