"""Optical flow as a stage: column ``path`` in, ``flow`` and the columns of motion out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import SamplingError
from tools.options import option
from tools.options.values import Choice, Whole
from tools.scoring.optical_flow.pairs import FlowChoice
from tools.scoring.optical_flow.pictures import averaged_picture, sampled_picture
from tools.scoring.optical_flow.scorer import Clip, make_clip, score_clips
from tools.stage.common_options import decoder_option, device_option, precision_option, weights_option
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights

METHODS: dict[str, str] = {
    "gmflow": "the network UniMatch GMFlow; needs weights, slow without a GPU",
    "dis": "OpenCV's dense inverse search; no weights, milliseconds on a CPU",
}
"""Ways to compute flow."""

COMPAT = ("opensora",)
"""Other software whose values can be reproduced exactly."""

_HINT = "or compute flow without a network: --method dis"
_DECIMALS = 6  # keeps digits out of the table that mean nothing


@dataclasses.dataclass
class OpticalFlowStage(Stage):
    """Optical flow of videos. Images fail with ``no_video``: nothing moves in them.

    Creating the stage finds and verifies the weights; `setup` loads them.

    Raises:
        UserError: Weights are missing or wrong, or options contradict each other.
    """

    name = "flow"
    suffix = "_flow"
    checks_order = True
    output_columns = {
        "flow": "Float64",
        "motion": "Float64",
        "motion_p95": "Float64",
    }

    method: str = option("gmflow", "", Choice(METHODS))
    motion_pairs: int = option(
        6, "pairs of frames for motion, spread over the video; 0: only flow", Whole(0), everyday=False
    )
    split_camera: bool = option(
        False, "add motion_camera and motion_subject: what the camera does, and what moves by itself"
    )
    compat: str | None = option(
        None,
        "only flow; short clips are filled up with their last frame, images are clips of one (Open-Sora)",
        Choice(COMPAT),
        everyday=False,
    )
    weights: str | None = weights_option("weights of GMFlow", "pretrained_models/unimatch")
    device: str = device_option("where GMFlow runs")
    precision: str = precision_option("of GMFlow; auto is fp32")
    compile: bool = option(
        False,
        "run GMFlow through torch.compile (GPU alone: starts in a minute, twice as fast)",
        everyday=False,
    )
    decoder: str = decoder_option()

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if self.compat:
            self.motion_pairs = 0
        if self.split_camera and not self.motion_pairs:
            because = f"--compat {self.compat} gives" if self.compat else "--motion-pairs 0 leaves"
            raise UserError(f"--split-camera: {because} flow alone; do without one of the two")
        columns = ["flow"]
        if self.motion_pairs:
            columns += ["motion", "motion_p95"]
        if self.split_camera:
            columns += ["motion_camera", "motion_subject"]
        self.output_columns = dict.fromkeys(columns, "Float64")

    def required_weights(self) -> list[RequiredWeights]:
        """GMFlow, where that is the method."""
        from tools.models.required import RequiredWeights

        return [RequiredWeights("gmflow", self.weights, hint=_HINT)] if self.method == "gmflow" else []

    def notes(self) -> list[str]:
        """A word on the time that GMFlow takes on a CPU."""
        if self.method != "gmflow" or self.device != "cpu":
            return []
        return ["note: GMFlow takes seconds per pair of frames on a CPU; see --method dis"]

    def find(self) -> None:
        """Find GMFlow and the device, where that is the method."""
        if self.method != "gmflow":
            return
        from tools.models.device import resolve_device, resolve_precision
        from tools.models.weights import find_weights

        try:
            self._weights = find_weights("gmflow", self.weights)
        except UserError as error:
            raise UserError(f"{error}; {_HINT}") from None
        self.device = resolve_device(self.device)
        if self.compile and self.device == "cpu":
            raise UserError("--compile: GMFlow gains by it on a GPU alone; do without --compile on a CPU")
        precision = "fp32" if self.precision == "auto" else self.precision
        self.precision = resolve_precision(precision, self.device)

    @property
    def sampling(self) -> FlowChoice:
        """Frames 0, 10, 20 and 30, and pairs of frames spread over the video."""
        return FlowChoice(self.motion_pairs, padded=self.compat == "opensora")

    def config(self) -> dict[str, Any]:
        """What changes the values; not where they are computed."""
        network = {}
        if self.method == "gmflow":
            network = {
                "weights": self._weights.sha256,
                "precision": self.precision,
                "compile": self.compile,
            }
        return {
            "method": self.method,
            "frames": self.sampling.asdict(),
            "split_camera": self.split_camera,
            "compat": self.compat,
            "decoder": self.decoder,
            **network,
        }

    def prepare(self, row: Row, frames: Frames) -> Clip | dict[str, float]:
        """Pictures for the network, or with DIS the finished scores."""
        if is_image(row["path"]) and not self.compat:
            raise MediaError("no_video", row["path"], "an image: nothing moves in it")
        images = {frame.index: frame.image for frame in frames}
        scale = sampled_picture if self.method == "gmflow" else averaged_picture
        try:
            clip = make_clip(images, frames.times, self.sampling, scale, as_needed=self.method == "dis")
        except SamplingError as error:
            raise MediaError("too_short", row["path"], str(error)) from None
        if self.method == "gmflow":
            return clip
        from tools.scoring.optical_flow.dis import dis_flow

        return self._rounded(score_clips(dis_flow, [clip], split_camera=self.split_camera)[0])

    def setup(self) -> None:
        """Load the network onto the device."""
        if self.method == "gmflow":
            from tools.media.workers.pool import usable_cores
            from tools.models.gmflow.estimator import load_gmflow

            self._estimate = load_gmflow(
                self._weights.path,
                device=self.device,
                precision=self.precision,
                compile=self.compile,
                threads=usable_cores(),
            )

    def score(self, batch: list[Any]) -> list[dict[str, float]]:
        """The scores of each row."""
        if self.method == "dis":
            return batch
        scores = score_clips(self._estimate, batch, split_camera=self.split_camera)
        return [self._rounded(row) for row in scores]

    def _rounded(self, scores: dict[str, float]) -> dict[str, float]:
        return {column: round(scores[column], _DECIMALS) for column in self.output_columns}
