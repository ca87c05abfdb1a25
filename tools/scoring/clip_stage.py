"""The base of the scorers that encode pictures with CLIP: crops in, unit-length features out, then a score.

A subclass writes `score_features` and, where a row has more than its pictures, `prepare_extras`.
Several such stages in one run share the model and the features of their common frames: `setup_together`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import MediaError
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling
from tools.models.clip_preprocess import Pictures, clip_crop
from tools.options import option
from tools.options.values import Text
from tools.scoring.clip_features import CLIPFeatures, fingerprint, mean_feature
from tools.scoring.clip_options import (
    clip_backend_option,
    clip_config_option,
    clip_model_option,
    other_pictures_notes,
)
from tools.stage.common_options import decoder_option, device_option, frames_option, precision_option
from tools.stage.stage import VECTOR, Row, Stage

if TYPE_CHECKING:
    from tools.models.clip import CLIPEncoder
    from tools.models.required import RequiredWeights

FIRST_MIDDLE_LAST = Sampling("first_middle_last", 3)
"""The frames that are scored by default."""

_REMEMBERED = 32_768  # features that stages share: 100 MB of 768 numbers


class CLIPRow(NamedTuple):
    """A row that is ready for CLIP.

    Attributes:
        crops: uint8, shape (frames, S, S, 3), RGB.
        keys: Fingerprint of each crop.
        extras: What `CLIPStage.prepare_extras` gave.
    """

    crops: np.ndarray
    keys: tuple[bytes, ...]
    extras: Any


@dataclasses.dataclass
class CLIPStage(Stage):
    """A score computed from CLIP's features of a row's frames.

    Creating the stage finds and verifies the weights; `setup` loads them. A row's features, and so its
    score, do not depend on the rows beside it.

    Attributes:
        reads_texts: Whether CLIP reads texts too, with the fields ``vocabulary`` and ``context_length`` that
            follow from the weights.
        image_size: Side of CLIP's input in pixels; follows from the weights.
        pictures: How pictures are prepared; follows from the weights.

    Raises:
        UserError: Weights are missing or wrong.
    """

    reads_texts = False
    checks_order = True

    sampling: Sampling = frames_option(FIRST_MIDDLE_LAST, "3", limits=True)
    clip_model: str = clip_model_option("ViT-L/14")
    device: str = device_option()
    precision: str = precision_option(
        "auto: fp16 on a GPU, on a CPU bf16 where it has instructions for it, else fp32"
    )
    compile: bool = option(
        False, "run CLIP through torch.compile (a slow start; gains little on a CPU)", everyday=False
    )
    backend: str = clip_backend_option()
    decoder: str = decoder_option()
    save_embeddings: str | None = option(
        None,
        "also write the CLIP feature of each row, the mean of its frames: .npy or .parquet",
        Text("FILE"),
        everyday=False,
    )
    clip_config: str | None = clip_config_option()
    image_size: int = dataclasses.field(init=False)
    pictures: Pictures = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if self.clip_config:
            from tools.models.clip_architecture import find_architecture

            find_architecture(self.clip_config)
        self.vector_file = self.save_embeddings
        if self.save_embeddings:
            self.output_columns = {**self.output_columns, VECTOR: "Object"}
        super().configure()

    def required_weights(self) -> list[RequiredWeights]:
        """CLIP, and its vocabulary where texts are read."""
        from tools.models.clip_checkpoint import required_clip

        return required_clip(self.clip_model, texts=self.reads_texts)

    def find(self) -> None:
        """Find CLIP, its vocabulary where texts are read, the device, and what is installed for it."""
        from tools.models.clip_checkpoint import find_clip
        from tools.models.clip_openvino import choose_clip_backend
        from tools.models.clip_tokenizer import find_vocabulary
        from tools.models.device import resolve_device, resolve_precision

        self._checkpoint = find_clip(self.clip_model, self.clip_config)
        self.image_size, self.pictures = self._checkpoint.image_size, self._checkpoint.pictures
        if self.reads_texts:
            self.vocabulary = find_vocabulary(self._checkpoint)
            self.context_length = self._checkpoint.context_length
        on_cpu = (self.device, self.backend) == ("auto", "openvino")
        self.device = resolve_device("cpu" if on_cpu else self.device)
        self.precision = resolve_precision(self.precision, self.device)
        self.backend = choose_clip_backend(self.backend, self.device, self.precision, compile=self.compile)

    def notes(self) -> list[str]:
        """OpenVINO, where it computes; weights with other preprocessing; a precision that is slow here."""
        return [*self._other_backend(), *other_pictures_notes(self.clip_config), *self._slow_precision()]

    def _other_backend(self) -> list[str]:
        from tools.models.clip_openvino import clip_backend_version

        if self.backend != "openvino":
            return []
        return [f"note: CLIP's features of pictures are computed by {clip_backend_version('openvino')}"]

    def _slow_precision(self) -> list[str]:
        from tools.models.device import cpu_multiplies_bf16

        if self.device != "cpu" or self.precision == "fp32" or cpu_multiplies_bf16():
            return []
        return [
            f"warning: this CPU has no instructions for {self.precision}: a hundred times slower than fp32"
        ]

    def config(self) -> dict[str, Any]:
        """What changes the values: the weights, the frames, the arithmetic; not where it runs."""
        return {
            "clip": self._checkpoint.digest,
            "sampling": self.sampling.asdict(),
            "decoder": self.decoder,
            "precision": self.precision,
            "compile": self.compile,
            "backend": self.backend,
        }

    def encoder_key(self) -> tuple[Any, ...]:
        """What decides the feature of a crop; stages with equal keys can share a model."""
        return self._checkpoint.digest, self.device, self.precision, self.compile, self.backend

    def prepare(self, row: Row, frames: Frames) -> CLIPRow:
        """Crop the frames; extras first, since a row without them fails."""
        extras = self.prepare_extras(row)
        crops = np.stack([clip_crop(frame.image, self.image_size, self.pictures) for frame in frames])
        return CLIPRow(crops, tuple(map(fingerprint, crops)), extras)

    def prepare_extras(self, row: Row) -> Any:
        """What `score_features` needs of a row beside its pictures. Runs in a worker process.

        Raises:
            MediaError: A cell of this row cannot be used.
        """
        return None

    def load_encoder(self) -> CLIPEncoder:
        """Load CLIP onto the device."""
        from tools.media.workers.pool import usable_cores
        from tools.models.clip import load_clip

        return load_clip(
            self._checkpoint,
            device=self.device,
            precision=self.precision,
            compile=self.compile,
            threads=usable_cores(),
            backend=self.backend,
        )

    def setup(self) -> None:
        """Load CLIP for this stage alone."""
        self.use(CLIPFeatures(self.load_encoder()))

    def use(self, features: CLIPFeatures) -> None:
        """Use a loaded CLIP. Override to load what else is needed, and to check that it fits.

        Raises:
            UserError: It does not, or reads texts with another vocabulary.
        """
        if self.reads_texts:
            from tools.models.clip_tokenizer import check_vocabulary, load_tokenizer

            check_vocabulary(features.encoder, load_tokenizer(self.vocabulary))
        self._features = features

    def score(self, batch: list[CLIPRow]) -> list[dict[str, Any] | MediaError]:
        """Encode the crops of all rows, and score those whose features are numbers."""
        features = self._features.of([(row.crops, row.keys) for row in batch])
        finite = [bool(np.isfinite(row).all()) for row in features]
        kept = [row for row, good in zip(features, finite, strict=True) if good]
        extras = [row.extras for row, good in zip(batch, finite, strict=True) if good]
        values = self.score_features(kept, extras) if kept else []
        if self.save_embeddings:
            values = [
                {**v, VECTOR: mean_feature(f).astype(np.float32)} for v, f in zip(values, kept, strict=True)
            ]
        scored = iter(values)
        return [next(scored) if good else _no_number() for good in finite]

    def as_other_row(self, prepared: Any, number: int) -> Any:
        """A row whose crops are not taken for those of another, so that they go through CLIP."""
        if not isinstance(prepared, CLIPRow):  # a row that needs no CLIP
            return prepared
        return prepared._replace(keys=tuple(b"%d %b" % (number, key) for key in prepared.keys))

    def score_features(self, features: list[np.ndarray], extras: list[Any]) -> list[dict[str, Any]]:
        """Turn features into values.

        Args:
            features: For each row float64, shape (frames, D): image features of length 1.
            extras: For each row what `prepare_extras` gave.

        Returns:
            For each row a dict of the `output_columns` (but for the embedding, which is added for all).
        """
        raise NotImplementedError  # what makes one score different from another


def setup_together(stages: Iterable[Stage]) -> None:
    """Set up stages; those that use the same CLIP share it, and each crop goes through it once.

    The scores are those of the stages set up one by one, to the last bit.

    Args:
        stages: Any stages; `CLIPStage.encoder_key` says which can share a CLIP.

    Raises:
        UserError: Weights are wrong, or do not fit each other.
    """
    shared: dict[tuple[Any, ...], CLIPFeatures] = {}
    for stage in stages:
        if not isinstance(stage, CLIPStage):
            stage.setup()
            continue
        key = stage.encoder_key()
        if key not in shared:
            shared[key] = CLIPFeatures(stage.load_encoder(), remember=_REMEMBERED)
        stage.use(shared[key])


def _no_number() -> MediaError:
    return MediaError("internal", "", "CLIP's feature is not finite; try --precision fp32")
