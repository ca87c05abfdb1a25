"""The short form of the soak, and whether it would notice what grows."""

from dataclasses import replace

from tests.reliability.soak import PER_ROW, SLACK, Soaked, Use, _what_grows, _what_is_left, soak

FLAT = Use(parent=100 << 20, workers=50 << 20, files=20, threads=3, segments=1)


def test_three_stages_leave_nothing(tmp_path):
    done = list(soak(tmp_path, 60, 1))
    assert [(stage.rows, stage.failed, stage.grows) for stage in done] == [(60, 3, [])] * 3


def test_growth_is_noticed():
    before = replace(FLAT, files=18, threads=1)
    rows = 1000
    flat = Soaked("a", rows, 0, FLAT, FLAT, before, 0)
    assert _what_grows(flat) == _what_is_left(flat, before) == []
    for change, words in (
        ({"parent": FLAT.parent + 2 * PER_ROW * rows + SLACK}, "memory of the parent"),
        ({"workers": FLAT.workers + 2 * SLACK}, "memory of a worker"),
        ({"files": 40}, "files"),
        ({"threads": 4}, "threads"),
        ({"segments": 2}, "segments"),
    ):
        assert _what_grows(replace(flat, late=replace(FLAT, **change))) == [words]
    large = {"parent": FLAT.parent + 3000 * rows + SLACK}  # values of 3 kB a row are no leak
    assert _what_grows(replace(flat, late=replace(FLAT, **large), values=3000 * rows)) == []
    left = replace(flat, left=replace(before, segments=3))
    assert _what_is_left(left, before) == ["segments, after the run"]
