"""The ways of comparing sound that look at pictures with CLIP: a text on it, labels, and DataFlow's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from tools.errors import MediaError, UserError
from tools.media.reading.frames import Frame, read_frames_at
from tools.media.reading.requests import FrameRequest, Frames
from tools.media.reading.tracks import check_audio_track
from tools.models.clip_preprocess import clip_crop
from tools.scoring.audio_similarity.hearing import NOT_HEARD, Heard, Hearing, listen, picture_index
from tools.scoring.audio_similarity.scorer import (
    COMPAT_TEXT,
    LabelFeatures,
    check_reduce,
    heard_features,
    label_similarities,
    sound_features,
)
from tools.scoring.audio_similarity.stage import (
    NOT_FINITE,
    Moments,
    ShotChanges,
    Unheard,
    added,
    audio_path,
    cell_text,
    columns_of,
    request_of,
    values_of,
)
from tools.scoring.clip_features import CLIPFeatures, cosines, fingerprint
from tools.scoring.clip_stage import FIRST_MIDDLE_LAST, CLIPRow, CLIPStage
from tools.scoring.matching.scorer import TextTokens, caption_features, tokenize
from tools.stage.stage import Row

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights

_AT_ONCE = 16  # frames in full that are held before they are cropped


class Extras(NamedTuple):
    """What is known of a row beside its pictures.

    Attributes:
        heard: Its sound; None when nobody listened.
        window_of: For each picture the number of its window.
        tokens: Tokens of the text on its sound; None where there is none.
    """

    heard: Heard | None
    window_of: tuple[int, ...]
    tokens: TextTokens | None = None


@dataclasses.dataclass
class _PictureStage(CLIPStage):
    """Base: frames, with their flipped copies, and the sound around them.

    Attributes:
        sampling: Which frames: a `Sampling`, or `ShotChanges`.
        audio_column: Column with the path of a file that has the sound; None for the video's own track, which
            also counts where a cell is empty.
        reduce: How frames become one score, a key of `tools.scoring.audio_similarity.scorer.REDUCE`.
        horizontal_flip: Score the mirrored copy of each frame as well.
        vertical_flip: Score the copy of each frame that stands on its head as well.
        silence: dBFS; what stays below is silence.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
        details: Also give the similarity of each picture.
        vocabulary: That of the CLIP; follows from the weights. The others are those of `CLIPStage`.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    name = "audio"
    version = 2
    suffix = "_audio"
    takes_lists = True
    reads_texts = True
    mode: ClassVar[str] = ""  # what the column audio_mode says

    sampling: Moments = FIRST_MIDDLE_LAST
    audio_column: str | None = None
    reduce: str = "avg"
    horizontal_flip: bool = False
    vertical_flip: bool = False
    silence: float = -60.0
    audio_track: str | None = None
    details: bool = False
    vocabulary: Path = dataclasses.field(init=False)
    context_length: int = dataclasses.field(init=False)
    hearing: Hearing = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        check_reduce(self.reduce)
        self.audio_track = check_audio_track(self.audio_track)
        self.output_columns = added(self.details)
        self.required_columns = columns_of("path", self.audio_column)
        self.hearing = Hearing(silence=self.silence, track=self.audio_track)
        super().configure()

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

    def prepare(self, row: Row, frames: Frames) -> CLIPRow | Unheard:
        """Crops of the frames and of their flipped copies, and what belongs to the sound."""
        extras = self.prepare_extras(row)
        moments = self._moments(frames)
        heard = self.hear(row, moments)
        if heard is not None and heard.failure:
            return Unheard(self._cells(None, heard))
        windows = heard.window_of if heard and self.hearing.mel else (0,) * len(moments)
        crops: list[np.ndarray] = []
        window_of: list[int] = []
        chosen = [at for at, window in enumerate(windows) if window != NOT_HEARD]
        for at, frame in zip(chosen, self._frames(row, frames, moments, chosen), strict=True):
            for picture in self._with_flips(frame.image):
                crops.append(clip_crop(picture, self.image_size, self.pictures))
                window_of.append(windows[at])
        extras = Extras(heard, tuple(window_of), extras)
        return CLIPRow(np.stack(crops), tuple(map(fingerprint, crops)), extras)

    def hear(self, row: Row, moments: list[float]) -> Heard | None:
        """Listen to the sound of a row; None to leave that out."""
        path = row["path"]
        return listen(path, audio_path(row, self.audio_column), moments, self.hearing, picture_index(path))

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP; its vocabulary must be the one that texts are written in."""
        from tools.models.clip_tokenizer import check_vocabulary, load_tokenizer

        check_vocabulary(features.encoder, load_tokenizer(self.vocabulary))
        super().use(features)

    def score(self, batch: list[CLIPRow | Unheard]) -> list[dict[str, Any] | MediaError]:
        """Score the rows that can be heard."""
        ready = [row for row in batch if isinstance(row, CLIPRow)]
        scored = iter(super().score(ready) if ready else [])
        return [row.values if isinstance(row, Unheard) else next(scored) for row in batch]

    def _moments(self, frames: Frames) -> list[float]:
        """Seconds of the frames that are looked at."""
        if isinstance(self.sampling, ShotChanges):
            assert frames.thumbnails is not None, "ShotChanges asks for them"
            return [float(frames.times[i]) for i in self.sampling.choose(frames.thumbnails)]
        return [frame.time for frame in frames]

    def _frames(self, row: Row, frames: Frames, moments: list[float], chosen: list[int]) -> Iterator[Frame]:
        """These of the frames that are looked at; few at a time, where they have to be read first."""
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

    def _cells(
        self, similarities: np.ndarray | None, heard: Heard | None, remarks: list[str] | None = None
    ) -> dict[str, Any]:
        values = values_of(self.mode, self.reduce, similarities, heard, remarks)
        return {name: values.get(name) for name in self.output_columns}

    def _tokens(self, text: str) -> TextTokens:
        from tools.models.clip_tokenizer import load_tokenizer

        return tokenize(load_tokenizer(self.vocabulary), text, self.context_length, "truncate")


@dataclasses.dataclass
class AudioCaptionStage(_PictureStage):
    """Frames against a text that describes the sound: the cosine of CLIP's features.

    Attributes:
        caption_column: Column with the text. The others are those of the base.
    """

    mode = "audio_caption"

    caption_column: str = "audio_caption"

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clip_tokenizer import require_ftfy

        require_ftfy()
        super().configure()
        self.required_columns = columns_of("path", self.caption_column, self.audio_column)

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
            self._cells(cosines(images, caption), own.heard, [remark] if text.cut else [])
            for images, caption, text, own in zip(features, captions, tokens, extras, strict=True)
        ]


@dataclasses.dataclass
class CompatStage(_PictureStage):
    """Frames against the words "audio sound", as DataFlow's operator had it. Nobody listens."""

    mode = "compat"

    def hear(self, row: Row, moments: list[float]) -> None:
        """Nobody listens."""
        return

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP, and let it read the words."""
        super().use(features)
        (self._text,) = caption_features(features.encoder, [self._tokens(COMPAT_TEXT)])

    def score_features(self, features: list[np.ndarray], extras: list[Extras]) -> list[dict[str, Any]]:
        """The cosines of each row's frames and the words."""
        remark = f"mode compat: compared with the words '{COMPAT_TEXT}', the sound was not looked at"
        return [self._cells(cosines(images, self._text), None, [remark]) for images in features]


@dataclasses.dataclass
class LabelsStage(_PictureStage):
    """Frames against the sound around them, by what CLIP and CLAP each say of a list of labels.

    Attributes:
        labels: File with the labels; None for the toolkit's own, see
            `tools.scoring.audio_similarity.labels.read_labels`.
        window: Length of the window around a frame in seconds; None for what CLAP takes (10).
        clap_model: Folder or Hugging Face id of a CLAP. The others are those of the base.
    """

    mode = "labels"

    labels: str | None = None
    window: float | None = None
    clap_model: str = ""

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clap import CLAP_MODEL
        from tools.scoring.audio_similarity.labels import read_labels

        self._labels = read_labels(self.labels)
        self.clap_model = self.clap_model or CLAP_MODEL
        Hearing(None, self.window, self.silence, self.audio_track)  # which checks them
        super().configure()

    def required_weights(self) -> list[RequiredWeights]:
        """CLIP, its vocabulary, and CLAP."""
        from tools.models.clap import wanted_clap

        return [*super().required_weights(), *wanted_clap(self.clap_model)]

    def find(self) -> None:
        """Find CLIP, its vocabulary, and CLAP, which tells how sound is listened to."""
        from tools.models.clap import find_clap

        super().find()
        self._clap = find_clap(self.clap_model)
        self.hearing = Hearing(self._clap.mel, self.window, self.silence, self.audio_track)

    def config(self) -> dict[str, Any]:
        """What changes the values."""
        from tools.scoring.audio_similarity.labels import labels_digest

        return {
            **super().config(),
            "clap": self._clap.digest,
            "labels": labels_digest(self._labels),
            "window": self.hearing.seconds,
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
        heard = [own.heard for own in extras if own.heard is not None]
        sounds = sound_features(self._clap_encoder, [own.mels for own in heard])
        results = []
        for images, windows, own, sound in zip(features, sounds, extras, heard, strict=True):
            if not np.isfinite(windows).all():
                results.append(self._cells(None, sound._replace(failure=NOT_FINITE)))
                continue
            similarities = label_similarities(images, windows, own.window_of, self._label_features)
            results.append(self._cells(similarities, sound))
        return results
