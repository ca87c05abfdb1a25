"""Text in the picture as a stage: columns ``ocr``, ``ocr_area`` and ``ocr_text``."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tools.media.frames import Frame
from tools.media.sampling import Sampling
from tools.models.device import check_names
from tools.scoring.ocr.scorer import OcrScorer, check_options
from tools.scoring.ocr.sessions import find_models, resolve_ocr_device
from tools.stage.stage import Row, Stage

_FIRST_MIDDLE_LAST = Sampling("first_middle_last", 3)
_DECIMALS = 6
_THREADS = 4  # that feed a GPU; boxes are drawn on the CPU


@dataclasses.dataclass
class OcrStage(Stage):
    """Regions of text: column ``path`` in, columns ``ocr`` and ``ocr_area`` out, and ``ocr_text`` on demand.

    Of several frames the largest count and the largest area stand for a video. On a CPU the workers find the
    text, one frame on one core; on a GPU they only decode.

    Attributes:
        sampling: Which frames of a video are looked at.
        threshold: The detector's confidence that a region must exceed.
        limit_side: Longer side in pixels at which frames are looked at.
        check: What makes a region count, a name of `tools.scoring.ocr.scorer.CHECKS`.
        text: Add ``ocr_text``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        decoder: Decoder that reads the frames.

    Raises:
        UserError: A package is not installed, the device cannot be used, or a value is out of range.
    """

    name: ClassVar[str] = "ocr"
    suffix: ClassVar[str] = "_ocr"

    sampling: Sampling = _FIRST_MIDDLE_LAST
    threshold: float = 0.3
    limit_side: int = 1280
    check: str = "reading"
    text: bool = False
    device: str = "auto"
    decoder: str = "pyav"

    def __post_init__(self) -> None:
        check_options(self.threshold, self.limit_side, self.check)
        check_names(self.device)
        find_models()
        self.adds: dict[str, Any] = {"ocr": pl.Int64, "ocr_area": pl.Float64}
        if self.text:
            self.adds["ocr_text"] = pl.String
        super().__post_init__()

    def find(self) -> None:
        """Find the device."""
        self.device = resolve_ocr_device(self.device)

    def asked(self) -> dict[str, Any]:
        """What changes the values: the networks, the frames and the options; not where it runs."""
        return {
            "models": [f"rapidocr {version('rapidocr')}", *(file.name for file in _model_files())],
            "sampling": self.sampling.asdict(),
            "threshold": self.threshold,
            "limit_side": self.limit_side,
            "check": self.check,
            "text": self.text,
            "decoder": self.decoder,
        }

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any] | list[np.ndarray]:
        """The finished values on a CPU; for a GPU the frames."""
        images = [frame.image for frame in frames]
        if self.device != "cpu":
            return images
        return self._values(images, _scorer("cpu", self.threshold, self.limit_side, self.check))

    def setup(self) -> None:
        """Load the networks onto the GPU, when it is one."""
        if self.device != "cpu":
            self._scorer = _scorer(self.device, self.threshold, self.limit_side, self.check)

    def score(self, batch: list[Any]) -> list[dict[str, Any]]:
        """The values of each row; what workers finished is handed on."""
        if self.device == "cpu":
            return batch
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(partial(self._values, scorer=self._scorer), batch))

    def _values(self, images: list[np.ndarray], scorer: OcrScorer) -> dict[str, Any]:
        values = scorer.score(images, text=self.text)
        return values | {"ocr_area": round(float(values["ocr_area"]), _DECIMALS)}


@lru_cache(maxsize=1)
def _scorer(device: str, threshold: float, limit_side: int, check: str) -> OcrScorer:
    """One for all jobs of a worker."""
    return OcrScorer(device=device, threshold=threshold, limit_side=limit_side, check=check)


def _model_files() -> tuple[Any, ...]:
    models = find_models()
    return models.detection, models.recognition
