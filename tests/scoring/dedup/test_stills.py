"""Stills against what was drawn; registration against known crops; fingerprints with stills as text."""

from __future__ import annotations

import base64
import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.scoring.dedup.drawn import card, slide
from tests.scoring.dedup.scenes import Scene
from tools.scoring.dedup.fingerprint import About, Fingerprint, decode, encode
from tools.scoring.dedup.registration import Placed, lay_over
from tools.scoring.dedup.stills import LEVEL, Still, find_stills

WIDE, TALL = 320, 180


def grey(picture: np.ndarray, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """A part of a picture, left, top, right and bottom as fractions, in the size of a snapshot."""
    image = Image.fromarray(picture).convert("L")
    width, height = image.size
    part = box and (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return np.asarray(
        image.resize((WIDE, TALL), Image.Resampling.BOX if not box else Image.Resampling.BICUBIC, part)
    )


def test_a_picture_that_stands_is_one_still():
    one, other = grey(card("Chapter 1")), grey(slide("Biology", ["cells"]))
    noise = np.random.default_rng(0).integers(-1, 2, (8, TALL, WIDE))
    shown = np.clip(np.stack([one] * 5 + [other] * 3) + noise, 0, 255).astype(np.uint8)
    found = find_stills(shown, np.arange(8) / 2)
    assert [(still.start, still.end) for still in found] == [(0.0, 2.0), (2.5, 3.5)]
    for still, picture in zip(found, (one, other), strict=True):
        assert np.abs((still.picture.astype(int) - 1) * LEVEL + LEVEL / 2 - picture).max() <= LEVEL / 2 + 1


def test_what_moves_is_left_out():
    shown = np.stack([grey(slide("Biology", ["cells"]))] * 6)
    for number, picture in enumerate(shown):
        picture[100:110, 20 + 40 * number : 30 + 40 * number] = 0  # a pointer
    found = find_stills(shown, np.arange(6) / 2)
    assert len(found) == 6
    for number, still in enumerate(found):
        assert not still.picture[100:110, 20 + 40 * number : 30 + 40 * number].any()
        assert (still.picture == 0).mean() < 0.03
    moving = np.stack([grey(picture) for picture in Scene(1).film(0, 4, 2)])
    assert find_stills(moving, np.arange(8) / 2) == []


def test_an_image_is_a_still():
    (still,) = find_stills(grey(Scene(0).at(0))[None], np.zeros(1))
    assert (still.start, still.end) == (0.0, 0.0) and still.picture.all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("box", [(0.05, 0.03, 0.94, 0.97), (0.0, 0.0, 1.0, 1.0), (0.1, 0.0, 0.9, 1.0)])
def test_a_crop_is_laid_over_to_a_fraction_of_a_pixel(box, mirrored):
    picture = slide("Biology 101", ["The cell wall of plants", "Mitochondria make energy", "DNA", "n = 120"])
    whole, part = grey(picture), (grey(picture, box) * 0.8 + 30).astype(np.uint8)
    if mirrored:
        part = part[:, ::-1]
    whole, part = (1 + p // LEVEL for p in (whole, np.ascontiguousarray(part)))
    start = Placed((0.0, 1.0, 0.0, 1.0), (box[0] + 0.02, box[2] + 0.03, box[1] - 0.03, box[3] - 0.02))
    placed = lay_over(part, whole, start, mirrored, False)
    left, right, top, bottom = placed.other
    assert np.array([left, right]) * WIDE == pytest.approx(np.array([box[0], box[2]]) * WIDE, abs=0.4)
    assert np.array([top, bottom]) * TALL == pytest.approx(np.array([box[1], box[3]]) * TALL, abs=0.4)
    one, other, seen = placed.sample(part, whole, mirrored, False)
    assert seen[10:-10, 20:-20].all() and np.abs(one - other)[seen].mean() < 2


def test_stills_as_text_and_back():
    rng = np.random.default_rng(4)
    stills = tuple(
        Still(k + 0.5, k + 0.75, rng.integers(0, 65, (TALL, WIDE)).astype(np.uint8)) for k in range(3)
    )
    pictures = rng.integers(0, 256, (7, 18, 32), dtype=np.uint8)
    made = Fingerprint(About(1080, 1920, 99, True), pictures, 0.5, b"x" * 32, stills)
    for one in (made, dataclasses.replace(made, stills=())):
        found = decode(encode(one))
        np.testing.assert_array_equal(found.pictures, pictures)
        assert found.digest == made.digest and len(found.stills) == len(one.stills)
        for given, read in zip(one.stills, found.stills, strict=True):
            assert given[:2] == read[:2]
            np.testing.assert_array_equal(given.picture, read.picture)


def test_a_fingerprint_of_an_older_version_is_refused():
    text = encode(Fingerprint(About(10, 10, 9, True), np.zeros((1, 18, 32), np.uint8)))
    header = bytearray(base64.b64decode(text[:48]))
    header[0] = 2
    with pytest.raises(ValueError, match="version 2, not 3"):
        decode(base64.b64encode(bytes(header)).decode() + text[48:])
