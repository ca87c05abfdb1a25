"""Alignment of a piece with the clip that it was cut out of."""

from __future__ import annotations

import pytest

from tests.scoring.dedup.scenes import Scene, fingerprint
from tools.scoring.dedup.alignment import Track, align
from tools.scoring.dedup.hashing import View


def test_where_a_piece_lies():
    scene = Scene(6)
    long, short = fingerprint(scene, 0, 12), fingerprint(scene, 3.37, 7)
    found = align(Track(short, View()), Track(long, View()))
    assert found.shift / 2 == pytest.approx(3.37, abs=0.13) and found.similarity > 0.95
