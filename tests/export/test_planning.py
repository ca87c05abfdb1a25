"""Plans of rows: boxes, rates, and every preset's pieces against its trainer's own rule."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
import pytest

from tools.export.planning import Planner, Wanted, clean_box, exact_rate
from tools.export.presets import presets
from tools.export.trainers.judgement import Clip


@pytest.mark.parametrize(
    ("cell", "box"),
    [
        ("320:160:0:40", (320, 160, 0, 40)),
        ("320:240:0:0", None),
        ("320:240:0:40", None),
        ("", None),
        (None, None),
        ("0:0:0:0", None),
        ("a:b:c:d", None),
    ],
)
def test_box(cell, box):
    assert clean_box(cell, Clip("a.mp4", 320, 240, 10, 25.0)) == box


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(23.976, Fraction(24000, 1001)), (29.97, Fraction(30000, 1001)), (16, 16), (12.5, Fraction(25, 2))],
)
def test_rates(fps, rate):
    assert exact_rate(fps) == rate


@pytest.mark.parametrize("chosen", presets(), ids=lambda chosen: chosen.name)
@pytest.mark.parametrize("windows", [False, True])
def test_every_piece_is_one_that_the_trainer_uses_whole_at_its_speed(chosen, windows):
    """What is written is judged by the rule of its trainer: one piece, whole, unchanged in speed."""
    table = pl.DataFrame(
        {
            "path": [f"{i}.mp4" for i in range(4)],
            "width": [1920, 2560, 3840, 1920],
            "height": [1080, 1440, 1600, 1200],
            "num_frames": [400, 900, 900, 333],
            "fps": [23.976, 30.0, 59.94, 25.0],
            "text": ["A dog."] * 4,
            "has_audio": [True] * 4,
        }
    )
    setup = chosen.trainer.setup(chosen.model)
    neutral = chosen.model.name == "any"
    wanted = Wanted(chosen.trainer, setup, windows=windows, keep_source=neutral)
    for plan in Planner(table, "m.csv", wanted).plans():
        assert plan.loss is None
        end = 0.0
        for piece in plan.pieces:
            assert piece.judgement.loss is None
            assert not {reason.kind for reason in piece.judgement.warnings} & {"faster", "slower", "enlarged"}
            if piece.cut is None:
                continue
            assert piece.clip.width <= plan.source.width and piece.clip.height <= plan.source.height
            assert all(one.bucket.frames in chosen.model.frames for one in piece.judgement.pieces)
            begin = piece.cut.start / piece.clip.fps
            assert begin >= end - 1e-9
            end = begin + piece.clip.seconds
            assert end <= plan.source.seconds + 1 / piece.clip.fps
        assert windows or len(plan.pieces) == 1
