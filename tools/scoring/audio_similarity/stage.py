"""What all ways of comparing sound have in common, and the one that needs no pictures: CLAP and a caption."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import FrameRequest, Frames
from tools.media.reading.sampling import Sampling, SamplingError
from tools.media.reading.tracks import check_audio_track
from tools.scoring.audio_similarity.hearing import Heard, Hearing, listen, picture_index
from tools.scoring.audio_similarity.scorer import REDUCE, check_reduce
from tools.scoring.clip_features import cosines
from tools.stage.stage import FAILURES, REMARKS, Row, Stage

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights

SIMILARITIES = "similarities"
"""Column with the similarity of each moment, when it is asked for."""

COLUMNS: dict[str, Any] = {
    "audio_match": pl.Float64,
    "audio_mode": pl.String,
    "av_offset": pl.Float64,
    "audio_level": pl.Float64,
    REMARKS: pl.Object,
    FAILURES: pl.Object,
}
"""What every mode adds."""

NOT_FINITE = ["internal", "CLAP's feature is not finite"]
"""The failure of a row whose sound CLAP cannot take."""

_THUMBNAIL = (128, 72)
_DECIMALS = 6
_LEVEL_DECIMALS = 2


@dataclasses.dataclass(frozen=True)
class ShotChanges:
    """A choice of frames by what they show: the first, and each that differs much from the one before.

    Two frames differ by the mean absolute difference of their luma, 0 to 255, here of pictures of 128 x 72,
    averaged over areas. That is never more than in full size, and for a cut hardly less.

    Attributes:
        threshold: A frame is taken when it differs by more.
    """

    threshold: float = 30.0

    def choose(self, thumbnails: np.ndarray) -> list[int]:
        """Which of these pictures are taken: uint8, shape (n, height, width), to numbers."""
        taken = [0]
        before = thumbnails[0].astype(np.int16)
        for number, picture in enumerate(thumbnails[1:], start=1):
            now = picture.astype(np.int16)
            if np.abs(now - before).mean() > self.threshold:
                taken.append(number)
            before = now
        return taken

    def asdict(self) -> dict[str, Any]:
        """The choice as JSON."""
        return {"policy": "shot_changes", "threshold": self.threshold, "size": list(_THUMBNAIL)}


Moments = Sampling | ShotChanges
"""How the moments of a video are chosen."""


def request_of(moments: Moments | None, *, pictures: bool) -> FrameRequest:
    """What has to be read of a video to know its moments, and their pictures where these are wanted.

    The pictures of `ShotChanges` are known too late for this.
    """
    if isinstance(moments, ShotChanges):
        return FrameRequest(None, _THUMBNAIL)
    return FrameRequest(moments if pictures else None)


class Unheard(NamedTuple):
    """A row of which is known already that it has no score.

    Attributes:
        values: Its finished values.
    """

    values: dict[str, Any]


class SoundRow(NamedTuple):
    """A row that is ready for CLAP.

    Attributes:
        text: The caption.
        heard: Its sound.
    """

    text: str
    heard: Heard


def values_of(
    mode: str,
    reduce: str,
    similarities: np.ndarray | None,
    heard: Heard | None,
    remarks: list[str] | None = None,
) -> dict[str, Any]:
    """The cells of a row.

    Args:
        mode: A key of `tools.scoring.audio_similarity.scorer.MODES`.
        reduce: A key of `REDUCE`.
        similarities: float64, shape (moments,); None when there are none.
        heard: The sound; None when nobody listened.
        remarks: What else is worth a word.
    """
    scores = match = None
    if similarities is not None:
        scores = [round(float(s), _DECIMALS) for s in similarities]
        match = round(float(REDUCE[reduce](similarities)), _DECIMALS)
    return {
        "audio_match": match,
        "audio_mode": mode,
        "av_offset": None if heard is None or heard.offset is None else round(heard.offset, _DECIMALS),
        "audio_level": None if heard is None or heard.level is None else round(heard.level, _LEVEL_DECIMALS),
        REMARKS: [*(heard.remarks if heard else []), *(remarks or [])],
        FAILURES: [heard.failure] if heard and heard.failure else [],
        SIMILARITIES: scores,
    }


def cell_text(row: Row, column: str) -> str:
    """The text in a cell.

    Raises:
        MediaError: bad_value: it is empty.
    """
    text = row.get(column)
    if text is None or not str(text).strip():
        raise MediaError("bad_value", row["path"], f"the cell of column {column} is empty")
    return str(text)


def audio_path(row: Row, column: str | None) -> str | None:
    """The file in the cell of a column; None where there is no column, or nothing in the cell."""
    path = row.get(column) if column else None
    return str(path) if path is not None and str(path).strip() else None


def columns_of(*names: str | None) -> tuple[str, ...]:
    """The columns that are needed, those that are named."""
    return tuple(dict.fromkeys(name for name in names if name))


def added(details: bool) -> dict[str, Any]:
    """The columns that are added."""
    return {**COLUMNS, SIMILARITIES: pl.List(pl.Float64)} if details else dict(COLUMNS)


@dataclasses.dataclass
class ClapStage(Stage):
    """Sound against a caption: the cosine of CLAP's audio and text features, for windows of the sound.

    Attributes:
        caption_column: Column with the caption.
        audio_column: Column with the path of a file that has the sound; None for the video's own track, which
            also counts where a cell is empty.
        moments: The moments around which windows lie; None for windows that cover the whole video.
        reduce: How windows become one score, a key of `REDUCE`.
        window: Length of a window in seconds; None for what CLAP takes (10).
        silence: dBFS; what stays below is silence.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
        clap_model: Folder or Hugging Face id of a CLAP.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        details: Also give the similarity of each moment, in the column `SIMILARITIES`.
        hearing: How the sound is listened to; follows from the others.

    Raises:
        UserError: The CLAP is missing or not complete, or an option is wrong.
    """

    takes_lists = True
    name = "audio"
    version = 2
    suffix = "_audio"
    mode = "clap"

    caption_column: str = "text"
    audio_column: str | None = None
    moments: Moments | None = None
    reduce: str = "avg"
    window: float | None = None
    silence: float = -60.0
    audio_track: str | None = None
    clap_model: str = ""
    device: str = "auto"
    details: bool = False
    hearing: Hearing = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clap import CLAP_MODEL
        from tools.models.device import check_names

        check_reduce(self.reduce)
        check_names(self.device)
        self.audio_track = check_audio_track(self.audio_track)
        self.clap_model = self.clap_model or CLAP_MODEL
        Hearing(None, self.window, self.silence, self.audio_track)  # which checks them
        self.required_columns = columns_of("path", self.caption_column, self.audio_column)
        self.output_columns = added(self.details)

    def required_weights(self) -> list[RequiredWeights]:
        """CLAP."""
        from tools.models.clap import wanted_clap

        return wanted_clap(self.clap_model)

    def find(self) -> None:
        """Find CLAP, which tells how sound is listened to, and the device."""
        from tools.models.clap import find_clap
        from tools.models.device import resolve_device

        self._clap = find_clap(self.clap_model)
        self.hearing = Hearing(self._clap.mel, self.window, self.silence, self.audio_track)
        self.device = resolve_device(self.device)

    @property
    def request(self) -> FrameRequest:
        """No pictures, but what is needed to find shot changes."""
        return request_of(self.moments, pictures=False)

    def config(self) -> dict[str, Any]:
        """What changes the values: the weights, the columns, the moments, what is listened to."""
        return {
            "mode": self.mode,
            "clap": self._clap.digest,
            "caption": self.caption_column,
            "audio": self.audio_column,
            "moments": None if self.moments is None else self.moments.asdict(),
            "reduce": self.reduce,
            "window": self.hearing.seconds,
            "silence": self.silence,
            "audio_track": self.audio_track,
        }

    def prepare(self, row: Row, frames: Frames) -> SoundRow | Unheard:
        """The caption, and the spectrograms of the sound."""
        text = cell_text(row, self.caption_column)
        path = row["path"]
        index = picture_index(path)
        if self.moments is None or (index is None and not is_image(path)):
            moments = None
        elif isinstance(self.moments, ShotChanges):
            assert frames.thumbnails is not None, "ShotChanges asks for them"
            moments = [float(frames.times[i]) for i in self.moments.choose(frames.thumbnails)]
        else:
            times = np.zeros(1) if index is None else index.times[: index.num_frames]
            try:
                moments = [float(times[i]) for i in self.moments.indices(times)]
            except SamplingError as error:
                raise MediaError("too_short", path, str(error)) from None
        heard = listen(path, audio_path(row, self.audio_column), moments, self.hearing, index)
        if heard.failure:
            return Unheard(self._cells(None, heard))
        return SoundRow(text, heard)

    def setup(self) -> None:
        """Load CLAP."""
        from tools.media.workers.pool import usable_cores
        from tools.models.clap import load_clap

        self._encoder = load_clap(self._clap, device=self.device, threads=usable_cores())

    def score(self, batch: list[SoundRow | Unheard]) -> list[dict[str, Any]]:
        """Compare sounds and captions."""
        ready = [row for row in batch if isinstance(row, SoundRow)]
        scored = iter(self._score(ready) if ready else [])
        return [row.values if isinstance(row, Unheard) else next(scored) for row in batch]

    def _score(self, rows: list[SoundRow]) -> list[dict[str, Any]]:
        from tools.scoring.audio_similarity.scorer import sound_features, text_features

        sounds = sound_features(self._encoder, [row.heard.mels for row in rows])
        captions, cut = text_features(self._encoder, [row.text for row in rows])
        remark = f"caption longer than the {self._encoder.longest_text} tokens that CLAP takes, cut there"
        results = []
        for row, windows, caption, long in zip(rows, sounds, captions, cut, strict=True):
            cosine = cosines(windows, caption)
            if not np.isfinite(cosine).all():
                results.append(self._cells(None, row.heard._replace(failure=NOT_FINITE)))
                continue
            of_moments = np.array([cosine[window] for window in row.heard.window_of if window >= 0])
            results.append(self._cells(of_moments, row.heard, [remark] if long else []))
        return results

    def _cells(
        self, similarities: np.ndarray | None, heard: Heard, remarks: list[str] | None = None
    ) -> dict[str, Any]:
        values = values_of(self.mode, self.reduce, similarities, heard, remarks)
        return {name: values[name] for name in self.output_columns}
