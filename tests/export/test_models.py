"""Numbers of frames that models take: values by hand."""

import pytest

from tools.export import models
from tools.export.models import FrameRule, Model


@pytest.mark.parametrize(
    ("rule", "frames", "longest"),
    [
        (FrameRule(4, 1, 5, 81), 81, 81),
        (FrameRule(4, 1, 5, 81), 80, 77),
        (FrameRule(4, 1, 5, 81), 1000, 81),
        (FrameRule(4, 1, 5, 81), 5, 5),
        (FrameRule(4, 1, 5, 81), 4, None),
        (FrameRule(8, 1, 9, 121), 120, 113),
        (FrameRule(17, 0, 17, 136), 135, 119),
        (FrameRule(17, 0, 17, 136), 16, None),
        (FrameRule(17, 5, 22, 124), 123, 107),
        (FrameRule(17, 5, 22, 124), 21, None),
        (FrameRule(6, 1, 7, 85), 84, 79),
        (FrameRule(4, 1, 5, 82), 82, 81),
        (FrameRule(4, 1, 5, 81), 0, None),
    ],
)
def test_longest(rule, frames, longest):
    assert rule.longest(frames) == longest


def test_which_numbers_are_legal():
    rule = FrameRule(17, 5, 22, 124)
    assert [frames for frames in range(200) if frames in rule] == [22, 39, 56, 73, 90, 107, 124]
    assert str(rule) == "17k+5"
    assert str(FrameRule(17, 0, 17, 136)) == "17k"


@pytest.mark.parametrize("model", [value for value in vars(models).values() if isinstance(value, Model)])
def test_every_model_agrees_with_itself(model):
    assert model.source
    assert model.frames.longest(model.frames.most) == model.frames.most
    for width, height in model.sizes:
        assert width % model.multiple == 0
        assert height % model.multiple == 0
