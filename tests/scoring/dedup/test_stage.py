"""Averages over time against an integral, boxes against known bars, stills against what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.dedup.drawn import card, slide
from tests.scoring.dedup.scenes import SIZE, Scene, snapshot
from tools.scoring.dedup.fingerprint import LEVEL, WHOLE
from tools.scoring.dedup.stage import average_over_time, find_box, find_stills, make_fingerprint


def smooth(times: np.ndarray) -> np.ndarray:
    """Pictures that change smoothly: (n, 36, 64)."""
    rng = np.random.default_rng(0)
    one, other = rng.uniform(0, 100, (2, 36, 64))
    return 100 + one * np.sin(2 * times)[:, None, None] + other * np.cos(3 * times)[:, None, None]


def test_averages_are_the_integral_with_a_triangle():
    times = np.sort(np.random.default_rng(1).uniform(0, 4, 50))  # a variable frame rate
    times[0] = 0.0
    pictures = smooth(times)
    means = average_over_time(pictures, times)
    end = times[-1] + np.median(np.diff(times))
    assert len(means) == round(2 * end)
    fine = np.arange(0, end, 1e-4) + 5e-5
    shown = np.searchsorted(times, fine, side="right") - 1
    for k, mean in enumerate(means):
        weights = np.maximum(0, 1 - np.abs(fine - (k + 0.5) / 2) / 0.5)
        each = np.bincount(shown, weights, len(times)) / weights.sum()
        np.testing.assert_allclose(mean, np.tensordot(each, pictures, 1), atol=0.05)


@pytest.mark.parametrize("fps", [12, 24, 30, 60])
def test_the_frame_rate_drops_out(fps):
    dense = average_over_time(smooth(np.arange(0, 4, 1 / 240)), np.arange(0, 4, 1 / 240))
    times = np.arange(0, 4, 1 / fps)
    # a frame is shown from its time on, so the slower clip lags by half a frame
    assert np.abs(average_over_time(smooth(times), times) - dense).max() < 300 / fps


def test_a_piece_has_a_piece_of_the_fingerprint():
    times = np.arange(0, 6, 1 / 24)
    whole = average_over_time(smooth(times), times)
    piece = average_over_time(smooth(times)[48:120], times[48:120] - times[48])  # from 2 s to 5 s
    np.testing.assert_allclose(piece[1:-1], whole[5:9], rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shortest_clips(count):
    times = np.arange(count) / 24
    means = average_over_time(smooth(times), times)
    assert len(means) == 1
    assert means.min() >= smooth(times).min() - 1e-3 and means.max() <= smooth(times).max() + 1e-3


def test_bars_are_found_to_a_part_of_a_cell():
    rng = np.random.default_rng(2)
    fine = np.zeros((5, 360, 640), np.float32)
    fine[:, 47:313] = rng.uniform(60, 220, (5, 266, 640))  # rows 47 to 313 of 360
    left, right, top, bottom = find_box(fine.reshape(5, 36, 10, 64, 10).mean(axis=(2, 4)))
    assert (left, right) == (0, 1)
    assert top == pytest.approx(47 / 360, abs=0.006) and bottom == pytest.approx(313 / 360, abs=0.006)


def test_what_is_dark_only_at_times_is_no_bar():
    rng = np.random.default_rng(3)
    means = rng.uniform(60, 220, (6, 36, 64))
    means[:3, :6] = 0
    assert find_box(means) == WHOLE
    assert find_box(np.zeros((3, 36, 64))) == WHOLE
    means[:, :20] = 0  # more than half
    assert find_box(means) == WHOLE


def test_an_image_has_one_picture():
    grey = np.random.default_rng(7).integers(0, 256, (1, 36, 64), dtype=np.uint8)
    made = make_fingerprint(grey, np.zeros(1), height=SIZE[1], width=SIZE[0], is_video=False)
    halved = grey.reshape(1, 18, 2, 32, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(made.pictures * made.step + halved.min(), halved, atol=made.step)
    assert made.pictures.min() == 0 and made.pictures.max() == 255
    np.testing.assert_allclose(made.contrast, halved.std(), rtol=0.01)
    assert not made.info.is_video


def test_a_picture_that_stands_is_one_still():
    one, other = snapshot(card("Chapter 1")), snapshot(slide("Biology", ["cells"]))
    noise = np.random.default_rng(0).integers(-1, 2, (8, 180, 320))
    shown = np.clip(np.stack([one] * 5 + [other] * 3) + noise, 0, 255).astype(np.uint8)
    found = find_stills(shown, np.arange(8) / 2)
    assert [(still.start, still.end) for still in found] == [(0.0, 2.0), (2.5, 3.5)]
    for still, picture in zip(found, (one, other), strict=True):
        assert np.abs((still.picture.astype(int) - 1) * LEVEL + LEVEL / 2 - picture).max() <= LEVEL / 2 + 1


def test_what_moves_is_left_out():
    shown = np.stack([snapshot(slide("Biology", ["cells"]))] * 6)
    for number, picture in enumerate(shown):
        picture[100:110, 20 + 40 * number : 30 + 40 * number] = 0  # a pointer
    found = find_stills(shown, np.arange(6) / 2)
    assert len(found) == 6
    for number, still in enumerate(found):
        assert not still.picture[100:110, 20 + 40 * number : 30 + 40 * number].any()
        assert (still.picture == 0).mean() < 0.03
    moving = np.stack([snapshot(picture) for picture in Scene(1).film(0, 4, 2)])
    assert find_stills(moving, np.arange(8) / 2) == []


def test_an_image_is_a_still():
    (still,) = find_stills(snapshot(Scene(0).at(0))[None], np.zeros(1))
    assert (still.start, still.end) == (0.0, 0.0) and still.picture.all()
