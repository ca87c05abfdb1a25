"""Hashes of all fingerprints: those that are looked for, and those that are looked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tools.scoring.dedup.alignment import FLAT, View
from tools.scoring.dedup.descriptor import hash_bits, mirror_mask, pack_signs, projection
from tools.scoring.dedup.fingerprint import PICTURE_SIZE, WHOLE, About, Box, Fingerprint
from tools.scoring.dedup.index import count_bits

_INSETS = (0.0, 0.05, 0.1, 0.15)
WINDOWS: tuple[Box, ...] = (
    *((x, 1 - x, y, 1 - y) for x, y in product(_INSETS, _INSETS)),
    (0.1, 1.0, 0.0, 1.0),
    (0.0, 0.9, 0.0, 1.0),
    (0.0, 1.0, 0.1, 1.0),
    (0.0, 1.0, 0.0, 0.9),
)
"""Parts of a picture that may be another clip's whole picture; the first is the whole."""
PARTS: tuple[Box, ...] = ((0.0, 1.0, 0.25, 1.0), (0.0, 1.0, 0.0, 0.75))
"""Parts of a picture that are the same in a copy with a logo or a strip of text above or below."""

_STILL = 2  # bits; a picture that differs less from the one before is not looked up
_REFRESH = 8  # ... but every eighth is
_BLOCK = 4096  # pictures that are multiplied at once


@dataclass(frozen=True)
class Hashes:
    """Hashes with where they are from.

    Attributes:
        hashes: uint64, shape (n,).
        rows: Number of the fingerprint, int32.
        views: How it was looked at: number of the window, `WITH_BARS`, or `FIRST_PART` and on; uint8.
    """

    hashes: np.ndarray
    rows: np.ndarray
    views: np.ndarray

    def pieces(self, size: int) -> Iterator[Hashes]:
        """The same in pieces of so many."""
        for start in range(0, len(self.hashes), size):
            some = slice(start, start + size)
            yield Hashes(self.hashes[some], self.rows[some], self.views[some])


WITH_BARS = len(WINDOWS)
"""The view of a picture that has bars, with them."""
FIRST_PART = WITH_BARS + 1
"""The view of the first of the `PARTS`; after them come those of pictures that have bars, with them."""


def view_of(about: About, number: int, *, mirrored: bool = False) -> View:
    """The view that a number of `Hashes.views` stands for."""
    if number == WITH_BARS:
        return View(WHOLE, mirrored)
    if number >= FIRST_PART + len(PARTS):
        return View(PARTS[number - FIRST_PART - len(PARTS)], mirrored, partial=True)
    left, right, top, bottom = about.box
    wide, tall = right - left, bottom - top
    partial = number >= FIRST_PART
    window = PARTS[number - FIRST_PART] if partial else WINDOWS[number]
    inner = (left + window[0] * wide, left + window[1] * wide, top + window[2] * tall, top + window[3] * tall)
    return View(inner, mirrored, partial)


def hash_all(fingerprints: Iterator[Fingerprint | None]) -> list[tuple[Hashes, Hashes]]:
    """Hash fingerprints.

    Args:
        fingerprints: One after the other; None for a row that has none.

    Returns:
        Pairs of the hashes to look up, and those to look for among them. First those of whole pictures, with
        and without bars, to be looked up, and for them the `WINDOWS` as well; then each of the `PARTS`, which
        are looked for among the same part of others. Pictures in which there is nothing to see have none.
    """
    stored: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    asked: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    parts: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in PARTS]
    for pictures, rows, views, places in _blocks(fingerprints):
        hashes = _hash(pictures, _matrix(WINDOWS[:1]))[:, 0]
        keys = _keys(hashes, rows, views, places)
        hashes, rows, views, pictures = hashes[keys], rows[keys], views[keys], pictures[keys]
        stored.append((hashes, rows, views))
        asked.append((hashes, rows, views))
        boxed = views != WITH_BARS
        found = _hash(pictures[boxed], _matrix(WINDOWS[1:]))
        numbers = np.broadcast_to(np.arange(1, len(WINDOWS), dtype=np.uint8), found.shape)
        asked.append((found.ravel(), np.repeat(rows[boxed], found.shape[1]), numbers.ravel()))
        for number, (some, of_part) in enumerate(zip(parts, _hash(pictures, _matrix(PARTS)).T, strict=True)):
            view = np.where(boxed, FIRST_PART + number, FIRST_PART + len(PARTS) + number)
            some.append((of_part, rows, view.astype(np.uint8)))
    return [(_join(stored), _join(asked)), *((_join(part), _join(part)) for part in parts)]


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the pictures turned round."""
    return hashes ^ mirror_mask()


def _join(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Hashes:
    if not parts:
        return Hashes(np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.uint8))
    return Hashes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _blocks(
    fingerprints: Iterator[Fingerprint | None],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Pictures of many fingerprints at a time: float32 (n, 576), with their rows, views and places."""
    pending: list[tuple[np.ndarray, int, int]] = []
    waiting = 0
    for row, fingerprint in enumerate(fingerprints):
        if fingerprint is None:
            continue
        whole = fingerprint.pictures.astype(np.float32)
        whole[fingerprint.contrast < FLAT] = np.nan
        if fingerprint.about.box == WHOLE:
            pending.append((whole, row, 0))
        else:
            pending += [(_zoom(whole, fingerprint.about.box), row, 0), (whole, row, WITH_BARS)]
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


def _keys(hashes: np.ndarray, rows: np.ndarray, views: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which pictures are looked up: those that differ from the one before, and some of those that do not."""
    new = np.ones(len(hashes), bool)
    same = (rows[1:] == rows[:-1]) & (views[1:] == views[:-1])
    new[1:] = ~same | (count_bits(hashes[1:] ^ hashes[:-1]) > _STILL) | (places[1:] % _REFRESH == 0)
    return np.flatnonzero(new)


def _hash(pictures: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """uint64, shape (n, windows)."""
    return pack_signs((pictures @ matrix).reshape(len(pictures), matrix.shape[1] // 64, 64))


def _matrix(windows: Sequence[Box]) -> np.ndarray:
    """From flattened pictures to the numbers whose signs are the bits, for several windows side by side."""
    return np.concatenate([projection(window)[:, hash_bits()] for window in windows], axis=1)


def _zoom(pictures: np.ndarray, box: Box) -> np.ndarray:
    """Fill pictures with a part of them: each cell is the mean of what it covers."""
    down, across = (_overlaps(n, *box[k : k + 2]) for n, k in zip(PICTURE_SIZE[::-1], (2, 0), strict=True))
    return np.einsum("vy,nyx,ux->nvu", down, pictures, across, optimize=True)


def _overlaps(count: int, low: float, high: float) -> np.ndarray:
    """What part of each new cell lies in each old one: float32, (count, count), rows sum to 1."""
    edges = np.linspace(low, high, count + 1) * count
    old = np.arange(count)
    common = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    common = np.maximum(common, 0)
    return (common / common.sum(axis=1, keepdims=True)).astype(np.float32)
