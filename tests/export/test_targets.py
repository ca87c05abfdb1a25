"""What is written is used: the trainer's own rule is applied to the file that would be written."""

import random

import pytest

from tools.export.presets import preset, presets
from tools.export.targets import Target, fitting_size, target
from tools.export.trainers.judgement import Clip, Reason

HARMLESS = {"enlarged", "dot in the name"}


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_the_trainer_uses_what_is_written_whole_and_at_its_speed(preset):
    draw = random.Random(preset.name)
    setup = preset.trainer.setup(preset.model)
    written = 0
    for _ in range(300):
        width, height = draw.choice([(1920, 1080), (1080, 1920), (1280, 720), (0, 0)])
        clip = Clip(
            "a.mp4",
            width or draw.randrange(256, 3000),
            height or draw.randrange(256, 3000),
            draw.randrange(1, 900),
            draw.choice([8, 15, 16, 23.976, 24, 25, 29.97, 30, 50, 60]),
            "A dog.",
            draw.choice([True, False]),
        )
        found = target(clip, preset.trainer, setup)
        if isinstance(found, Reason):
            assert found.text
            continue
        written += 1
        assert found.width <= clip.width
        assert found.height <= clip.height
        assert found.num_frames / found.fps <= clip.num_frames / clip.fps + 0.02 / found.fps
        made = Clip("a.mp4", found.width, found.height, found.num_frames, found.fps, "A dog.")
        judgement = preset.trainer.judge(made, setup)
        assert judgement.loss is None
        assert {warning.kind for warning in judgement.warnings} <= HARMLESS
        piece = max(judgement.pieces, key=lambda piece: piece.bucket.frames)
        assert piece.bucket == found.bucket
        assert piece.speed == pytest.approx(1, abs=0.02)
        # But for sides that are even, for aspect ratios that SimpleTuner rounds, and for small pictures that
        # ai-toolkit rounds up in one direction.
        rounded = {"simpletuner": 0.06, "ai-toolkit": 0.1}.get(preset.trainer.name, 0)
        assert piece.cropped <= max(rounded, 4 / min(found.width, found.height))
    assert written > 20


def find(name, clip, **settings):
    found = preset(name)
    return target(clip, found.trainer, found.trainer.setup(found.model, **settings))


@pytest.mark.parametrize(
    ("name", "clip", "expected"),
    [
        ("wan2.1@musubi", Clip("a", 1920, 1080, 300, 30), (832, 480, 81, 16)),
        ("wan2.1@musubi", Clip("a", 1080, 1920, 300, 23.976), (480, 832, 81, 16)),
        (
            "wan2.1@musubi",
            Clip("a", 640, 368, 300, 30),
            (636, 368, 81, 16),
        ),  # never enlarged: 368 * 832 / 480 is 637.9
        ("cosmos-predict2.5@cosmos", Clip("a", 1920, 1080, 300, 30), (1280, 704, 94, 30)),
        ("mochi-1@mochi", Clip("a", 1920, 1080, 300, 60), (848, 480, 87, 30)),  # 2.9 s
        ("wan2.1@videox-fun", Clip("a", 1920, 1080, 400, 30), (816, 464, 162, 32)),
        ("ltx-2@ltx-trainer", Clip("a", 1920, 1080, 300, 25), (768, 448, 121, 25)),
        ("open-sora-2@open-sora", Clip("a", 1920, 1080, 300, 25), (336, 192, 129, 24)),
        ("open-sora-2@open-sora", Clip("a", 1920, 1080, 300, 15), (336, 192, 129, 15)),
        ("minimax-h3@diffusion-pipe", Clip("a", 1000, 1000, 300, 30), (512, 512, 136, 24)),
        ("minimax-h3@diffsynth", Clip("a", 1000, 1000, 300, 30), (512, 512, 124, 24)),
        ("videofolder", Clip("a", 1000, 1000, 30, 30), (1000, 1000, 30, 30)),
    ],
)
def test_files_to_write(name, clip, expected):
    found = find(name, clip)
    assert isinstance(found, Target)
    assert (found.width, found.height, found.num_frames, found.fps) == expected


@pytest.mark.parametrize(
    ("num_frames", "fps", "enough"),
    [
        (81, 16, True),
        (80, 16, False),
        (152, 30, True),
        (151, 30, False),
        (122, 23.976, True),
        (121, 24, False),
    ],
)
def test_how_long_a_clip_must_be(num_frames, fps, enough):
    found = find("wan2.1@musubi", Clip("a", 832, 480, num_frames, fps))
    assert isinstance(found, Target) == enough


def test_the_longest_bucket_that_it_fills():
    found = find("wan2.1@diffusion-pipe", Clip("a", 1920, 1080, 50, 16), frames=(17, 33, 49, 81))
    assert (found.num_frames, found.bucket.frames) == (49, 49)


def test_why_there_is_none():
    assert find("cosmos-predict2.5@cosmos", Clip("a", 1920, 1080, 93, 30)).kind == "too short"
    assert find("mochi-1@mochi", Clip("a", 640, 360, 300, 30)).kind == "picture too small"
    assert find("wan2.1@musubi", Clip("a", 0, 0, 0, 30)).kind == "unreadable"
    assert find("wan2.1@musubi", Clip("a", 1, 1, 300, 30)).kind == "picture too small"


@pytest.mark.parametrize("name", ["wan2.2-a14b@diffusion-pipe", "wan2.1@musubi", "wan2.1@simpletuner"])
@pytest.mark.parametrize("shape", [(640, 272), (272, 640), (192, 144), (400, 400)])
def test_the_size_that_a_small_clip_fills_is_named(name, shape):
    """The next larger one is not filled, and no smaller one is named: tried one by one here."""
    chosen = preset(name)
    setup = chosen.trainer.setup(chosen.model)
    clip = Clip("a", *shape, 200, chosen.model.fps or 24, "A dog.")
    found = fitting_size(clip, chosen.trainer, setup)
    assert found is not None
    width, height = setup.sizes[0]
    step = chosen.model.multiple
    filled = []
    for wide in range(step, width + 1, step):
        size = (wide, max(step, step * round(wide * height / width / step)))
        one = target(clip, chosen.trainer, chosen.trainer.setup(chosen.model, sizes=(size,)))
        if not isinstance(one, Reason) and one.bucket.width <= shape[0] and one.bucket.height <= shape[1]:
            filled.append(size)
    assert found == filled[-1]
