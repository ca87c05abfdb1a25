"""Text in the picture as a stage: columns ``ocr``, ``ocr_area`` and ``ocr_text``."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.media.reading.sampling import Sampling
from tools.options import option
from tools.options.values import Choice, Number, Whole
from tools.scoring.ocr.backends import BACKENDS, backend_version, choose_backend
from tools.scoring.ocr.scorer import CHECKS, OcrScorer
from tools.scoring.ocr.sessions import find_models
from tools.stage.common_options import decoder_option, device_option, frames_option
from tools.stage.stage import REMARKS, Row, Stage

if TYPE_CHECKING:
    from tools.media.reading.frames import Frame

_DECIMALS = 6
_THREADS = 4  # that feed a GPU; boxes are drawn on the CPU


@dataclasses.dataclass
class OcrStage(Stage):
    """Regions of text: column ``path`` in, columns ``ocr`` and ``ocr_area`` out, and ``ocr_text`` on demand.

    Of several frames the largest count and the largest area are those of the video. On a CPU the workers find
    the text, one frame on one core; on a GPU they only decode.

    Raises:
        UserError: A package is not installed, the device cannot be used, or a value is out of range.
    """

    name = "ocr"
    suffix = "_ocr"
    checks_order = True

    sampling: Sampling = frames_option(Sampling("first_middle_last", 3), "3")
    threshold: float = option(
        0.3,
        "confidence of the detector that a region must exceed, 0 to 1",
        Number(0, 1, below=True, metavar="C"),
    )
    limit_side: int = option(
        1280,
        "longer side in pixels at which frames are read; larger ones are scaled down",
        Whole(32, metavar="PX"),
        everyday=False,
    )
    check: str = option("reading", "which regions count", Choice(CHECKS), everyday=False)
    text: bool = option(False, "add ocr_text, what the frame with most text says")
    backend: str = option("auto", "what computes the detection network", Choice(BACKENDS), everyday=False)
    device: str = device_option()
    decoder: str = decoder_option()

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        find_models()
        self.output_columns: dict[str, Any] = {"ocr": "Int64", "ocr_area": "Float64", REMARKS: "Object"}
        if self.text:
            self.output_columns["ocr_text"] = "String"

    def find(self) -> None:
        """Find the device, and what is installed for it."""
        self.device, self.backend = choose_backend(self.device, self.backend)

    def config(self) -> dict[str, Any]:
        """What changes the values: the networks, their backend, the frames, the options; not the device."""
        return {
            "models": [f"rapidocr {version('rapidocr')}", *(file.name for file in _model_files())],
            "backend": self.backend,
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
        return self._values(images, self._scorer_on("cpu"))

    def setup(self) -> None:
        """Load the networks onto the GPU, when it is one."""
        if self.device != "cpu":
            self._scorer = self._scorer_on(self.device)

    def score(self, batch: list[Any]) -> list[dict[str, Any]]:
        """The values of each row; what workers finished is passed through."""
        if self.device == "cpu":
            return batch
        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(partial(self._values, scorer=self._scorer), batch))

    def _values(self, images: list[np.ndarray], scorer: OcrScorer) -> dict[str, Any]:
        values = scorer.score(images, text=self.text)
        remark = f"detection network in {backend_version(self.backend)}"
        return values | {"ocr_area": round(float(values["ocr_area"]), _DECIMALS), REMARKS: [remark]}

    def _scorer_on(self, device: str) -> OcrScorer:
        return _scorer(device, self.threshold, self.limit_side, self.check, self.backend)


@lru_cache(maxsize=1)
def _scorer(device: str, threshold: float, limit_side: int, check: str, backend: str) -> OcrScorer:
    """One for all jobs of a worker."""
    return OcrScorer(device=device, threshold=threshold, limit_side=limit_side, check=check, backend=backend)


def _model_files() -> tuple[Any, ...]:
    models = find_models()
    return models.detection, models.recognition
