"""The technical measures as a stage: which frames they read, and the columns they fill."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.errors import UserError
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import SamplingError
from tools.options import option
from tools.options.values import Names, Text, Whole
from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES, THUMBNAIL, check_measures
from tools.scoring.technical.niqe_model import NiqeModel, load_niqe_model
from tools.stage.common_options import decoder_option
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights


@dataclasses.dataclass(frozen=True)
class FramePairs:
    """Pairs of neighbouring frames, spread over the video.

    One from the middle of each of `count` equal parts, or up to two frames earlier or later: at equal
    distances, a pattern of five frames, as 2:3 pulldown makes, could be met at the same place every time.

    Attributes:
        count: Number of pairs; a short video has fewer.
    """

    count: int = 6

    def indices(self, times: np.ndarray) -> list[int]:
        """Frames to read, ascending; the only frame where there is only one.

        Args:
            times: Float64, shape (frames,): seconds.

        Raises:
            SamplingError: The video has no frames.
        """
        n = len(times)
        if n < 2:
            if n == 0:
                raise SamplingError("the video has no frames")
            return [0]
        count = min(self.count, n // 2)
        part = (n - 1) / count
        spread = 5 if part >= 6 else 3 if part >= 4 else 1  # pairs stay apart, and in order
        firsts = [int((k + 0.5) * part) + 2 * k % spread - spread // 2 for k in range(count)]
        return sorted({i for first in firsts for i in (first, first + 1)})

    def asdict(self) -> dict[str, Any]:
        """The choice as JSON."""
        return {"policy": "frame_pairs", "count": self.count}


@dataclasses.dataclass
class TechnicalStage(Stage):
    """Technical measures: column ``path`` in, one column for each measure out (``black_bars`` has two).

    Attributes:
        niqe_model: Of the file; None without NIQE.

    Raises:
        UserError: There is no such measure, or the parameters of NIQE are missing or wrong.
    """

    name = "technical"
    version = 5
    suffix = "_technical"

    measures: tuple[str, ...] = option(
        DEFAULT_MEASURES,
        "measures, joined by commas",
        Names(MEASURES),
        shown="all that need no parameters: all but niqe",
    )
    num_frames: int = option(
        6, "positions in a video at which frames are read in full size, two at each", Whole(1)
    )
    niqe_parameters: str | None = option(
        None,
        "parameters of NIQE",
        Text("FILE"),
        shown="pretrained_models/niqe_image_params.mat; 'python -m tools.models.weights download niqe'",
        everyday=False,
    )
    decoder: str = decoder_option()
    niqe_model: NiqeModel | None = dataclasses.field(init=False, default=None)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        self.measures = check_measures(self.measures)
        self.output_columns = {
            column: "String" if column == "crop" else "Float64"
            for name in self.measures
            for column in MEASURES[name].columns
        }
        self.thumbnails = THUMBNAIL if any(MEASURES[name].thumbnails for name in self.measures) else None
        self.niqe_digest = None
        if "niqe" not in self.measures and self.niqe_parameters is not None:
            raise UserError("parameters of NIQE are given, but niqe is not among the measures")

    def required_weights(self) -> list[RequiredWeights]:
        """The parameters of NIQE, where that is measured."""
        from tools.models.required import RequiredWeights

        return [RequiredWeights("niqe", self.niqe_parameters)] if "niqe" in self.measures else []

    def find(self) -> None:
        """Find and read the parameters of NIQE, where that is measured."""
        if "niqe" in self.measures:
            from tools.models.weights import find_weights

            found = find_weights("niqe", self.niqe_parameters)
            self.niqe_model, self.niqe_digest = load_niqe_model(found.path), found.sha256

    @property
    def sampling(self) -> FramePairs | None:
        """Pairs of frames, when a measure reads frames in full size."""
        wanted = any(MEASURES[name].frames for name in self.measures)
        return FramePairs(self.num_frames) if wanted else None

    def config(self) -> dict[str, Any]:
        """What changes the values: the measures, the frames, the parameters of NIQE."""
        return {
            "measures": list(self.measures),
            "num_frames": self.num_frames,
            "thumbnails": THUMBNAIL,
            "decoder": self.decoder,
            "niqe": self.niqe_digest,
        }

    def prepare(self, row: Row, frames: Frames) -> dict[str, Any]:
        """Measure one file; these are the finished values."""
        from tools.scoring.technical.scorer import measure

        return measure(frames, frames.times, frames.thumbnails, self.measures, self.niqe_model)
