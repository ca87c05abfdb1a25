"""Without --frames no clip is lost that need not be, and every one is used whole, once, at its speed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import polars as pl
import pytest

from tools.export.default_frames import by_length, choose_frames
from tools.export.explain import judge
from tools.export.planning import Planner, Wanted
from tools.export.presets import preset, presets

SECONDS = (0.2, 0.5, 0.7, 1.1, 1.6, 2.2, 2.3, 3.1, 4.0, 5.0, 5.2, 9.0)
RATES = (Fraction(24000, 1001), Fraction(30), Fraction(25), Fraction(60))


def table(seconds=SECONDS, rates=RATES, **columns):
    rows = [(length, rates[place % len(rates)]) for place, length in enumerate(seconds)]
    return pl.DataFrame(
        {
            "path": [f"{row}.mp4" for row in range(len(rows))],
            "width": [3840] * len(rows),
            "height": [2160] * len(rows),
            "num_frames": [int(length * rate) for length, rate in rows],
            "fps": [round(float(rate), 3) for _, rate in rows],
            "text": ["A dog."] * len(rows),
            **columns,
        }
    )


def planned(name, frame, windows=False, keep_source=False, **settings):
    chosen = preset(name)
    setup = chosen.trainer.setup(chosen.model, **settings)
    wanted = Wanted(chosen.trainer, setup, windows=windows, keep_source=keep_source)
    planner = Planner(frame, "m.csv", wanted)
    setup, line = choose_frames(setup, planner)
    setup = by_length(setup, wanted)
    planner.wanted = replace(wanted, setup=setup)
    return list(planner.plans()), setup, line


def longest(trainer, model, row, legal):
    """The longest number of frames of the model that a row has enough for, at its file's rate; or None."""
    rate = min(row["fps"], 24) if trainer == "open-sora" else model.fps or row["fps"]
    rate *= 2 if trainer == "videox-fun" else 1
    there = row["num_frames"] / row["fps"] * rate
    need = {
        "videox-fun": lambda frames: 2 * frames,
        "cosmos": lambda frames: frames + 1,
        "mochi": lambda frames: 30 * round(frames / 30 + 0.09 - 1e-9, 1),  # no number has a 5 at the end
    }.get(trainer, lambda frames: frames)
    return max((frames for frames in legal if need(frames) <= there + 0.01), default=None)


PRESETS = [chosen for chosen in presets() if chosen.model.name != "any"]
ONE = {"cosmos", "fastvideo", "cogvideo", "mochi"}


@pytest.mark.parametrize("chosen", PRESETS, ids=lambda chosen: chosen.name)
def test_every_clip_that_is_long_enough_is_used(chosen):
    """What each clip has enough for is worked out here; the rule of the trainer says what it uses."""
    trainer, model, frame = chosen.trainer, chosen.model, table()
    rule = model.frames
    legal = [n for n in range(rule.least, rule.most + 1) if n % rule.step == rule.rest % rule.step]
    lengths = [longest(trainer.name, model, row, legal) for row in frame.rows(named=True)]
    plans, setup, _ = planned(chosen.name, frame)
    if trainer.name in ONE:
        used = {one: one * sum(n is not None and n >= one for n in lengths) for one in legal}
        assert len(setup.frames) == 1
        assert used[setup.frames[0]] == max(used.values())
        lost = [n is None or n < setup.frames[0] for n in lengths]
    else:
        lost = [n is None for n in lengths]
    assert [plan.loss is not None for plan in plans] == lost
    assert not all(lost)
    for plan, length in zip(plans, lengths, strict=True):
        if plan.loss:
            assert plan.loss.kind == "too short"
            assert plan.loss.remedy == (f"--frames {length}" if length else "a longer clip")
            continue
        (piece,) = plan.pieces
        found = judge(piece.clip, trainer, setup)
        (example,) = found.pieces
        assert not {reason.kind for reason in found.warnings} - {"enlarged"}
        assert example.bucket.frames == max(n for n in setup.frames if n <= (length or 0))
        assert example.speed == pytest.approx(1, abs=0.05)
    assert trainer.most_lengths is None or len(setup.frames) <= 5


@pytest.mark.parametrize("name", ["ltx-2@ltx-trainer", "wan2.1@videox-fun"])
def test_where_lengths_do_not_go_into_one_batch_one_is_chosen_and_it_is_said_why(name):
    plans, setup, line = planned(name, table(), batch_size=2)
    assert len(setup.frames) == 1
    assert "--batch-size" in line
    lost = sum(plan.loss is not None for plan in plans)
    least = setup.model.frames.least
    usable = sum(plan.loss is None for plan in planned(name, table(), frames=(least,))[0])
    assert f"of {len(plans) - lost} of {usable} clips; --frames " in line


def test_only_clips_that_can_be_used_count():
    """The short ones have no caption, or are too small: with 5 frames they would still be lost."""
    frame = table((0.5, 0.5, 5.2, 5.2), text=["", "A dog.", "A dog.", "A dog."], width=[3840, 64, 3840, 3840])
    plans, setup, line = planned("wan2.1@diffusion-pipe", frame)
    assert setup.frames == (81,)
    assert [plan.loss.kind if plan.loss else "" for plan in plans] == ["no caption", "too small", "", ""]
    assert line.startswith("frames: 81, ")


def test_what_a_clip_needs_at_least_is_said_and_not_what_was_chosen():
    """Four frames at 16 fps, where the model takes five; the other clips have 81."""
    plans, setup, _ = planned("wan2.1@diffusion-pipe", table((0.25, 5.2), (Fraction(16),)))
    assert setup.frames == (81,)
    loss = plans[0].loss
    assert loss is not None
    assert (loss.text, loss.remedy) == ("4 frames at 16 fps, 5 needed", "a longer clip")
    _, _, line = planned("mochi-1@mochi", table((5.2, 5.2), (Fraction(30),)))
    assert line.endswith(
        "its configuration has one number of frames, and all 2 clips that can be used have 85"
    )


def test_pieces_of_a_long_clip_take_the_longest_number_first():
    """By hand, at 16 fps: 9 s are 144 frames, 81 and 63, of which 61 are 4k + 1; 7 s are 81 and 31."""
    frame = table((9.0, 7.0, 2.1, 1.1), (Fraction(16),))
    plans, setup, _ = planned("wan2.1@diffusion-pipe", frame, windows=True)
    assert setup.frames == (17, 29, 33, 61, 81)
    assert [[piece.clip.num_frames for piece in plan.pieces] for plan in plans] == [
        [81, 61], [81, 29], [33], [17],
    ]  # fmt: skip


def test_files_as_they_are_have_their_own_lengths():
    """A clip of 10 fps has 30 frames, which at 16 fps would be 48 only by repeating some."""
    frame = table((3.0, 5.2), (Fraction(10), Fraction(16)))
    for name in ("wan2.1@diffusion-pipe", "wan2.1@musubi"):
        plans, setup, _ = planned(name, frame, keep_source=True)
        assert setup.frames == (29, 81)
        assert [plan.pieces[0].judgement.pieces[0].bucket.frames for plan in plans] == [29, 81]


def test_nothing_is_chosen_where_the_settings_of_the_trainer_say_it():
    options = {"size_buckets": [[832, 480, 33]]}
    _, setup, line = planned("wan2.1@diffusion-pipe", table(), options=options)
    assert (setup.frames, line) == ((81,), "")


@pytest.mark.parametrize("name", ["wan2.1@musubi", "wan2.2-a14b@ai-toolkit", "wan2.1@simpletuner"])
def test_each_length_is_a_data_set_where_one_data_set_has_one(name):
    plans, setup, _ = planned(name, table())
    assert setup.by_length
    trainer = preset(name).trainer
    pieces = [piece.clip for plan in plans for piece in plan.pieces]
    assert [trainer.length_of(clip, setup) for clip in pieces] == [clip.num_frames for clip in pieces]
    assert {clip.num_frames for clip in pieces} == set(setup.frames)
