"""Registration against known crops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.dedup.drawn import slide
from tests.scoring.dedup.scenes import snapshot
from tools.scoring.dedup.fingerprint import LEVEL
from tools.scoring.dedup.registration import Registration, register


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("box", [(0.05, 0.03, 0.94, 0.97), (0.0, 0.0, 1.0, 1.0), (0.1, 0.0, 0.9, 1.0)])
def test_a_crop_is_registered_to_a_fraction_of_a_pixel(box, mirrored):
    picture = slide("Biology 101", ["The cell wall of plants", "Mitochondria make energy", "DNA", "n = 120"])
    whole, part = snapshot(picture), (snapshot(picture, box) * 0.8 + 30).astype(np.uint8)
    if mirrored:
        part = part[:, ::-1]
    whole, part = (1 + p // LEVEL for p in (whole, np.ascontiguousarray(part)))
    start = Registration((0.0, 1.0, 0.0, 1.0), (box[0] + 0.02, box[2] + 0.03, box[1] - 0.03, box[3] - 0.02))
    found = register(part, whole, start, mirrored, False)
    left, right, top, bottom = found.other
    assert np.array([left, right]) * 320 == pytest.approx(np.array([box[0], box[2]]) * 320, abs=0.4)
    assert np.array([top, bottom]) * 180 == pytest.approx(np.array([box[1], box[3]]) * 180, abs=0.4)
    one, other, valid = found.sample(part, whole, mirrored, False)
    assert valid[10:-10, 20:-20].all() and np.abs(one - other)[valid].mean() < 2
