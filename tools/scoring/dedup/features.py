"""Copies by CLIP: rows whose features have a large cosine, found without a table of all pairs."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass

import numpy as np

from tools.scoring.dedup.fingerprint import About
from tools.scoring.dedup.hashing import Hashes, pack_signs
from tools.scoring.dedup.matching import Match, candidates, choose

SEARCHES = ("auto", "exact", "index")
"""How features are searched."""
EXACT_ROWS = 100_000
"""Rows up to which ``auto`` is ``exact``."""

_HEADER = struct.Struct("<BBIIIQ")  # version, video, height, width, frames, bytes
_VERSION = 2
_BLOCK = 1024  # rows compared at a time ...
_KEPT = 65_536  # ... with so many kept ones
_PLANES = 256  # random planes, in words of 64


@dataclass(frozen=True)
class Feature:
    """CLIP's feature of a video or an image.

    Attributes:
        about: What is known of the file.
        vector: float32, shape (D,), of length 1.
    """

    about: About
    vector: np.ndarray


def encode_feature(feature: Feature) -> str:
    """A feature as text, for a cell of a table."""
    about = feature.about
    size = about.height, about.width, about.num_frames, about.num_bytes
    header = _HEADER.pack(_VERSION, about.video, *size)
    return base64.b64encode(header + feature.vector.astype("<f4").tobytes()).decode()


def decode_feature(text: str) -> Feature:
    """The reverse of `encode_feature`.

    Raises:
        ValueError: The text is no feature, or that of another version.
    """
    try:
        data = base64.b64decode(text, validate=True)
        version, video, height, width, frames, size = _HEADER.unpack_from(data)
        vector = np.frombuffer(data[_HEADER.size :], "<f4")
    except (ValueError, struct.error) as error:
        raise ValueError(f"no feature: {text[:20]!r}... ({error})") from None
    if version != _VERSION or not len(vector):
        raise ValueError(f"a feature of version {version}, not {_VERSION}")
    return Feature(About(height, width, frames, bool(video), num_bytes=size), vector)


def find_similar(
    vectors: np.ndarray, threshold: float, *, search: str = "auto", device: str = "cpu"
) -> dict[int, Match]:
    """Find rows whose feature is that of a better row, or nearly so.

    Args:
        vectors: float32, shape (n, D), of length 1, from the best row to the worst.
        threshold: Cosine from which on a row is a copy.
        search: ``exact`` compares each row with all that are kept, n x n x D products at most and never more
            than 1024 x 65536 of them in memory. ``index`` looks at rows that lie on the same side of most of
            256 random planes (Charikar 2002); its work grows as n log n, and it may miss a copy. ``auto`` is
            exact up to 100 000 rows.
        device: Where products are computed: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The copies, each of a row that is kept.
    """
    if search == "index" or (search == "auto" and len(vectors) > EXACT_ROWS):
        return _by_index(vectors, threshold)
    return _exactly(vectors, threshold, device)


def _exactly(vectors: np.ndarray, threshold: float, device: str) -> dict[int, Match]:
    import torch

    found: dict[int, Match] = {}
    kept: list[torch.Tensor] = []  # blocks of kept rows, with their numbers in `numbers`
    numbers: list[np.ndarray] = []
    for start in range(0, len(vectors), _BLOCK):
        block = torch.from_numpy(vectors[start : start + _BLOCK]).to(device)
        best, nearest = _nearest_kept(block, kept, numbers)
        within = (block @ block.T).cpu().numpy()
        stays: list[int] = []
        for i in range(len(block)):
            if len(stays):
                near = stays[int(np.argmax(within[i, stays]))]
                if within[i, near] > best[i]:
                    best[i], nearest[i] = within[i, near], start + near
            if best[i] >= threshold:
                found[start + i] = Match(int(nearest[i]), _cosine(best[i]))
            else:
                stays.append(i)
        if stays:
            _append(kept, numbers, block[stays], np.array(stays) + start)
    return found


def _nearest_kept(block: object, kept: list, numbers: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Largest cosine of each row of a block with a kept row, and the number of that row."""
    best, nearest = np.full(len(block), -2.0), np.zeros(len(block), np.int64)
    for rows, names in zip(kept, numbers, strict=True):
        values, places = (block @ rows.T).max(dim=1)
        values, places = values.cpu().numpy(), places.cpu().numpy()
        nearer = values > best
        best[nearer], nearest[nearer] = values[nearer], names[places[nearer]]
    return best, nearest


def _append(kept: list, numbers: list[np.ndarray], rows: object, names: np.ndarray) -> None:
    """Add kept rows to the last of the large blocks, or begin a new one."""
    import torch

    if kept and len(kept[-1]) + len(rows) <= _KEPT:
        kept[-1], numbers[-1] = torch.cat([kept[-1], rows]), np.concatenate([numbers[-1], names])
    else:
        kept.append(rows)
        numbers.append(names)


def _by_index(vectors: np.ndarray, threshold: float) -> dict[int, Match]:
    # Features of all pictures point the same way more or less; without that they spread over the planes.
    centred = vectors - vectors.mean(axis=0)
    planes = np.random.default_rng(0).standard_normal((vectors.shape[1], _PLANES)).astype(np.float32)
    words = pack_signs((centred @ planes).reshape(len(vectors), -1, 64))
    rows = np.arange(len(vectors), dtype=np.int32)
    views = np.zeros(len(vectors), np.uint8)
    several = [Hashes(np.ascontiguousarray(word), rows, views) for word in words.T]
    pairs = candidates([(word, word) for word in several], len(vectors), turned=False)

    def similarity(later: int, earlier: int, ways: list[int]) -> float:
        return float(vectors[later] @ vectors[earlier])

    found = choose(pairs, similarity, threshold)
    return {row: Match(match.kept, _cosine(match.similarity)) for row, match in found.items()}


def _cosine(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)
