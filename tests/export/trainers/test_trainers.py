"""The registry of presets, and what holds for every trainer whatever it does."""

import random
import re

import pytest

from tools.errors import UserError
from tools.export.explain import judge
from tools.export.presets import TRAINERS, preset, presets
from tools.export.trainers.judgement import Clip, unusable
from tools.export.trainers.neutral import Neutral
from tools.export.trainers.reasons import cropped, played_speed, speed_warnings, stretch_warning


def test_a_preset_is_a_pair():
    found = preset("wan2.2-a14b@diffusion-pipe")
    assert (found.model.name, found.trainer.name) == ("wan2.2-a14b", "diffusion-pipe")
    assert found.name == "wan2.2-a14b@diffusion-pipe"


def test_names_of_presets_are_unique():
    names = [preset.name for preset in presets()]
    assert len(names) == len(set(names))
    assert len({trainer.name for trainer in TRAINERS.values()}) == len(TRAINERS)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("wan3@diffusion-pipe", "wan2.1@diffusion-pipe"),
        ("wan2.1@diffusionpipe", "wan2.1@diffusion-pipe"),
        ("wan", "near it: wan2.1@"),
        ("wan-2.1@musubi-tuner", "wan2.1@musubi"),
        ("", "there is no preset ''"),
    ],
)
def test_a_wrong_name_gets_those_near_it(name, near):
    with pytest.raises(UserError, match=re.escape(near)):
        preset(name)


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=lambda trainer: trainer.name)
def test_every_rule_says_where_it_was_read(trainer):
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", trainer.rule.repository)
    if not isinstance(trainer, Neutral):
        assert re.fullmatch(r"[0-9a-f]{40}", trainer.rule.commit)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", trainer.rule.date)
    assert trainer.rule.files
    assert trainer.layout
    assert trainer.drops
    assert trainer.speed


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_every_judgement_is_sound(preset):
    """Whatever the clip: pieces or a loss, never both, within the clip, with sound figures."""
    draw = random.Random(preset.name)
    setup = preset.trainer.setup(preset.model)
    for _ in range(300):
        clip = Clip(
            "a.mp4",
            draw.choice([1, 16, 64, 240, 480, 1920, 4096]) + draw.randrange(3),
            draw.choice([1, 16, 64, 240, 480, 1080, 4096]) + draw.randrange(3),
            draw.choice([0, 1, 2, 3, 5, 17, 22, 49, 80, 81, 93, 94, 121, 500]),
            draw.choice([1, 8, 12.5, 15, 16, 23.976, 24, 25, 29.97, 30, 60, 120, float("nan"), 0]),
            draw.choice([None, "", "  ", "A dog.", "one\ntwo\nthree"]),
        )
        judgement = judge(clip, preset.trainer, setup)
        assert bool(judgement.pieces) == (judgement.loss is None)
        for reason in (*judgement.warnings, *((judgement.loss,) if judgement.loss else ())):
            assert reason.kind
            assert not re.search(r"\d", reason.kind)
        for piece in judgement.pieces:
            assert 0 <= piece.first <= piece.last < clip.num_frames
            assert 0 <= piece.cropped < 1
            assert piece.speed > 0
            assert piece.frames_used <= piece.span <= piece.last - piece.first + 1
            assert 1 <= piece.frames_used <= piece.last - piece.first + 1
            assert min(piece.bucket.width, piece.bucket.height, piece.bucket.frames) > 0


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"num_frames": 0}, "unreadable"),
        ({"width": 0}, "unreadable"),
        ({"fps": 0.0}, "no frame rate"),
        ({"fps": float("nan")}, "no frame rate"),
        ({"fps": float("inf")}, "no frame rate"),
    ],
)
def test_what_no_trainer_can_use(settings, kind):
    clip = Clip(**{"name": "a.mp4", "width": 64, "height": 48, "num_frames": 9, "fps": 24.0, **settings})
    assert unusable(clip).kind == kind


@pytest.mark.parametrize(
    ("width", "height", "share"),
    [(64, 48, 0), (32, 24, 0), (48, 48, 0.25), (64, 36, 0.25), (128, 48, 0.5), (48, 64, 1 - 9 / 16)],
)
def test_share_that_is_cut_away(width, height, share):
    # 64x48 to cover 48x48 is scaled by 1, and 16 of 64 columns go.
    assert cropped(Clip("a", 64, 48, 9, 24), width, height) == pytest.approx(share)


def test_speed():
    clip = Clip("a", 64, 48, 100, 30)
    assert played_speed(0, 80, 81, clip, 16) == pytest.approx(16 / 30)  # each frame in turn, played slower
    assert played_speed(0, 60, 61, clip, None) == 1
    assert played_speed(0, 90, 46, clip, 30) == pytest.approx(2)  # each second frame
    assert played_speed(0, 0, 1, clip, 24) == 1
    assert speed_warnings([]) == ()


def test_stretched_pictures():
    clip = Clip("a", 1080, 1920, 100, 30)
    assert stretch_warning(clip, 540, 960) == ()
    (warning,) = stretch_warning(clip, 960, 540)
    assert "3.16 times wider" in warning.text  # (16/9) / (9/16) = 3.1605
