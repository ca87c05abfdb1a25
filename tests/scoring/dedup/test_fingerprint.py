"""Averages over time against an integral, boxes against known bars, descriptors against their formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.scoring.dedup.scenes import SIZE, Scene
from tools.scoring.dedup.descriptor import (
    FREQUENCIES,
    describe,
    hash_bits,
    hash_descriptors,
    mirror_mask,
    pack_signs,
    projection,
)
from tools.scoring.dedup.fingerprint import (
    WHOLE,
    About,
    Fingerprint,
    average_over_time,
    decode,
    decode_about,
    encode,
    find_box,
    make_fingerprint,
)


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


@pytest.mark.parametrize("count", [1, 7])
def test_text_and_back(count):
    pictures = np.random.default_rng(4).integers(0, 256, (count, 18, 32), dtype=np.uint8)
    made = Fingerprint(About(1080, 1920, 99, True, (0.1, 0.9, 0.0, 1.0)), pictures, 0.5, b"x" * 32)
    found = decode(encode(made))
    np.testing.assert_array_equal(found.pictures, pictures)
    assert (found.digest, found.step) == (made.digest, made.step)
    assert found.about == decode_about(encode(made))
    assert (found.about.height, found.about.width, found.about.num_frames) == (1080, 1920, 99)
    np.testing.assert_allclose(found.about.box, made.about.box, atol=1e-5)


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA" * 30, "ä"])
def test_what_is_no_fingerprint(text):
    with pytest.raises(ValueError, match="no fingerprint"):
        decode(text)


def test_a_cut_fingerprint_is_told():
    pictures = np.random.default_rng(4).integers(0, 256, (3, 18, 32), dtype=np.uint8)
    text = encode(Fingerprint(About(10, 10, 9, True), pictures))
    with pytest.raises(ValueError, match="no fingerprint"):
        decode(text[:200])


def test_descriptors_are_weighted_cosines():
    pictures = np.random.default_rng(5).integers(0, 256, (2, 18, 32)).astype(np.uint8)
    found = describe(pictures).reshape(2, FREQUENCIES[1], FREQUENCIES[0])
    for v, u in ((0, 1), (3, 0), (5, 9), (8, 11)):
        # the mean over each cell of a cosine, times the cell: a discrete cosine transform but for the sinc
        total = 0.0
        for y in range(18):
            for x in range(32):
                wave_y = np.mean([math.cos(math.pi * v * (y + (i + 0.5) / 16) / 18) for i in range(16)])
                wave_x = np.mean([math.cos(math.pi * u * (x + (i + 0.5) / 16) / 32) for i in range(16)])
                total += pictures[0, y, x] * wave_y * wave_x
        norm = (math.sqrt(2) if u else 1) * (math.sqrt(2) if v else 1) / (18 * 32)
        assert found[0, v, u] == pytest.approx(total * norm * math.hypot(u, v), rel=1e-3, abs=1e-3)
    assert (found[:, 0, 0] == 0).all()


def test_brightness_and_mirror():
    pictures = np.stack([Scene(3).at(t).mean(axis=2)[::10, ::10] for t in (0, 1, 2)])
    found = describe(pictures)
    np.testing.assert_allclose(describe(pictures * 0.5 + 40), found * 0.5, atol=1e-3)
    np.testing.assert_allclose(describe(pictures[:, :, ::-1]), describe(pictures, mirrored=True), atol=1e-3)
    np.testing.assert_array_equal(
        hash_descriptors(describe(pictures[:, :, ::-1])), hash_descriptors(found) ^ mirror_mask()
    )


def test_a_window_is_the_descriptor_of_that_part():
    fine = Scene(4).at(0).mean(axis=2)
    whole = fine.reshape(18, 10, 32, 10).mean(axis=(1, 3))[None]
    part = fine[20:160, 40:290]  # 250 x 140 of 320 x 180
    cells = np.stack(
        [
            [
                part[y * 140 // 18 : (y + 1) * 140 // 18, x * 250 // 32 : (x + 1) * 250 // 32].mean()
                for x in range(32)
            ]
            for y in range(18)
        ]
    )
    one = describe(whole, (40 / 320, 290 / 320, 20 / 180, 160 / 180))[0]
    other = describe(cells[None])[0]
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9
    flat = whole.reshape(1, -1).astype(np.float32)
    np.testing.assert_allclose(flat @ projection(WHOLE), describe(whole), rtol=1e-3, atol=1e-2)


def test_hash_bits_are_signs_of_the_lowest_frequencies():
    bits = hash_bits()
    assert len(set(bits.tolist())) == 64 and 0 not in bits
    highest = max(math.hypot(*divmod(int(b), FREQUENCIES[0])) for b in bits)
    left = set(range(1, FREQUENCIES[0] * FREQUENCIES[1])) - set(bits.tolist())
    assert min(math.hypot(*divmod(b, FREQUENCIES[0])) for b in left) >= highest - 1e-6
    values = np.random.default_rng(6).standard_normal((3, 64))
    expected = [int("".join("1" if v > 0 else "0" for v in row), 2) for row in values]
    assert pack_signs(values).tolist() == expected


def test_an_image_has_one_picture():
    grey = np.random.default_rng(7).integers(0, 256, (1, 36, 64), dtype=np.uint8)
    made = make_fingerprint(grey, np.zeros(1), height=SIZE[1], width=SIZE[0], video=False)
    halved = grey.reshape(1, 18, 2, 32, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(made.pictures * made.step + halved.min(), halved, atol=made.step)
    assert made.pictures.min() == 0 and made.pictures.max() == 255
    np.testing.assert_allclose(made.contrast, halved.std(), rtol=0.01)
    assert not made.about.video
