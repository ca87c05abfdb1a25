"""The base of all comparisons of sound: their options and columns, and what is read of a row."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tools.models.clap import CLAP_MODEL
from tools.options import option
from tools.options.values import Choice, Number, Text
from tools.scoring.audio_similarity.moments import Moments, moments_option
from tools.scoring.audio_similarity.scorer import REDUCE
from tools.scoring.audio_similarity.sound_windows import SoundSettings, SoundWindows
from tools.stage.common_options import audio_track_option
from tools.stage.stage import FAILURES, REMARKS, Row, Stage

SIMILARITIES = "similarities"
"""Column with the similarity of each moment, with `SoundStage.details`."""

NOT_FINITE = ["internal", "CLAP's feature is not finite"]
"""The failure of a row whose sound CLAP cannot take."""

_DECIMALS = 6
_LEVEL_DECIMALS = 2


def window_option() -> Any:
    """The field ``window: float | None``: seconds of sound at a time, None for what CLAP takes."""
    return option(
        None,
        "seconds of sound at a time",
        Number(0, above=True, metavar="S"),
        shown="what CLAP takes: 10",
        everyday=False,
    )


def clap_model_option() -> Any:
    """The field ``clap_model: str``, see `tools.models.clap.find_clap`."""
    return option(CLAP_MODEL, "Hugging Face folder or id of a CLAP", Text("NAME|PATH"), everyday=False)


class FinishedRow(NamedTuple):
    """A row that is already known to have no score.

    Attributes:
        values: Its finished values.
    """

    values: dict[str, Any]


@dataclasses.dataclass
class SoundStage(Stage):
    """Sound against something else; a subclass says what, and scores it.

    Attributes:
        mode: Name of the comparison, a key of `tools.scoring.audio_similarity.scorer.MODES`.
        details: Also give the similarity of each moment, in the column `SIMILARITIES`.
        sound_settings: How the sound is read; follows from the others.
    """

    name = "audio"
    version = 2
    suffix = "_audio"
    checks_order = True
    takes_lists = True
    output_columns = {
        "audio_match": "Float64",
        "audio_mode": "String",
        "av_offset": "Float64",
        "audio_level": "Float64",
        REMARKS: "Object",
        FAILURES: "Object",
    }
    mode: ClassVar[str] = ""

    sampling: Moments | None = moments_option(None)
    audio_column: str | None = option(
        None,
        "column with files that have the sound; without, and for empty cells, the video's own track",
        Text("NAME"),
        none=True,
    )
    audio_track: str | None = audio_track_option("sound track", "that marked default", everyday=False)
    reduce: str = option("avg", "several moments become one score", Choice(tuple(REDUCE)))
    silence: float = option(
        -60.0, "a peak below this is silence", Number(-120, 0, metavar="DBFS"), everyday=False
    )
    details: bool = False
    sound_settings: SoundSettings = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if self.details:
            import polars as pl

            self.output_columns = {**self.output_columns, SIMILARITIES: pl.List(pl.Float64)}
        self.required_columns = self.named_columns()
        self.sound_settings = SoundSettings(silence=self.silence, track=self.audio_track)
        super().configure()

    def named_columns(self, *names: str) -> tuple[str, ...]:
        """``path``, these columns, and that of the sound where there is one."""
        return tuple(dict.fromkeys(["path", *names, *([self.audio_column] if self.audio_column else [])]))

    def audio_path(self, row: Row) -> str | None:
        """The file of the sound that a row names; None where there is no column, or nothing in its cell."""
        path = row.get(self.audio_column) if self.audio_column else None
        return str(path) if path is not None and str(path).strip() else None

    def cells(
        self, similarities: np.ndarray | None, sound: SoundWindows | None, remarks: list[str] | None = None
    ) -> dict[str, Any]:
        """The cells of a row.

        Args:
            similarities: float64, shape (moments,); None when there are none.
            sound: The sound; None where the sound is not read.
            remarks: Further remarks about the row.
        """
        scores = match = None
        if similarities is not None:
            scores = [round(float(s), _DECIMALS) for s in similarities]
            match = round(float(REDUCE[self.reduce](similarities)), _DECIMALS)
        offset, level = (sound.offset, sound.level) if sound else (None, None)
        values = {
            "audio_match": match,
            "audio_mode": self.mode,
            "av_offset": None if offset is None else round(offset, _DECIMALS),
            "audio_level": None if level is None else round(level, _LEVEL_DECIMALS),
            REMARKS: [*(sound.remarks if sound else []), *(remarks or [])],
            FAILURES: [sound.failure] if sound and sound.failure else [],
            SIMILARITIES: scores,
        }
        return {name: values.get(name) for name in self.output_columns}
