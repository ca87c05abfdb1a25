"""The comparisons that encode pictures with CLIP: with a description of the sound, labels, and DataFlow's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import MediaError, UserError
from tools.media.reading.frames import Frame, read_frames_at
from tools.media.reading.requests import FrameRequest, Frames
from tools.models.clip_preprocess import clip_crop
from tools.options import option
from tools.options.values import Text
from tools.scoring.audio_similarity.moments import Moments, ShotChanges, moments_option, request_of
from tools.scoring.audio_similarity.scorer import (
    COMPAT_TEXT,
    LabelFeatures,
    heard_features,
    label_similarities,
    sound_features,
)
from tools.scoring.audio_similarity.sound_stage import (
    NOT_FINITE,
    FinishedRow,
    SoundStage,
    clap_model_option,
    window_option,
)
from tools.scoring.audio_similarity.sound_windows import (
    NO_SOUND,
    SoundSettings,
    SoundWindows,
    picture_index,
    read_windows,
)
from tools.scoring.clip_features import CLIPFeatures, cosines, fingerprint
from tools.scoring.clip_options import clip_model_option
from tools.scoring.clip_stage import FIRST_MIDDLE_LAST, CLIPRow, CLIPStage
from tools.scoring.matching.scorer import TextTokens, caption_features, tokenize
from tools.scoring.texts import cell_text
from tools.stage.stage import Row

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights

_AT_ONCE = 16  # frames in full that are held before they are cropped


class Extras(NamedTuple):
    """What is known of a row beside its pictures.

    Attributes:
        sound: Its sound; None where the sound is not read.
        window_of: For each picture the number of its window.
        tokens: Tokens of the text on its sound; None where there is none.
    """

    sound: SoundWindows | None
    window_of: tuple[int, ...]
    tokens: TextTokens | None = None


@dataclasses.dataclass
class _PictureStage(SoundStage, CLIPStage):
    """Base: frames, with their flipped copies, and the sound around them.

    Attributes:
        vocabulary: That of the CLIP; follows from the weights.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    reads_texts = True

    sampling: Moments = moments_option(FIRST_MIDDLE_LAST)
    horizontal_flip: bool = option(
        False, "score mirrored copies of the frames as well", flag="hflip", everyday=False
    )
    vertical_flip: bool = option(
        False, "score copies turned upside down as well", flag="vflip", everyday=False
    )
    vocabulary: Path = dataclasses.field(init=False)
    context_length: int = dataclasses.field(init=False)

    @property
    def request(self) -> FrameRequest:
        """The frames, or what is needed to choose them."""
        return request_of(self.sampling, pictures=True)

    def config(self) -> dict[str, Any]:
        """What changes the values."""
        from tools.models.clip_tokenizer import vocabulary_digest

        return {
            **super().config(),
            "mode": self.mode,
            "vocabulary": vocabulary_digest(self.vocabulary),
            "audio": self.audio_column,
            "reduce": self.reduce,
            "flips": [self.horizontal_flip, self.vertical_flip],
            "silence": self.silence,
            "audio_track": self.audio_track,
        }

    def prepare(self, row: Row, frames: Frames) -> CLIPRow | FinishedRow:
        """Crops of the frames and of their flipped copies, and what belongs to the sound."""
        extras = self.prepare_extras(row)
        moments = self._moments(frames)
        sound = self.read_sound(row, moments)
        if sound is not None and sound.failure:
            return FinishedRow(self.cells(None, sound))
        windows = sound.window_of if sound and self.sound_settings.mel else (0,) * len(moments)
        crops: list[np.ndarray] = []
        window_of: list[int] = []
        chosen = [at for at, window in enumerate(windows) if window != NO_SOUND]
        for at, frame in zip(chosen, self._frames(row, frames, moments, chosen), strict=True):
            for picture in self._with_flips(frame.image):
                crops.append(clip_crop(picture, self.image_size, self.pictures))
                window_of.append(windows[at])
        extras = Extras(sound, tuple(window_of), extras)
        return CLIPRow(np.stack(crops), tuple(map(fingerprint, crops)), extras)

    def read_sound(self, row: Row, moments: list[float]) -> SoundWindows | None:
        """Listen to the sound of a row; None to leave that out."""
        path = row["path"]
        return read_windows(path, self.audio_path(row), moments, self.sound_settings, picture_index(path))

    def score(self, batch: list[CLIPRow | FinishedRow]) -> list[dict[str, Any] | MediaError]:
        """Score the rows that have sound."""
        ready = [row for row in batch if isinstance(row, CLIPRow)]
        scored = iter(super().score(ready) if ready else [])
        return [row.values if isinstance(row, FinishedRow) else next(scored) for row in batch]

    def _moments(self, frames: Frames) -> list[float]:
        """Seconds of the frames that are scored."""
        if isinstance(self.sampling, ShotChanges):
            assert frames.thumbnails is not None, "they are in the request"
            return [float(frames.times[i]) for i in self.sampling.choose(frames.thumbnails)]
        return [frame.time for frame in frames]

    def _frames(self, row: Row, frames: Frames, moments: list[float], chosen: list[int]) -> Iterator[Frame]:
        """These of the frames that are scored; read a few at a time where they are not read yet."""
        if not isinstance(self.sampling, ShotChanges):
            yield from (frames[at] for at in chosen)
            return
        if picture_index(row["path"]) is None:  # an image
            from tools.media.reading.images import read_image

            yield Frame(0, 0, 0.0, read_image(row["path"]))
            return
        for first in range(0, len(chosen), _AT_ONCE):
            times = [moments[at] for at in chosen[first : first + _AT_ONCE]]
            yield from read_frames_at(row["path"], times, decoder=self.decoder)

    def _with_flips(self, image: np.ndarray) -> list[np.ndarray]:
        pictures = [image]
        if self.horizontal_flip:
            pictures.append(np.ascontiguousarray(image[:, ::-1]))
        if self.vertical_flip:
            pictures.append(np.ascontiguousarray(image[::-1]))
        return pictures

    def _tokens(self, text: str) -> TextTokens:
        from tools.models.clip_tokenizer import load_tokenizer

        return tokenize(load_tokenizer(self.vocabulary), text, self.context_length, "truncate")


@dataclasses.dataclass
class AudioCaptionStage(_PictureStage):
    """Frames against a text that describes the sound: the cosine of CLIP's features.

    The text is that of a column, ``audio_caption`` by default.
    """

    mode = "audio_caption"

    caption_column: str = option("audio_caption", "column with the caption", Text("NAME"))

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clip_tokenizer import require_ftfy

        require_ftfy()
        super().configure()
        self.required_columns = self.named_columns(self.caption_column)

    def config(self) -> dict[str, Any]:
        """What changes the values."""
        return {**super().config(), "caption": self.caption_column}

    def prepare_extras(self, row: Row) -> TextTokens:
        """The tokens of the text."""
        try:
            return self._tokens(cell_text(row, self.caption_column))
        except ValueError as error:
            raise MediaError("bad_value", row["path"], str(error)) from None

    def score_features(self, features: list[np.ndarray], extras: list[Extras]) -> list[dict[str, Any]]:
        """The cosines of each row's frames and its text."""
        tokens = [own.tokens for own in extras if own.tokens is not None]
        captions = caption_features(self._features.encoder, tokens)
        remark = f"text longer than the {self.context_length} tokens that CLIP takes, cut there"
        return [
            self.cells(cosines(images, caption), own.sound, [remark] if text.cut else [])
            for images, caption, text, own in zip(features, captions, tokens, extras, strict=True)
        ]


@dataclasses.dataclass
class CompatStage(_PictureStage):
    """Frames against the words "audio sound", as DataFlow's operator did: the sound is not used."""

    mode = "compat"

    clip_model: str = clip_model_option("ViT-B/32")
    audio_column: str | None = dataclasses.field(default=None, init=False)
    audio_track: str | None = dataclasses.field(default=None, init=False)
    silence: float = dataclasses.field(default=-60.0, init=False)

    def read_sound(self, row: Row, moments: list[float]) -> None:
        """The sound is not read."""
        return

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP, and let it read the words."""
        super().use(features)
        (self._text,) = caption_features(features.encoder, [self._tokens(COMPAT_TEXT)])

    def score_features(self, features: list[np.ndarray], extras: list[Extras]) -> list[dict[str, Any]]:
        """The cosines of each row's frames and the words."""
        remark = f"mode compat: compared with the words '{COMPAT_TEXT}', the sound was not used"
        return [self.cells(cosines(images, self._text), None, [remark]) for images in features]


@dataclasses.dataclass
class LabelsStage(_PictureStage):
    """Frames against the sound around them, by what CLIP and CLAP each say of a list of labels.

    The labels are those of a file, by default of the toolkit: `tools.scoring.audio_similarity.labels`.
    """

    mode = "labels"

    labels: str | None = option(
        None,
        "own list for mode labels: a line for each, 'seen | heard'",
        Text("FILE"),
        none=True,
        everyday=False,
    )
    window: float | None = window_option()
    clap_model: str = clap_model_option()

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.scoring.audio_similarity.labels import read_labels

        self._labels = read_labels(self.labels)
        super().configure()

    def required_weights(self) -> list[RequiredWeights]:
        """CLIP, its vocabulary, and CLAP."""
        from tools.models.clap import required_clap

        return [*super().required_weights(), *required_clap(self.clap_model)]

    def find(self) -> None:
        """Find CLIP, its vocabulary, and CLAP, which determines how sound is read."""
        from tools.models.clap import find_clap

        super().find()
        self._clap = find_clap(self.clap_model)
        self.sound_settings = SoundSettings(self._clap.mel, self.window, self.silence, self.audio_track)

    def config(self) -> dict[str, Any]:
        """What changes the values."""
        from tools.scoring.audio_similarity.labels import labels_digest

        return {
            **super().config(),
            "clap": self._clap.digest,
            "labels": labels_digest(self._labels),
            "window": self.sound_settings.seconds,
        }

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP, load CLAP, and let both read the labels."""
        from tools.media.workers.pool import usable_cores
        from tools.models.clap import load_clap

        super().use(features)
        self._clap_encoder = load_clap(self._clap, device=self.device, threads=usable_cores())
        tokens = [self._tokens(label.seen_prompt) for label in self._labels]
        for label, own in zip(self._labels, tokens, strict=True):
            if own.cut:
                raise UserError(f"labels: '{label.seen}' is longer than this CLIP takes")
        self._label_features = LabelFeatures(
            np.stack(caption_features(features.encoder, tokens)),
            heard_features(self._clap_encoder, self._labels),
            features.encoder.logit_scale,
            self._clap_encoder.logit_scale,
        )

    def score_features(self, features: list[np.ndarray], extras: list[Extras]) -> list[dict[str, Any]]:
        """How far each row's frames and sound say the same of the labels."""
        files = [own.sound for own in extras if own.sound is not None]
        sounds = sound_features(self._clap_encoder, [own.mels for own in files])
        results = []
        for images, windows, own, sound in zip(features, sounds, extras, files, strict=True):
            if not np.isfinite(windows).all():
                results.append(self.cells(None, sound._replace(failure=NOT_FINITE)))
                continue
            similarities = label_similarities(images, windows, own.window_of, self._label_features)
            results.append(self.cells(similarities, sound))
        return results
