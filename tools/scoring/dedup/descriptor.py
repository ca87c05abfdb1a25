"""Numbers to compare pictures by: low frequencies of a part of the picture, and 64 bits of them.

The descriptor is a cosine transform, each coefficient weighted by its frequency: the amplitudes of pictures
fall as 1 / frequency (Field 1987), so weighted ones count alike, and a line of text that differs outweighs a
background that does not. The hash is the signs of the lowest 64 coefficients without the mean: the perceptual
hash of images (pHash) with 0 in place of the median. Turning a picture round changes the signs of the odd
horizontal frequencies and nothing else, so a mirrored picture's hash costs one exclusive or.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tools.scoring.dedup.fingerprint import PICTURE_SIZE, WHOLE, Box

FREQUENCIES = (12, 9)
"""Horizontal and vertical frequencies of a descriptor, the mean included.

More of them tell slides apart better, and crops, whose pixels lie elsewhere, worse."""
LENGTH = FREQUENCIES[0] * FREQUENCIES[1]
"""Numbers of a descriptor."""

_FINE = 16  # cells of a picture are cut in so many parts where a window begins and ends
_CHUNKS = 8  # the bits of a hash come in chunks, each with strong coefficients first, see `hash_bits`


def describe(pictures: np.ndarray, window: Box = WHOLE, *, mirrored: bool = False) -> np.ndarray:
    """Descriptors of a part of each picture.

    Args:
        pictures: Shape (n, 18, 32), grey.
        window: The part.
        mirrored: Turn left and right round.

    Returns:
        float32, shape (n, `LENGTH`); the mean's coefficient is 0.
    """
    left, right, top, bottom = window
    across = _cosines(PICTURE_SIZE[0], FREQUENCIES[0], left, right)
    down = _cosines(PICTURE_SIZE[1], FREQUENCIES[1], top, bottom)
    found = down @ (pictures.astype(np.float32) @ across.T) * _weights()
    found = found.reshape(len(pictures), LENGTH)
    return found * mirror_signs() if mirrored else found


@lru_cache(maxsize=64)
def projection(window: Box) -> np.ndarray:
    """The matrix from a flattened picture to the descriptor of a part of it: float32, (576, `LENGTH`)."""
    wide, tall = PICTURE_SIZE
    cells = np.eye(wide * tall, dtype=np.float32).reshape(-1, tall, wide)
    return describe(cells, window)


@lru_cache(maxsize=4096)
def _cosines(cells: int, frequencies: int, low: float, high: float) -> np.ndarray:
    """Orthonormal cosines over the part from low to high of a row of cells: float32, (frequencies, cells)."""
    places = (np.arange(cells * _FINE) + 0.5) / (cells * _FINE)
    inside = (places > low) & (places < high)
    waves = np.cos(np.pi * np.arange(frequencies)[:, None] * (places - low) / (high - low)) * inside
    waves = waves.reshape(frequencies, cells, _FINE).sum(axis=2) / inside.sum()
    waves[1:] *= np.sqrt(2)
    return waves.astype(np.float32)


@lru_cache(maxsize=1)
def _weights() -> np.ndarray:
    down, across = np.mgrid[0 : FREQUENCIES[1], 0 : FREQUENCIES[0]]
    return np.hypot(down, across).astype(np.float32)


@lru_cache(maxsize=1)
def mirror_signs() -> np.ndarray:
    """What each number of a descriptor is multiplied with when the picture is turned round: float32."""
    across = np.arange(LENGTH) % FREQUENCIES[0]
    return np.where(across % 2, -1, 1).astype(np.float32)


@lru_cache(maxsize=1)
def hash_bits() -> np.ndarray:
    """Which numbers of a descriptor give the bits of a hash, highest bit first: int64, shape (64,).

    The lowest frequencies are the largest and so the most certain. They are dealt to 8 chunks like cards, so
    that the hash, rotated by any number of chunks, begins with some that are certain.
    """
    frequency = _weights().ravel()
    lowest = np.argsort(frequency, kind="stable")[1:65]
    return np.concatenate([lowest[chunk::_CHUNKS] for chunk in range(_CHUNKS)])


def hash_descriptors(descriptors: np.ndarray) -> np.ndarray:
    """64 bits of each descriptor.

    Args:
        descriptors: Shape (n, `LENGTH`).

    Returns:
        uint64, shape (n,).
    """
    return pack_signs(descriptors[:, hash_bits()])


def pack_signs(values: np.ndarray) -> np.ndarray:
    """Whether numbers are positive, as bits: shape (..., 64) to uint64, shape (...,)."""
    packed = np.ascontiguousarray(np.packbits(values > 0, axis=-1))
    return packed.view(">u8")[..., 0].astype(np.uint64)


@lru_cache(maxsize=1)
def mirror_mask() -> np.uint64:
    """What a hash is exclusive-ored with when the picture is turned round."""
    odd = hash_bits() % FREQUENCIES[0] % 2 == 1
    return pack_signs(np.where(odd, 1.0, -1.0)[None])[0]
