"""Mixtures against the definition, written out in float64 for each pair of frames."""

import numpy as np
import pytest

from tools.media.reading.mixtures import find_mixtures

PIXELS = 1296


def by_definition(pictures, length, uneven, parts):
    """Pairs that differ by 12, correlate by less than 0.6, and have fitting shares between them."""
    found = []
    for first in range(len(pictures) - length):
        a, b = pictures[first].astype(float), pictures[first + length].astype(float)
        difference = b - a
        alike = np.corrcoef(a, b)[0, 1] if a.std() > 0 and b.std() > 0 else 0
        if np.sqrt((difference**2).mean()) < 12 or alike >= 0.6:
            continue
        for part in parts:
            offset = round(part * length)
            beyond = pictures[first + offset] - a
            (share,), *_ = np.linalg.lstsq(difference[:, None], beyond, rcond=None)
            rest = np.linalg.norm(beyond - share * difference) / np.linalg.norm(difference)
            if rest >= 0.35 or abs(share - offset / length) >= uneven:
                break
        else:
            found.append((first, first + length))
    return found


@pytest.mark.parametrize("noise", [0, 1])
def test_dissolves_fades_and_cuts(noise):
    chance = np.random.default_rng(3)
    shots = chance.integers(20, 220, (4, PIXELS)).astype(float)
    share = np.linspace(0, 1, 13)[:, None]
    white, black = np.full(PIXELS, 255.0), np.zeros(PIXELS)
    pieces = [
        np.repeat(shots[:1], 9, 0),
        (1 - share) * shots[0] + share * shots[1],  # a dissolve
        np.repeat(shots[2:3], 9, 0),  # behind a cut
        (1 - share) * shots[2] + share * white,  # a fade to white, and from black
        (1 - share) * black + share * shots[3],
        np.stack([np.roll(shots[3], 3 * i) for i in range(20)]),  # motion
    ]
    pictures = np.concatenate(pieces) + chance.normal(0, 1, (77, PIXELS)) * noise
    pictures = pictures.clip(0, 255).round().astype(np.uint8)
    parts = (0.5, 0.25, 0.75)
    found = find_mixtures(pictures, [6, 9, 12], uneven=0.12, parts=parts)
    assert found == [pair for n in (6, 9, 12) for pair in by_definition(pictures, n, 0.12, parts)]
    assert {(9, 21), (31, 43), (44, 56)} <= set(found)
    many = np.concatenate([pictures] * 30)  # more than are worked on at a time
    assert sorted(find_mixtures(many, [12], uneven=0.12)) == by_definition(many, 12, 0.12, parts)
    assert find_mixtures(pictures[:5], [6, 9], uneven=0.12) == []


def test_every_fade_to_plain_white_is_found():
    """Sums of squares of white are large, and a plain picture correlates with none."""
    shots = np.random.default_rng(5).integers(20, 220, (200, 1, PIXELS)).astype(float)
    share = np.linspace(0, 1, 13)[:, None]
    white = 254 - (np.random.default_rng(6).random((200, PIXELS)) < 0.02)  # as encoders leave it
    faded = [(1 - share) * shot + share * plain for shot, plain in zip(shots, white, strict=True)]
    pictures = np.concatenate(faded).round().astype(np.uint8)
    found = find_mixtures(pictures, [12], uneven=0.12)
    assert {(13 * number, 13 * number + 12) for number in range(200)} <= set(found)
