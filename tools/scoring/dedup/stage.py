"""The stages that read the files: a fingerprint of each, by its pictures over time or by CLIP."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tools.errors import MediaError
from tools.media.extensions import is_image
from tools.media.requests import FrameRequest, Frames
from tools.media.sampling import Sampling
from tools.scoring.clip_features import mean_feature
from tools.scoring.clip_stage import ClipRow, ClipStage
from tools.scoring.dedup.alignment import FLAT
from tools.scoring.dedup.features import Feature, encode_feature
from tools.scoring.dedup.fingerprint import THUMBNAIL_SIZE, About, encode, make_fingerprint
from tools.scoring.dedup.stills import SNAPSHOTS, find_stills
from tools.stage.stage import Row, Stage

FINGERPRINT = "fingerprint"
"""Column of `FingerprintStage`."""
FEATURE = "clip_feature"
"""Column of `FeatureStage`."""

_FIRST = Sampling("first", 1)


@dataclasses.dataclass
class FingerprintStage(Stage):
    """Fingerprints by pictures: column ``path`` in, column ``fingerprint`` out.

    A fingerprint is some hundred characters long for each second; see
    `tools.scoring.dedup.copies.mark_copies` for what compares them.
    """

    name: ClassVar[str] = "fingerprint"
    suffix: ClassVar[str] = "_fingerprint"
    version: ClassVar[int] = 3
    adds: ClassVar[dict[str, type[pl.DataType]]] = {FINGERPRINT: pl.String}
    thumbnails: ClassVar[tuple[int, int]] = THUMBNAIL_SIZE

    @property
    def sampling(self) -> Sampling:
        """One frame in full, which tells the size."""
        return _FIRST

    @property
    def request(self) -> FrameRequest:
        """That frame, thumbnails of all, and snapshots."""
        return FrameRequest(self.sampling, self.thumbnails, SNAPSHOTS)

    def prepare(self, row: Row, frames: Frames) -> dict[str, str]:
        """The fingerprint. Runs in a worker process."""
        height, width = frames[0].image.shape[:2]
        made = make_fingerprint(
            frames.thumbnails,
            frames.times,
            height=height,
            width=width,
            video=not is_image(row["path"]),
            num_bytes=_file_size(row["path"]),
        )
        if frames.snapshots is not None:
            stills = find_stills(frames.snapshots, frames.snapshot_times - frames.times[0])
            made = dataclasses.replace(made, stills=tuple(stills))
        if (made.contrast < FLAT).all():
            made = dataclasses.replace(made, digest=_digest(row["path"]))
        return {FINGERPRINT: encode(made)}


@dataclasses.dataclass
class FeatureStage(ClipStage):
    """Fingerprints by CLIP: column ``path`` in, column ``clip_feature`` out.

    That of a video is the mean of the features of its sampled frames, each scaled to length 1, and so is it.
    """

    name: ClassVar[str] = "clip_feature"
    suffix: ClassVar[str] = "_clip_feature"
    version: ClassVar[int] = 2
    adds: ClassVar[dict[str, Any]] = {FEATURE: pl.String}

    def prepare(self, row: Row, frames: Frames) -> ClipRow:
        """Crops for CLIP, and what is known of the file."""
        height, width = frames[0].image.shape[:2]
        video, size = not is_image(row["path"]), _file_size(row["path"])
        about = About(height, width, len(frames.times), video, num_bytes=size)
        return super().prepare(row, frames)._replace(extras=about)

    def score_features(self, features: list[np.ndarray], extras: list[About]) -> list[dict[str, Any]]:
        """One mean feature for each row."""
        return [
            {FEATURE: encode_feature(Feature(about, mean_feature(own).astype(np.float32)))}
            for own, about in zip(features, extras, strict=True)
        ]


def _file_size(path: str) -> int:
    """Bytes; 0 for what was read and is gone by now."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _digest(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            whole = hashlib.sha256()
            while block := file.read(1 << 20):
                whole.update(block)
            return whole.digest()
    except OSError as error:
        raise MediaError("unreadable", path, f"cannot be read: {error.strerror or error}") from None
