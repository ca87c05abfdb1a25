"""What ai-toolkit does with clips.

Expected values came from its own functions, run outside this repository: `get_bucket_for_image_size` of
toolkit/buckets.py, `get_auto_frame_count` of toolkit/dataloader_mixins.py, `align_num_frames_down` of
minimax_h3/src/packing.py, in ostris/ai-toolkit, commit 27a03a9. Numbers of frames are worked by hand from
`load_and_process_video`.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.ai_toolkit import AIToolkit, bucket_size
from tools.export.trainers.judgement import Bucket

TRAINER = AIToolkit()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "wan2.2-a14b")


@pytest.mark.parametrize(
    ("size", "side", "multiple", "expected"),
    [
        ((1920, 1080), 631, 16, (848, 464)),
        ((1080, 1920), 631, 16, (464, 848)),
        ((1000, 1000), 512, 16, (512, 512)),
        ((640, 360), 512, 16, (640, 352)),
        ((640, 360), 512, 32, (640, 352)),
        ((100, 50), 512, 16, (112, 48)),
        ((1920, 800), 949, 32, (1472, 608)),
        ((30, 20), 512, 32, (32, 32)),
        ((1280, 720), 631, 32, (864, 448)),
    ],
)
def test_bucket_of_a_picture(size, side, multiple, expected):
    assert bucket_size(*size, side, multiple) == expected


@pytest.mark.parametrize(
    ("num_frames", "fps", "speed", "warnings"),
    [
        (81, 16, 1, []),
        (152, 30, 151 / 80 * 16 / 30, []),  # 5.07 s played in 5.06
        (300, 30, 299 / 80 * 16 / 30, ["faster"]),  # 10 s in 5
        (60, 30, 59 / 80 * 16 / 30, ["frames repeated", "slower"]),
    ],
)
def test_the_whole_clip_is_played_in_num_frames(num_frames, fps, speed, warnings):
    judgement = judge(clip(num_frames=num_frames, fps=fps))
    (piece,) = judgement.pieces
    assert (piece.first, piece.last, piece.bucket.frames) == (0, num_frames - 1, 81)
    assert piece.speed == pytest.approx(speed)
    assert kinds(judgement) == warnings


def test_a_random_start_at_a_whole_stride():
    options = {"shrink_video_to_frames": False, "fps": 16}
    (piece,) = judge(clip(num_frames=300, fps=30), options=options).pieces
    # round(30 / 16) = 2: each second frame, at 15 frames per second.
    assert piece.anywhere
    assert (piece.first, piece.last, piece.frames_used) == (0, 299, 81)
    assert piece.speed == pytest.approx(2 * 16 / 30)
    # 161 // 2 = 80 frames are too few, so they are spread after all.
    (piece,) = judge(clip(num_frames=161, fps=30), options=options).pieces
    assert not piece.anywhere
    assert piece.last == 160


@pytest.mark.parametrize(
    ("num_frames", "fps", "target", "trim", "frames"),
    [
        (150, 30, 16, True, 77),
        (150, 30, 16, False, 81),
        (81, 16, 16, True, 81),
        (80, 16, 16, True, 77),
        (80, 16, 16, False, 81),
        (3, 30, 16, True, 1),
    ],
)
def test_auto_frame_count(num_frames, fps, target, trim, frames):
    options = {"auto_frame_count": True, "fps": target, "trim_auto_frame_count_tail": trim}
    (piece,) = judge(clip(num_frames=num_frames, fps=fps), options=options).pieces
    assert piece.bucket.frames == frames


@pytest.mark.parametrize(
    ("num_frames", "frames"),
    [(1, 5), (21, 5), (22, 22), (38, 22), (39, 39), (123, 107), (124, 124), (200, 192)],
)
def test_auto_frame_count_of_minimax_h3_is_17k_5(num_frames, frames):
    options = {"auto_frame_count": True}
    (piece,) = judge(clip(num_frames=num_frames, fps=24), "minimax-h3", options=options).pieces
    assert piece.bucket.frames == frames


def test_one_piece_for_each_resolution():
    judgement = judge(clip(1920, 1080), sizes=((512, 512), (768, 768)))
    assert [piece.bucket.width * piece.bucket.height for piece in judgement.pieces] == [
        bucket_size(1920, 1080, side, 16)[0] * bucket_size(1920, 1080, side, 16)[1] for side in (512, 768)
    ]


def test_captions_and_small_buckets_lose_nothing():
    assert kinds(judge(clip(caption=None))) == ["empty caption"]
    assert TRAINER.dropped({Bucket(832, 480, 81): 1}, TRAINER.setup(MODELS["wan2.2-5b"], batch_size=8)) == {}


def test_files_of_folders_but_hidden_ones():
    names = ["a.mp4", "sub/b.MOV", ".thumbs/c.mp4", "sub/.d.mp4", "_controls/e.mp4", "f.txt", "g.mpg"]
    assert TRAINER.reads(names) == ["a.mp4", "sub/b.MOV"]
