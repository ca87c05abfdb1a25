"""CLIP's features of pictures and texts, scaled to length 1: the input of every score that uses CLIP."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tools.models.clip_preprocess import clip_crop

if TYPE_CHECKING:
    from PIL import Image

    from tools.models.clip import CLIPEncoder

_CHUNK = 512  # crops normalised and encoded at a time: 77 MB at 224 x 224; a multiple of the GPU's batch


def image_features(encoder: CLIPEncoder, images: Iterable[Image.Image | np.ndarray]) -> np.ndarray:
    """Features of pictures.

    Args:
        encoder: A loaded CLIP.
        images: PIL images, or uint8 arrays of shape (H, W, 3) in RGB; sizes may differ.

    Returns:
        float64, shape (N, D), each of length 1.
    """
    crops = (clip_crop(image, encoder.image_size, encoder.pictures) for image in images)
    features = [encoder.encode_crops(np.stack(chunk)).numpy() for chunk in _chunks(crops)]
    return unit_length(np.concatenate(features) if features else np.empty((0, encoder.embed_dim)))


def text_features(encoder: CLIPEncoder, token_ids: np.ndarray) -> np.ndarray:
    """Features of texts.

    Args:
        encoder: A loaded CLIP.
        token_ids: Integers, shape (N, context length), see `tools.models.clip_tokenizer.CLIPTokenizer.pad`.

    Returns:
        float64, shape (N, D), each of length 1.
    """
    import torch

    return unit_length(encoder.encode_text(torch.from_numpy(token_ids)).numpy())


def unit_length(features: np.ndarray) -> np.ndarray:
    """Scale features to length 1: shape (N, D) to float64, shape (N, D); NaN where that cannot be done."""
    features = features.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return features / np.linalg.norm(features, axis=1, keepdims=True)


def mean_feature(features: np.ndarray) -> np.ndarray:
    """One feature for several pictures (or texts): the mean of theirs, scaled to length 1.

    Args:
        features: float64, shape (N, D), each of length 1.

    Returns:
        float64, shape (D,).
    """
    return unit_length(features.mean(axis=0, keepdims=True))[0]


def cosines(features: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosines between features and one other, all of length 1: shapes (N, D) and (D,) to (N,).

    Each depends on its own row alone, to the last bit; the sums of a matrix product depend on its shape.
    """
    return (features * other).sum(axis=1)


def fingerprint(crop: np.ndarray) -> bytes:
    """A digest of a crop: equal crops have equal digests."""
    return hashlib.blake2b(np.ascontiguousarray(crop).data, digest_size=16).digest()


class CLIPFeatures:
    """A loaded CLIP, and a cache of its latest features.

    The feature of a crop does not depend on the other crops of a batch, so each is encoded once.

    Args:
        encoder: The CLIP.
        remember: Number of features that are cached between calls.

    Attributes:
        encoder: See above.
    """

    def __init__(self, encoder: CLIPEncoder, *, remember: int = 0) -> None:
        self.encoder = encoder
        self._remember = remember
        self._known: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def of(self, rows: Sequence[tuple[np.ndarray, Sequence[bytes]]]) -> list[np.ndarray]:
        """Features of the crops of several rows.

        Args:
            rows: For each row its crops, uint8, shape (frames, S, S, 3), and the `fingerprint` of each.

        Returns:
            For each row float64, shape (frames, D), each of length 1; NaN where CLIP gives no numbers.
        """
        crops = {key: crop for row in rows for crop, key in zip(*row, strict=True)}
        found = {key: self._known[key] for key in crops if key in self._known}
        for chunk in _chunks(key for key in crops if key not in found):
            encoded = self.encoder.encode_crops(np.stack([crops[key] for key in chunk])).numpy()
            found |= zip(chunk, encoded, strict=True)
        self._keep(found)
        return [unit_length(np.stack([found[key] for key in keys])) for _, keys in rows]

    def _keep(self, features: dict[bytes, np.ndarray]) -> None:
        if not self._remember:
            return
        for key, feature in features.items():
            self._known[key] = feature
            self._known.move_to_end(key)
        while len(self._known) > self._remember:
            self._known.popitem(last=False)


def _chunks(items: Iterable) -> Iterator[list]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
