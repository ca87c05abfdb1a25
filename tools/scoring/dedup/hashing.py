"""Descriptors and 64-bit hashes of the pictures of fingerprints.

The descriptor is a cosine transform, each coefficient weighted by its frequency: the amplitudes of pictures
fall as 1 / frequency (Field 1987), so weighted coefficients count alike, and a line of text that differs
outweighs a background that does not. The hash is the signs of the lowest 64 coefficients without the mean:
the perceptual hash of images (pHash) with 0 in place of the median. Mirroring a picture changes the signs of
the odd horizontal frequencies and nothing else, so the hash of a mirrored picture costs one exclusive or.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from tools.scoring.dedup.fingerprint import FLAT, PICTURE_SIZE, WHOLE, Box, FileInfo, Fingerprint

FREQUENCIES = (12, 9)
"""Horizontal and vertical frequencies of a descriptor, the mean included.

With more of them slides differ more clearly, but so do crops, whose pixels lie elsewhere."""
LENGTH = FREQUENCIES[0] * FREQUENCIES[1]
"""Numbers of a descriptor."""

_INSETS = (0.0, 0.05, 0.1, 0.15)
WINDOWS: tuple[Box, ...] = (
    *((x, 1 - x, y, 1 - y) for x, y in product(_INSETS, _INSETS)),
    (0.1, 1.0, 0.0, 1.0),
    (0.0, 0.9, 0.0, 1.0),
    (0.0, 1.0, 0.1, 1.0),
    (0.0, 1.0, 0.0, 0.9),
)
"""Parts of a picture that may be the whole picture of a cropped copy; the first is the whole."""
PARTS: tuple[Box, ...] = ((0.0, 1.0, 0.25, 1.0), (0.0, 1.0, 0.0, 0.75))
"""Parts of a picture that stay the same when a logo or subtitles are laid over the rest."""
WITH_BARS = len(WINDOWS)
"""Number of the view that includes the bars of the picture."""
FIRST_PART = WITH_BARS + 1
"""Number of the view of the first of the `PARTS`; then the others, then those of pictures with their bars."""

_SUBCELLS = 16  # of a cell, for windows that begin or end inside one
_CHUNKS = 8  # of a hash, each with strong coefficients first, see `hash_bits`
_UNCHANGED = 2  # bits; a picture that differs less from the one before is not indexed ...
_REFRESH = 8  # ... but for every eighth
_BLOCK = 4096  # pictures that are multiplied at once


@dataclass(frozen=True)
class View:
    """The part of the pictures of a fingerprint that is compared.

    Attributes:
        window: The part.
        mirrored: Whether left and right are exchanged.
        partial: Whether the rest of the pictures may show something else.
    """

    window: Box = WHOLE
    mirrored: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Hashes:
    """Hashes, and the pictures that they are of.

    Attributes:
        hashes: uint64, shape (n,).
        rows: Number of the fingerprint, int32, shape (n,).
        views: Number of the view, see `view_of`: index into `WINDOWS`, `WITH_BARS`, or `FIRST_PART` and up;
            uint8, shape (n,).
    """

    hashes: np.ndarray
    rows: np.ndarray
    views: np.ndarray

    def batches(self, size: int) -> Iterator[Hashes]:
        """The same in batches of this size."""
        for start in range(0, len(self.hashes), size):
            some = slice(start, start + size)
            yield Hashes(self.hashes[some], self.rows[some], self.views[some])


class HashSearch(NamedTuple):
    """A search for near hashes.

    Attributes:
        indexed: Hashes to search among.
        queries: Hashes to search for.
    """

    indexed: Hashes
    queries: Hashes


_Columns = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Hashes, rows and views, see `Hashes`."""


def describe(pictures: np.ndarray, window: Box = WHOLE, *, mirrored: bool = False) -> np.ndarray:
    """Descriptors of a part of each picture.

    Args:
        pictures: Shape (n, 18, 32), grey.
        window: The part.
        mirrored: Exchange left and right.

    Returns:
        float32, shape (n, `LENGTH`); the mean's coefficient is 0.
    """
    left, right, top, bottom = window
    across = _cosines(PICTURE_SIZE[0], FREQUENCIES[0], left, right)
    down = _cosines(PICTURE_SIZE[1], FREQUENCIES[1], top, bottom)
    found = down @ (pictures.astype(np.float32) @ across.T) * _weights()
    found = found.reshape(len(pictures), LENGTH)
    return found * _mirror_signs() if mirrored else found


@lru_cache(maxsize=64)
def projection(window: Box) -> np.ndarray:
    """The matrix from a flattened picture to the descriptor of a part of it: float32, (576, `LENGTH`)."""
    wide, tall = PICTURE_SIZE
    cells = np.eye(wide * tall, dtype=np.float32).reshape(-1, tall, wide)
    return describe(cells, window)


@lru_cache(maxsize=4096)
def _cosines(cells: int, frequencies: int, low: float, high: float) -> np.ndarray:
    """Orthonormal cosines over the part from low to high of a row of cells: float32, (frequencies, cells)."""
    places = (np.arange(cells * _SUBCELLS) + 0.5) / (cells * _SUBCELLS)
    inside = (places > low) & (places < high)
    waves = np.cos(np.pi * np.arange(frequencies)[:, None] * (places - low) / (high - low)) * inside
    waves = waves.reshape(frequencies, cells, _SUBCELLS).sum(axis=2) / inside.sum()
    waves[1:] *= np.sqrt(2)
    return waves.astype(np.float32)


@lru_cache(maxsize=1)
def _weights() -> np.ndarray:
    down, across = np.mgrid[0 : FREQUENCIES[1], 0 : FREQUENCIES[0]]
    return np.hypot(down, across).astype(np.float32)


@lru_cache(maxsize=1)
def _mirror_signs() -> np.ndarray:
    """Factors that turn a descriptor into that of the mirrored picture: float32."""
    across = np.arange(LENGTH) % FREQUENCIES[0]
    return np.where(across % 2, -1, 1).astype(np.float32)


@lru_cache(maxsize=1)
def hash_bits() -> np.ndarray:
    """Which numbers of a descriptor give the bits of a hash, highest bit first: int64, shape (64,).

    The lowest frequencies are the largest and so the most reliable. They are dealt to 8 chunks like cards, so
    that the hash, rotated by any number of chunks, begins with some that are reliable.
    """
    frequency = _weights().ravel()
    lowest = np.argsort(frequency, kind="stable")[1:65]
    return np.concatenate([lowest[chunk::_CHUNKS] for chunk in range(_CHUNKS)])


def pack_signs(values: np.ndarray) -> np.ndarray:
    """Whether numbers are positive, as bits: shape (..., 64) to uint64, shape (...,)."""
    packed = np.ascontiguousarray(np.packbits(values > 0, axis=-1))
    return packed.view(">u8")[..., 0].astype(np.uint64)


@lru_cache(maxsize=1)
def _mirror_mask() -> np.uint64:
    """The bits of a hash that mirroring the picture inverts."""
    odd = hash_bits() % FREQUENCIES[0] % 2 == 1
    return pack_signs(np.where(odd, 1.0, -1.0)[None])[0]


def mirror(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the mirrored pictures."""
    return hashes ^ _mirror_mask()


def count_bits(values: np.ndarray) -> np.ndarray:
    """How many bits of each uint64 are set: uint8."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(values)
    return _count_bits_by_halves(values)


def _count_bits_by_halves(values: np.ndarray) -> np.ndarray:
    """The same by adding bits in pairs, fours and eights (Warren, "Hacker's Delight", 5-1)."""
    pairs, fours, eights = (
        np.uint64(m) for m in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)
    )
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & eights
    with np.errstate(over="ignore"):
        return ((values * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def view_of(info: FileInfo, number: int, *, mirrored: bool = False) -> View:
    """The view of a number in `Hashes.views`."""
    if number == WITH_BARS:
        return View(WHOLE, mirrored)
    if number >= FIRST_PART + len(PARTS):
        return View(PARTS[number - FIRST_PART - len(PARTS)], mirrored, partial=True)
    left, right, top, bottom = info.box
    wide, tall = right - left, bottom - top
    partial = number >= FIRST_PART
    window = PARTS[number - FIRST_PART] if partial else WINDOWS[number]
    inner = (left + window[0] * wide, left + window[1] * wide, top + window[2] * tall, top + window[3] * tall)
    return View(inner, mirrored, partial)


def hash_all(fingerprints: Iterator[Fingerprint | None]) -> list[HashSearch]:
    """Hash fingerprints.

    Args:
        fingerprints: One after the other; None for a row that has none.

    Returns:
        The searches that find duplicates. In the first, whole pictures, with and without bars, are indexed,
        and the queries are these and their `WINDOWS`; in the others, one for each of the `PARTS`, that part
        of all pictures is both. Pictures that show nothing have no hashes.
    """
    indexed: list[_Columns] = []
    queries: list[_Columns] = []
    parts: list[list[_Columns]] = [[] for _ in PARTS]
    for pictures, rows, views, places in _blocks(fingerprints):
        hashes = _hash(pictures, _matrix(WINDOWS[:1]))[:, 0]
        keys = _key_pictures(hashes, rows, views, places)
        hashes, rows, views, pictures = hashes[keys], rows[keys], views[keys], pictures[keys]
        indexed.append((hashes, rows, views))
        queries.append((hashes, rows, views))
        boxed = views != WITH_BARS
        found = _hash(pictures[boxed], _matrix(WINDOWS[1:]))
        numbers = np.broadcast_to(np.arange(1, len(WINDOWS), dtype=np.uint8), found.shape)
        queries.append((found.ravel(), np.repeat(rows[boxed], found.shape[1]), numbers.ravel()))
        for number, (some, of_part) in enumerate(zip(parts, _hash(pictures, _matrix(PARTS)).T, strict=True)):
            view = np.where(boxed, FIRST_PART + number, FIRST_PART + len(PARTS) + number)
            some.append((of_part, rows, view.astype(np.uint8)))
    joined = [_join(part) for part in parts]
    return [HashSearch(_join(indexed), _join(queries)), *(HashSearch(part, part) for part in joined)]


def _join(blocks: Sequence[_Columns]) -> Hashes:
    if not blocks:
        return Hashes(np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.uint8))
    return Hashes(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))


def _blocks(
    fingerprints: Iterator[Fingerprint | None],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Pictures of many fingerprints at a time: float32 (n, 576), with their rows, views and times."""
    pending: list[tuple[np.ndarray, int, int]] = []
    waiting = 0
    for row, fingerprint in enumerate(fingerprints):
        if fingerprint is None:
            continue
        whole = fingerprint.pictures.astype(np.float32)
        whole[fingerprint.contrast < FLAT] = np.nan
        if fingerprint.info.box == WHOLE:
            pending.append((whole, row, 0))
        else:
            pending += [(_zoom(whole, fingerprint.info.box), row, 0), (whole, row, WITH_BARS)]
        waiting += len(whole)
        if waiting >= _BLOCK:
            yield _stack(pending)
            pending, waiting = [], 0
    if pending:
        yield _stack(pending)


def _stack(
    parts: Sequence[tuple[np.ndarray, int, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    counts = [len(pictures) for pictures, _, _ in parts]
    pictures = np.concatenate([pictures.reshape(len(pictures), -1) for pictures, _, _ in parts])
    rows = np.repeat(np.array([row for _, row, _ in parts], np.int32), counts)
    views = np.repeat(np.array([view for _, _, view in parts], np.uint8), counts)
    places = np.concatenate([np.arange(count) for count in counts])
    seen = ~np.isnan(pictures[:, 0])
    return pictures[seen], rows[seen], views[seen], places[seen]


def _key_pictures(hashes: np.ndarray, rows: np.ndarray, views: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Pictures to index: those that differ from the one before, and some of those that do not."""
    new = np.ones(len(hashes), bool)
    same = (rows[1:] == rows[:-1]) & (views[1:] == views[:-1])
    new[1:] = ~same | (count_bits(hashes[1:] ^ hashes[:-1]) > _UNCHANGED) | (places[1:] % _REFRESH == 0)
    return np.flatnonzero(new)


def _hash(pictures: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Hashes of flattened pictures: uint64, shape (n, windows)."""
    return pack_signs((pictures @ matrix).reshape(len(pictures), matrix.shape[1] // 64, 64))


def _matrix(windows: Sequence[Box]) -> np.ndarray:
    """From flattened pictures to the numbers whose signs are the bits, for several windows side by side."""
    return np.concatenate([projection(window)[:, hash_bits()] for window in windows], axis=1)


def _zoom(pictures: np.ndarray, box: Box) -> np.ndarray:
    """Enlarge a part of each picture to the whole: each cell is the mean of what it covers."""
    down, across = (_overlaps(n, *box[k : k + 2]) for n, k in zip(PICTURE_SIZE[::-1], (2, 0), strict=True))
    return np.einsum("vy,nyx,ux->nvu", down, pictures, across, optimize=True)


def _overlaps(count: int, low: float, high: float) -> np.ndarray:
    """What fraction of each new cell lies in each old one: float32, (count, count), rows sum to 1."""
    edges = np.linspace(low, high, count + 1) * count
    old = np.arange(count)
    common = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    common = np.maximum(common, 0)
    return (common / common.sum(axis=1, keepdims=True)).astype(np.float32)
