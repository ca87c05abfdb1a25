"""Sound against a caption, by CLAP: the comparison that needs no pictures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import MediaError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import FrameRequest, Frames, chosen_frames
from tools.media.reading.sampling import SamplingError
from tools.options import option
from tools.options.values import Text
from tools.scoring.audio_similarity.moments import ShotChanges, request_of
from tools.scoring.audio_similarity.sound_stage import (
    NOT_FINITE,
    FinishedRow,
    SoundStage,
    clap_model_option,
    window_option,
)
from tools.scoring.audio_similarity.sound_windows import (
    SoundSettings,
    SoundWindows,
    picture_index,
    read_windows,
)
from tools.scoring.clip_features import cosines
from tools.scoring.texts import cell_text
from tools.stage.common_options import device_option
from tools.stage.stage import Row

if TYPE_CHECKING:
    from tools.models.required import RequiredWeights


class SoundRow(NamedTuple):
    """A row that is ready for CLAP.

    Attributes:
        text: The caption.
        sound: Its sound.
    """

    text: str
    sound: SoundWindows


@dataclasses.dataclass
class ClapStage(SoundStage):
    """Sound against a caption: the cosine of CLAP's audio and text features, for windows of the sound.

    Windows lie around the moments of ``sampling``; where that is None, they cover the whole video.

    Raises:
        UserError: The CLAP is missing or not complete, or an option is wrong.
    """

    mode = "clap"

    caption_column: str = option("text", "column with the caption", Text("NAME"))
    window: float | None = window_option()
    clap_model: str = clap_model_option()
    device: str = device_option()

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        self.required_columns = self.named_columns(self.caption_column)

    def required_weights(self) -> list[RequiredWeights]:
        """CLAP."""
        from tools.models.clap import required_clap

        return required_clap(self.clap_model)

    def find(self) -> None:
        """Find CLAP, which determines how sound is read, and the device."""
        from tools.models.clap import find_clap
        from tools.models.device import resolve_device

        self._clap = find_clap(self.clap_model)
        self.sound_settings = SoundSettings(self._clap.mel, self.window, self.silence, self.audio_track)
        self.device = resolve_device(self.device)

    @property
    def request(self) -> FrameRequest:
        """No pictures, but what is needed to find shot changes."""
        return request_of(self.sampling, pictures=False)

    def config(self) -> dict[str, Any]:
        """What changes the values: the weights, the columns, the moments, what is read of the sound."""
        return {
            "mode": self.mode,
            "clap": self._clap.digest,
            "caption": self.caption_column,
            "audio": self.audio_column,
            "moments": None if self.sampling is None else self.sampling.asdict(),
            "reduce": self.reduce,
            "window": self.sound_settings.seconds,
            "silence": self.silence,
            "audio_track": self.audio_track,
        }

    def prepare(self, row: Row, frames: Frames) -> SoundRow | FinishedRow:
        """The caption, and the spectrograms of the sound."""
        text = cell_text(row, self.caption_column)
        path = row["path"]
        index = picture_index(path)
        if self.sampling is None or (index is None and not is_image(path)):
            moments = None
        elif isinstance(self.sampling, ShotChanges):
            assert frames.thumbnails is not None, "they are in the request"
            moments = [float(frames.times[i]) for i in self.sampling.choose(frames.thumbnails)]
        else:
            times = np.zeros(1) if index is None else index.times
            try:
                numbers = (
                    self.sampling.indices(times) if index is None else chosen_frames(self.sampling, index)
                )
                moments = [float(times[i]) for i in numbers]
            except SamplingError as error:
                raise MediaError("too_short", path, str(error)) from None
        sound = read_windows(path, self.audio_path(row), moments, self.sound_settings, index)
        if sound.failure:
            return FinishedRow(self.cells(None, sound))
        return SoundRow(text, sound)

    def setup(self) -> None:
        """Load CLAP."""
        from tools.media.workers.pool import usable_cores
        from tools.models.clap import load_clap

        self._encoder = load_clap(self._clap, device=self.device, threads=usable_cores())

    def score(self, batch: list[SoundRow | FinishedRow]) -> list[dict[str, Any]]:
        """Compare sounds and captions."""
        ready = [row for row in batch if isinstance(row, SoundRow)]
        scored = iter(self._score(ready) if ready else [])
        return [row.values if isinstance(row, FinishedRow) else next(scored) for row in batch]

    def _score(self, rows: list[SoundRow]) -> list[dict[str, Any]]:
        from tools.scoring.audio_similarity.scorer import sound_features, text_features

        sounds = sound_features(self._encoder, [row.sound.mels for row in rows])
        captions, cut = text_features(self._encoder, [row.text for row in rows])
        remark = f"caption longer than the {self._encoder.longest_text} tokens that CLAP takes, cut there"
        results = []
        for row, windows, caption, long in zip(rows, sounds, captions, cut, strict=True):
            cosine = cosines(windows, caption)
            if not np.isfinite(cosine).all():
                results.append(self.cells(None, row.sound._replace(failure=NOT_FINITE)))
                continue
            of_moments = np.array([cosine[window] for window in row.sound.window_of if window >= 0])
            results.append(self.cells(of_moments, row.sound, [remark] if long else []))
        return results
