"""What SimpleTuner does with clips.

Expected buckets came from its own `MultiaspectImage.calculate_new_size_by_pixel_area`, run outside this
repository: bghira/SimpleTuner, commit bc8e6ab, simpletuner/helpers/multiaspect/image.py, with the side of a
square replaced as in `TrainingSample.calculate_target_size`. Frames are worked by hand from
`adjust_video_frames`: (n - 1) // 8 * 8 + 1.
"""

import pytest

from tests.export.trainers.judging import clip, judging, kinds
from tools.export.trainers.judgement import Bucket
from tools.export.trainers.simpletuner import SimpleTuner, bucket_size

TRAINER = SimpleTuner()
MODELS = {model.name: model for model in TRAINER.models}
judge = judging(TRAINER, "wan2.2-a14b")


@pytest.mark.parametrize(
    ("area", "multiple", "expected"),
    [
        ((832, 480), 32, [(864, 480), (480, 864), (640, 640), (640, 640), (1120, 384), (768, 512)]),
        ((1280, 704), 64, [(1280, 704), (704, 1280), (960, 960), (960, 960), (1664, 576), (1152, 768)]),
        ((768, 448), 64, [(768, 448), (448, 768), (576, 576), (576, 576), (1024, 320), (704, 448)]),
        ((512, 512), 32, [(672, 384), (384, 672), (512, 512), (512, 512), (896, 288), (640, 416)]),
    ],
)
def test_bucket_of_a_picture(area, multiple, expected):
    sources = [(1920, 1080), (1080, 1920), (1000, 1000), (1010, 1000), (3000, 1000), (720, 480)]
    assert [bucket_size(*source, area, multiple) for source in sources] == expected


@pytest.mark.parametrize(
    ("num_frames", "used"), [(81, True), (80, False), (88, True), (300, True), (9, False)]
)
def test_wan_is_trimmed_to_8k_1_and_then_filtered(num_frames, used):
    judgement = judge(clip(num_frames=num_frames))
    assert bool(judgement.pieces) == used
    if used:
        assert (judgement.pieces[0].first, judgement.pieces[0].last) == (0, 80)
    else:
        assert judgement.loss.kind == "too short"


def test_what_is_said_of_a_clip_that_is_too_short():
    assert judge(clip(num_frames=80)).loss.text == "80 frames are trimmed to 73, 81 needed"


def test_min_and_max_frames():
    options = {"min_frames": 25, "max_frames": 97}
    assert judge(clip(num_frames=33), options=options, frames=(25,)).pieces[0].bucket.frames == 25
    assert judge(clip(num_frames=104), options=options).pieces
    assert judge(clip(num_frames=105), options=options).loss.kind == "too long"


def test_a_caption_of_three_lines_is_three_captions():
    judgement = judge(clip(caption="A dog.\nIt runs.\n\nFast."))
    assert judgement.pieces
    assert kinds(judgement) == ["caption of several lines"]
    assert "3 captions" in judgement.warnings[0].text
    assert kinds(judge(clip(caption="A dog.\n"))) == []
    assert kinds(judge(clip(caption=""))) == ["empty caption"]
    assert judge(clip(caption=None)).loss.kind == "no caption"


def test_frames_are_taken_as_they_are():
    judgement = judge(clip(num_frames=300, fps=30))
    assert judgement.pieces[0].speed == pytest.approx(16 / 30)
    assert kinds(judgement) == ["slower"]
    # LTX-2 is told 25 frames per second.
    assert judge(clip(num_frames=300, fps=25), "ltx-2").pieces[0].speed == 1


def test_buckets_of_resolution_and_frames():
    options = {"bucket_strategy": "resolution_frames", "frame_interval": 25, "min_frames": 25}
    assert judge(clip(num_frames=120), options=options).pieces[0].bucket.group == "@100"
    assert judge(clip(num_frames=120)).pieces[0].bucket.group == "ar 1.8"  # 864 / 480


def test_a_small_bucket_ends_training():
    counts = {Bucket(864, 480, 81): 1, Bucket(480, 864, 81): 4}
    dropped = TRAINER.dropped(counts, TRAINER.setup(MODELS["wan2.1"], batch_size=2, gpus=2))
    assert [(bucket.width, drop.ends_training) for bucket, drop in dropped.items()] == [(864, True)]
    options = {"allow_dataset_oversubscription": True}
    assert (
        TRAINER.dropped(counts, TRAINER.setup(MODELS["wan2.1"], batch_size=2, gpus=2, options=options)) == {}
    )
    options = {"repeats": 3}
    assert (
        TRAINER.dropped(counts, TRAINER.setup(MODELS["wan2.1"], batch_size=2, gpus=2, options=options)) == {}
    )
