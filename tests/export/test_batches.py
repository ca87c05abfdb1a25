"""Clips that fill no batch: what is lost is what no cutting could save, counted by hand and by division."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tools.export.batches import fill_batches
from tools.export.default_frames import by_length, choose_frames
from tools.export.explain import explain
from tools.export.items import Item
from tools.export.planning import Planner, RowPlan, Wanted
from tools.export.presets import preset
from tools.export.trainers.judgement import Clip
from tools.export.write_folder import report

WIDE, TALL, SQUARE = (1280, 720), (720, 1280), (1000, 1000)


def filled(name, clips, splits=None, settings=None, **wanted):
    """Plans of clips of (size, frames at 16 fps) before and after batches were filled, and the setup."""
    frame = pl.DataFrame(
        {
            "path": [f"{row}.mp4" for row in range(len(clips))],
            "width": [size[0] for size, _ in clips],
            "height": [size[1] for size, _ in clips],
            "num_frames": [frames for _, frames in clips],
            "fps": [16.0] * len(clips),
            "text": ["A dog."] * len(clips),
        }
    )
    chosen = preset(name)
    setup = chosen.trainer.setup(chosen.model, **{"sizes": ((256, 256),), **(settings or {})})
    planner = Planner(frame, "m.csv", Wanted(chosen.trainer, setup, **wanted))
    if "frames" not in (settings or {}):
        setup, _ = choose_frames(setup, planner)
    setup = by_length(setup, planner.wanted)
    planner.wanted = replace(planner.wanted, setup=setup)
    plans = list(planner.plans())
    after, count = fill_batches(plans, planner, splits)
    assert [len(plan.pieces) for plan in after] == [len(plan.pieces) for plan in plans]
    shorter = sum(
        new.clip.num_frames < old.clip.num_frames
        for before, plan in zip(plans, after, strict=True)
        for old, new in zip(before.pieces, plan.pieces, strict=True)
    )
    assert shorter == count
    return after, setup


def lengths(plans):
    return [[piece.clip.num_frames for piece in plan.pieces] for plan in plans]


def starts(plans):
    return [[piece.cut and piece.cut.start for piece in plan.pieces] for plan in plans]


def left_out(name, plans, setup):
    clips = [piece.clip for plan in plans for piece in plan.pieces]
    return explain(clips, preset(name).trainer, setup).summary.dropped


@pytest.mark.parametrize("name", ["wan2.1@diffusion-pipe", "open-sora-2@open-sora"])
@pytest.mark.parametrize("seed", range(3))
def test_of_each_shape_less_than_a_batch_is_lost(name, seed):
    """N clips of one shape in batches of 4 leave out N mod 4, whatever their lengths; no cut saves more."""
    random = np.random.default_rng(seed)
    sizes = [[WIDE, TALL, SQUARE][place] for place in random.integers(0, 3, 60)]
    clips = [(size, int(frames)) for size, frames in zip(sizes, random.integers(5, 120, 60), strict=True)]
    plans, setup = filled(name, clips, settings={"batch_size": 4})
    assert left_out(name, plans, setup) == sum(count % 4 for count in Counter(sizes).values())


def test_by_hand():
    """Five of 81 and three of 33: the last of the five makes the fourth of the three."""
    clips = [(WIDE, 81)] * 5 + [(WIDE, 33)] * 3
    plans, setup = filled("wan2.1@diffusion-pipe", clips, settings={"batch_size": 2, "gpus": 2})
    assert lengths(plans) == [[81]] * 4 + [[33]] * 4
    assert left_out("wan2.1@diffusion-pipe", plans, setup) == 0


def test_other_shapes_keep_their_lengths():
    clips = [(WIDE, 81)] * 4 + [(TALL, 81), (TALL, 20)]
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings={"batch_size": 2})
    assert lengths(plans) == [[81]] * 4 + [[17], [17]]


def test_what_no_cut_saves_keeps_its_length():
    clips = [(WIDE, 81)] * 3 + [(TALL, 17)] * 2
    plans, setup = filled("wan2.1@diffusion-pipe", clips, settings={"batch_size": 2})
    assert lengths(plans) == [[81]] * 3 + [[17]] * 2
    assert left_out("wan2.1@diffusion-pipe", plans, setup) == 1


def test_each_split_has_batches_of_its_own():
    clips = [(WIDE, 81), (WIDE, 81), (WIDE, 33), (WIDE, 33)]
    plans, _ = filled(
        "wan2.1@diffusion-pipe", clips, ["train", "val", "train", "val"], settings={"batch_size": 2}
    )
    assert lengths(plans) == [[33]] * 4


def test_a_trainer_that_stops_at_small_buckets_alone_needs_no_whole_batches():
    """SimpleTuner: five of 81 are more than a batch of 2, and one of 33 less; it counts trimmed frames."""
    clips = [(WIDE, 81)] * 5 + [(WIDE, 33), (WIDE, 17), (WIDE, 17)]
    plans, setup = filled("wan2.1@simpletuner", clips, settings={"batch_size": 2})
    assert lengths(plans) == [[81]] * 5 + [[17]] * 3
    assert left_out("wan2.1@simpletuner", plans, setup) == 0


@pytest.mark.parametrize("name", ["wan2.1@musubi", "wan2.2-a14b@ai-toolkit", "wan2.1@finetrainers"])
def test_a_trainer_that_leaves_nothing_out_needs_none(name):
    plans, _ = filled(name, [(WIDE, 81)] * 3 + [(WIDE, 33)], settings={"batch_size": 2})
    assert lengths(plans) == [[81]] * 3 + [[33]]


def test_numbers_that_were_asked_for_are_filled_too():
    clips = [(WIDE, 81)] * 3 + [(WIDE, 40)]
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings={"batch_size": 2, "frames": (33, 81)})
    assert lengths(plans) == [[81], [81], [33], [33]]


def test_a_shorter_piece_is_of_the_same_place():
    """By hand: windows begin at 0 and 81; the middle 33 of 100 frames begin at (100 - 33) // 2."""
    clips = [(WIDE, 81 + 33), (WIDE, 81 + 33), (WIDE, 81)]
    settings = {"batch_size": 2, "frames": (17, 33, 81)}
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings=settings, windows=True)
    assert lengths(plans) == [[81, 33], [81, 33], [81]]  # 81 of the third fill no batch anywhere
    clips = [(WIDE, 114), (WIDE, 81), (WIDE, 81), (WIDE, 100)]
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings=settings, windows=True)
    assert lengths(plans) == [[81, 17], [81], [81], [81, 17]]
    assert starts(plans)[0] == [0, 81]
    clips = [(WIDE, 81), (WIDE, 81), (WIDE, 100), (WIDE, 33)]
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings=settings, place="middle")
    assert lengths(plans) == [[81], [81], [33], [33]]
    assert starts(plans)[2] == [(100 - 33) // 2]


def test_files_as_they_are_are_not_cut():
    clips = [(WIDE, 81)] * 3 + [(WIDE, 33)]
    plans, _ = filled("wan2.1@diffusion-pipe", clips, settings={"batch_size": 2}, keep_source=True)
    assert lengths(plans) == [[81]] * 3 + [[33]]


def test_the_last_lines_say_what_fills_no_batch(capsys):
    """Of three clips of one shape in batches of two one is over, by division."""
    chosen = preset("wan2.1@diffusion-pipe")
    setup = chosen.trainer.setup(chosen.model, frames=(17,), sizes=((256, 160),), batch_size=2)
    items = [Item(f"{n}", f"clips/{n}.mp4", 256, 160, 17, 16.0, False, "a", n, f"{n}.mp4") for n in range(3)]
    plans = [RowPlan(n, Clip(f"{n}.mp4", 256, 160, 17, 16.0, "a")) for n in range(3)]
    report("out", [], items, plans, chosen, setup)
    assert "diffusion-pipe uses 3 of 3; 1 fill no batch\n" in capsys.readouterr().out
