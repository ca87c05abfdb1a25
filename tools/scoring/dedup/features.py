"""The method clip: rows whose CLIP features have a large cosine, found without a table of all pairs."""

from __future__ import annotations

import base64
import dataclasses
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.scoring.clip_features import mean_feature
from tools.scoring.clip_stage import CLIPRow, CLIPStage
from tools.scoring.dedup.candidates import find_candidates
from tools.scoring.dedup.fingerprint import FileInfo
from tools.scoring.dedup.hashing import Hashes, HashSearch, pack_signs
from tools.scoring.dedup.selection import Match, select_duplicates
from tools.scoring.dedup.stage import file_size
from tools.stage.stage import Row

if TYPE_CHECKING:
    import torch

FEATURE = "clip_feature"
"""Column of `FeatureStage`."""
_VERSION = 2
_EXACT_ROWS = 100_000  # up to which search "auto" is "exact"
_BLOCK = 1024  # rows compared at a time ...
_KEPT = 65_536  # ... with as many kept ones
_PLANES = 256  # random planes, in words of 64


@dataclasses.dataclass
class FeatureStage(CLIPStage):
    """Fingerprints by CLIP: column ``path`` in, column ``clip_feature`` out.

    The feature of a video is the mean of those of its sampled frames, each scaled to length 1 before and the
    mean after.
    """

    name = "clip_feature"
    suffix = "_clip_feature"
    version = 2
    output_columns = {FEATURE: "String"}

    def prepare(self, row: Row, frames: Frames) -> CLIPRow:
        """Crops for CLIP, with the file info."""
        height, width = frames[0].image.shape[:2]
        is_video, size = not is_image(row["path"]), file_size(row["path"])
        info = FileInfo(height, width, len(frames.times), is_video, num_bytes=size)
        return super().prepare(row, frames)._replace(extras=info)

    def score_features(self, features: list[np.ndarray], extras: list[FileInfo]) -> list[dict[str, Any]]:
        """One mean feature for each row."""
        return [
            {FEATURE: encode_feature(Feature(info, mean_feature(own).astype(np.float32)))}
            for own, info in zip(features, extras, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Feature:
    """The CLIP feature of a video or an image.

    Attributes:
        info: Size and kind of the file.
        vector: float32, shape (D,), of length 1.
    """

    info: FileInfo
    vector: np.ndarray


def encode_feature(feature: Feature) -> str:
    """A feature as text, for a cell of a table."""
    return base64.b64encode(feature.info.pack(_VERSION) + feature.vector.astype("<f4").tobytes()).decode()


def decode_feature(text: str) -> Feature:
    """The reverse of `encode_feature`.

    Raises:
        ValueError: The text is not a feature, or one of another version.
    """
    try:
        version, info, data = FileInfo.unpack(base64.b64decode(text, validate=True))
        vector = np.frombuffer(data, "<f4")
    except (ValueError, struct.error) as error:
        raise ValueError(f"not a feature: {text[:20]!r}... ({error})") from None
    if version != _VERSION or not len(vector):
        raise ValueError(f"a feature of version {version}, not {_VERSION}")
    return Feature(info, vector)


def find_similar(
    vectors: np.ndarray, threshold: float, *, search: str = "auto", device: str = "cpu"
) -> dict[int, Match]:
    """Find rows whose features have a large cosine with that of a better row.

    Args:
        vectors: float32, shape (n, D), of length 1, from the best row to the worst.
        threshold: Minimum cosine of a duplicate.
        search: ``exact`` compares each row with all that are kept, n x n x D products at most and never more
            than 1024 x 65536 of them in memory. ``index`` compares rows that lie on the same side of most of
            256 random planes (Charikar 2002); its work grows as n log n, and it may miss a duplicate.
            ``auto`` is exact up to 100 000 rows.
        device: Where products are computed: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The duplicates, each of a kept row.
    """
    if search == "index" or (search == "auto" and len(vectors) > _EXACT_ROWS):
        return _search_index(vectors, threshold)
    return _search_exactly(vectors, threshold, device)


def _search_exactly(vectors: np.ndarray, threshold: float, device: str) -> dict[int, Match]:
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
                found[start + i] = Match(int(nearest[i]), _clamp(best[i]))
            else:
                stays.append(i)
        if stays:
            _append(kept, numbers, block[stays], np.array(stays) + start)
    return found


def _nearest_kept(
    block: torch.Tensor, kept: list[torch.Tensor], numbers: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Largest cosine of each row of a block with a kept row, and the number of that row."""
    best, nearest = np.full(len(block), -2.0), np.zeros(len(block), np.int64)
    for rows, row_numbers in zip(kept, numbers, strict=True):
        largest = (block @ rows.T).max(dim=1)
        values, places = largest.values.cpu().numpy(), largest.indices.cpu().numpy()
        nearer = values > best
        best[nearer], nearest[nearer] = values[nearer], row_numbers[places[nearer]]
    return best, nearest


def _append(
    kept: list[torch.Tensor], numbers: list[np.ndarray], rows: torch.Tensor, row_numbers: np.ndarray
) -> None:
    """Add kept rows to the last of the large blocks, or begin a new one."""
    import torch

    if kept and len(kept[-1]) + len(rows) <= _KEPT:
        kept[-1] = torch.cat([kept[-1], rows])
        numbers[-1] = np.concatenate([numbers[-1], row_numbers])
    else:
        kept.append(rows)
        numbers.append(row_numbers)


def _search_index(vectors: np.ndarray, threshold: float) -> dict[int, Match]:
    # Features of all pictures point in similar directions; without their mean they spread over the planes.
    centred = vectors - vectors.mean(axis=0)
    planes = np.random.default_rng(0).standard_normal((vectors.shape[1], _PLANES)).astype(np.float32)
    words = pack_signs((centred @ planes).reshape(len(vectors), -1, 64))
    rows, views = np.arange(len(vectors), dtype=np.int32), np.zeros(len(vectors), np.uint8)
    hashes = [Hashes(np.ascontiguousarray(word), rows, views) for word in words.T]
    candidates = find_candidates([HashSearch(h, h) for h in hashes], len(vectors), mirrored=False)

    def cosine(later: int, earlier: int, views: list[int]) -> float:
        return float(vectors[later] @ vectors[earlier])

    found = select_duplicates(candidates, cosine, threshold)
    return {row: Match(match.kept, _clamp(match.similarity)) for row, match in found.items()}


def _clamp(cosine: float) -> float:
    return min(max(float(cosine), 0.0), 1.0)
