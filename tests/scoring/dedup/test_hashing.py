"""Descriptors against their formula; hashes against signs, mirrored pictures and Python's count of bits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.scoring.dedup.scenes import Scene
from tools.scoring.dedup import hashing
from tools.scoring.dedup.fingerprint import WHOLE
from tools.scoring.dedup.hashing import FREQUENCIES, describe, hash_bits, mirror, pack_signs, projection


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


def hashes(descriptors: np.ndarray) -> np.ndarray:
    return pack_signs(descriptors[:, hash_bits()])


def test_brightness_and_mirror():
    pictures = np.stack([Scene(3).at(t).mean(axis=2)[::10, ::10] for t in (0, 1, 2)])
    found = describe(pictures)
    np.testing.assert_allclose(describe(pictures * 0.5 + 40), found * 0.5, atol=1e-3)
    np.testing.assert_allclose(describe(pictures[:, :, ::-1]), describe(pictures, mirrored=True), atol=1e-3)
    np.testing.assert_array_equal(hashes(describe(pictures[:, :, ::-1])), mirror(hashes(found)))


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


def test_bits_are_counted():
    values = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    expected = [bin(int(v)).count("1") for v in values]
    assert hashing.count_bits(values).tolist() == expected
    assert hashing._count_bits_by_halves(values).tolist() == expected  # for NumPy 1
