"""What DiffSynth-Studio does with clips.

Expected values came from its own `FrameSamplerByRateMixin` and `ImageCropAndResize.get_height_width`, run
outside this repository: modelscope/DiffSynth-Studio, commit fed7b18, diffsynth/core/data/operators.py, with
the numbers that the training scripts of the models give to them.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.diffsynth import DiffSynth
from tools.export.trainers.judgement import Bucket

TRAINER = DiffSynth()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "wan2.2-a14b")


@pytest.mark.parametrize(
    ("model", "num_frames", "fps", "frames", "last"),
    [
        ("wan2.1", 100, 30, 81, 80),
        ("wan2.1", 80, 30, 77, 76),
        ("wan2.1", 4, 30, 1, 0),
        ("ltx-2", 200, 30, 121, 150),
        ("ltx-2", 150, 30, 113, 140),
        ("ltx-2", 149, 30, 113, 140),
        ("minimax-h3", 60, 30, 39, 48),
        ("minimax-h3", 20, 30, 5, 5),
        ("minimax-h3", 300, 25, 124, 128),
        ("minimax-h3", 3, 30, 1, 0),
    ],
)
def test_first_frames(model, num_frames, fps, frames, last):
    (piece,) = judge(clip(num_frames=num_frames, fps=fps), model).pieces
    assert (piece.bucket.frames, piece.first, piece.last) == (frames, 0, last)


@pytest.mark.parametrize(
    ("fps", "speed"), [(16, 1), (23.976, 16 / 23.976), (24, 2 / 3), (25, 0.64), (30, 16 / 30)]
)
def test_wan_ignores_the_frame_rate(fps, speed):
    judgement = judge(clip(fps=fps))
    assert judgement.pieces[0].speed == pytest.approx(speed)
    assert kinds(judgement) == ([] if fps == 16 else ["slower"])


def test_a_short_clip_is_said_to_be_short():
    assert kinds(judge(clip(num_frames=80))) == ["fewer frames"]


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (1360, 768)), ((640, 360), (640, 352)), ((1080, 1920), (768, 1360))]
)
def test_without_height_and_width_the_size_is_kept_up_to_max_pixels(size, expected):
    (piece,) = judge(clip(*size), options={"max_pixels": 1024 * 1024}).pieces
    assert (piece.bucket.width, piece.bucket.height) == expected


def test_a_picture_smaller_than_a_multiple():
    assert judge(clip(15, 100), options={"max_pixels": 1024 * 1024}).loss.kind == "picture too small"


def test_with_height_and_width_it_is_cropped():
    (piece,) = judge(clip(720, 1280)).pieces
    assert piece.bucket == Bucket(832, 480, 81)
    assert piece.cropped == pytest.approx(1 - (9 / 16) / (832 / 480))


def test_an_empty_caption_is_warned_of():
    assert kinds(judge(clip(caption=None))) == ["empty caption"]


def test_unknown_extensions_are_not_read():
    assert TRAINER.reads(["a.mp4", "b/c.WEBM", "d.mpg", "e.gif"]) == ["a.mp4", "b/c.WEBM", "e.gif"]


@pytest.mark.parametrize(
    ("written", "used"),
    [(97, 89), (98, 97), (121, 113), (122, 121)],
)
def test_frames_are_counted_in_the_duration_that_ffmpeg_prints(written, used):
    """What `UnifiedDataset` of modelscope/DiffSynth-Studio, commit fed7b18, gave for such files of 24 fps.

    diffsynth/core/data/operators.py takes `duration` of imageio's reader, which has two decimals.
    """
    (piece,) = judge(clip(num_frames=written, fps=24), "ltx-2", frames=(121,)).pieces
    assert piece.bucket.frames == used


@pytest.mark.parametrize(("length", "written"), [(9, 9), (97, 98), (121, 122)])
def test_a_file_has_the_frames_that_are_counted(length, written):
    """Durations of two decimals by hand: 9 frames are 0.38 s, so 9.12; 98 are 4.08 s, so 97.92."""
    setup = TRAINER.setup(MODELS["ltx-2"], frames=(length,))
    assert TRAINER.frames_for(length, setup) == written
    assert TRAINER.frames_for(81, TRAINER.setup(MODELS["wan2.1"])) == 81
