"""The aesthetic score as a stage: which frames it looks at, and how they become the column ``aes``."""

from __future__ import annotations

import dataclasses
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from tools.media.frames import Frame
from tools.media.sampling import Sampling
from tools.models.clip_preprocess import clip_crop
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.scoring.aesthetic.scorer import AestheticScorer

_FIRST_MIDDLE_LAST = Sampling("first_middle_last", 3)
_DECIMALS = 6  # far below what a precision changes; keeps 17 digits of noise out of the table


@dataclasses.dataclass
class AestheticStage(Stage):
    """LAION aesthetic score: column ``path`` in, column ``aes`` out.

    The score of a video is the mean over its sampled frames, that of an image is its own. Making the stage
    finds and verifies the weights; they are loaded by `setup`.

    Attributes:
        sampling: Which frames of a video are scored.
        clip_model: Name, file or folder of a CLIP, see `tools.models.clip_source.find_clip`.
        head: File of the head; None looks where weights are kept.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        compile: Run CLIP through ``torch.compile``.
        decoder: Decoder that reads the frames.
        image_size: Side of CLIP's input in pixels; follows from the weights.

    Raises:
        UserError: Weights are missing or wrong.
    """

    name: ClassVar[str] = "aes"
    suffix: ClassVar[str] = "_aes"
    adds: ClassVar[dict[str, type[pl.DataType]]] = {"aes": pl.Float64}

    sampling: Sampling = _FIRST_MIDDLE_LAST
    clip_model: str = "ViT-L/14"
    head: str | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    decoder: str = "pyav"
    image_size: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        from tools.models.clip_source import find_clip
        from tools.models.device import resolve_device, resolve_precision
        from tools.models.weights import find_weights

        self._clip = find_clip(self.clip_model)
        self._head = find_weights("aesthetic", self.head)
        self.image_size = self._clip.image_size
        self.device = resolve_device(self.device)
        self.precision = resolve_precision(self.precision, self.device)

    def asked(self) -> dict[str, Any]:
        """What changes the values: both weights, the frames, the arithmetic; not where it runs."""
        return {
            "clip": self._clip.digest,
            "head": self._head.sha256,
            "sampling": self.sampling.asdict(),
            "decoder": self.decoder,
            "precision": self.precision,
            "compile": self.compile,
        }

    def prepare(self, row: Row, frames: list[Frame]) -> np.ndarray:
        """Crops for CLIP: uint8, shape (frames, S, S, 3)."""
        return np.stack([clip_crop(frame.image, self.image_size) for frame in frames])

    def setup(self) -> None:
        """Load CLIP and the head onto the device."""
        from tools.scoring.aesthetic.scorer import AestheticScorer

        self._scorer: AestheticScorer = AestheticScorer(
            self._clip,
            self._head.path,
            device=self.device,
            precision=self.precision,
            compile=self.compile,
        )

    def score(self, batch: list[np.ndarray]) -> list[dict[str, float]]:
        """Mean score over the frames of each row."""
        scores = self._scorer.score_crops(crop for crops in batch for crop in crops)
        ends = list(accumulate(len(crops) for crops in batch))
        rows = np.split(scores, ends[:-1])
        return [{"aes": round(float(row.mean()), _DECIMALS)} for row in rows]
