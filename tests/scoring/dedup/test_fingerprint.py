"""Fingerprints as text and back, with and without stills; damaged and old ones."""

from __future__ import annotations

import base64
import dataclasses

import numpy as np
import pytest

from tools.scoring.dedup.fingerprint import FileInfo, Fingerprint, Still, decode, decode_info, encode


@pytest.mark.parametrize("count", [1, 7])
def test_text_and_back(count):
    pictures = np.random.default_rng(4).integers(0, 256, (count, 18, 32), dtype=np.uint8)
    made = Fingerprint(FileInfo(1080, 1920, 99, True, (0.1, 0.9, 0.0, 1.0)), pictures, 0.5, b"x" * 32)
    found = decode(encode(made))
    np.testing.assert_array_equal(found.pictures, pictures)
    assert (found.digest, found.step) == (made.digest, made.step)
    assert found.info == decode_info(encode(made))
    assert (found.info.height, found.info.width, found.info.num_frames) == (1080, 1920, 99)
    np.testing.assert_allclose(found.info.box, made.info.box, atol=1e-5)


def test_stills_as_text_and_back():
    rng = np.random.default_rng(4)
    stills = tuple(
        Still(k + 0.5, k + 0.75, rng.integers(0, 65, (180, 320)).astype(np.uint8)) for k in range(3)
    )
    pictures = rng.integers(0, 256, (7, 18, 32), dtype=np.uint8)
    made = Fingerprint(FileInfo(1080, 1920, 99, True), pictures, 0.5, b"x" * 32, stills)
    for one in (made, dataclasses.replace(made, stills=())):
        found = decode(encode(one))
        np.testing.assert_array_equal(found.pictures, pictures)
        assert found.digest == made.digest and len(found.stills) == len(one.stills)
        for given, read in zip(one.stills, found.stills, strict=True):
            assert given[:2] == read[:2]
            np.testing.assert_array_equal(given.picture, read.picture)


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA" * 30, "ä"])
def test_other_text_is_not_a_fingerprint(text):
    with pytest.raises(ValueError, match="not a fingerprint"):
        decode(text)


def test_a_truncated_fingerprint_is_refused():
    pictures = np.random.default_rng(4).integers(0, 256, (3, 18, 32), dtype=np.uint8)
    text = encode(Fingerprint(FileInfo(10, 10, 9, True), pictures))
    with pytest.raises(ValueError, match="not a fingerprint"):
        decode(text[:200])


def test_a_fingerprint_of_an_older_version_is_refused():
    text = encode(Fingerprint(FileInfo(10, 10, 9, True), np.zeros((1, 18, 32), np.uint8)))
    header = bytearray(base64.b64decode(text[:48]))
    header[0] = 2
    with pytest.raises(ValueError, match="version 2, not 3"):
        decode(base64.b64encode(bytes(header)).decode() + text[48:])
