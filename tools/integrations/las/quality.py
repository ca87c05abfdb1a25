"""VideoQualityScore, as LAS (Volcano Engine's data lake) has it: CLIP-IQA of sampled frames as one number.

Parameters, columns and result are those of the service's document; what the service does otherwise than its
document says is done here as documented. See docs/las.md.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tools.errors import MediaError, UserError
from tools.integrations.las.columns import like, video_sources
from tools.integrations.las.quality_parameters import (
    DEFAULT_COUNT,
    Prompt,
    check_parameters,
    choose_clip,
    choose_device,
)
from tools.media.fetching.sources import FetchOptions, Source
from tools.media.reading.requests import Frames
from tools.scoring.clip_stage import CLIPRow
from tools.scoring.quality.prompts import parse_prompts
from tools.scoring.quality.stage import QualityStage
from tools.stage.run_options import RunOptions
from tools.stage.session import Session
from tools.stage.stage import Row

if TYPE_CHECKING:
    import pyarrow as pa

_DECIMALS = 6
_FRAME_COLUMNS = {
    "frame_scores": pl.List(pl.List(pl.Float64)),
    "timestamps": pl.List(pl.Float64),
    "frame_indices": pl.List(pl.Int64),
}


class VideoQualityScore:
    """Scores the quality of videos from 0 to 1; an object can be called with columns, over and over.

    The model is loaded by the first call, worker processes start with it, and both stay until `close` or the
    end of the object. A video that cannot be scored gives None, its neighbours their scores; `detail` says
    why. Scores are those of ``python -m tools.scoring.quality.inference`` for the same frames.

    Args:
        model_path: Folder of models; ``<model_path>/<clip_model_name>`` is tried first.
        clip_model_name: A CLIP in that folder, else a path, else a name that
            `find_clip` knows. OpenAI's own file serves for the Hugging Face id of
            the same model.
        prompt: A name of `tools.scoring.quality.prompts.PROMPTS`; a pair of opposites, as ``"good|bad"`` or
            ``("good", "bad")``, the better one first; or a list of several of these: the score is then the
            mean of theirs, and `detail` gives each.
        device: ``cuda``, ``cuda:N``, ``cpu``, or ``auto``: a GPU where there is one.
        sample_mode: A key of `tools.integrations.las.quality_parameters.SAMPLE_MODES`.
        start_time_sec: No frames before this second.
        end_time_sec: No frames after this second; None for the end.
        count_k: Frames for ``by_count_uniform``: so many, if the video has them, first and last included.
        interval_sec: Seconds from frame to frame, for ``by_interval_time``.
        interval_frames: Frames from one to the next, for ``by_interval_frames``.
        target_fps: Frames per second, for ``by_fps``.
        timestamps_sec: Seconds, for ``by_timestamps``.
        max_frames: Keep only so many of the chosen frames, the earliest.
        reduce_mode: How frames make one score: ``avg``, ``max``, ``min``, ``median``, ``p10``.
        default_video_format: What bytes are where no column of formats says so.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        options: How rows are worked off: processes, batch size, limits of time and memory.
        fetch: How files that are elsewhere are fetched.

    Raises:
        UserError: Parameters are wrong or do not go together, weights are missing, or there is no such
            device.
    """

    def __init__(
        self,
        model_path: str = "/opt/las/models",
        clip_model_name: str = "openai/clip-vit-large-patch14",
        prompt: Prompt | Sequence[Prompt] = "quality",
        device: str = "cuda",
        sample_mode: str = "by_count_uniform",
        start_time_sec: float = 0.0,
        end_time_sec: float | None = None,
        count_k: int | None = DEFAULT_COUNT,
        interval_sec: float | None = None,
        interval_frames: int | None = None,
        target_fps: float | None = None,
        timestamps_sec: Sequence[float] | None = None,
        max_frames: int | None = None,
        reduce_mode: str = "avg",
        default_video_format: str = "mp4",
        *,
        precision: str = "auto",
        options: RunOptions | None = None,
        fetch: FetchOptions | None = None,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name != "self"}
        self._arguments = arguments
        chosen = check_parameters(arguments)
        self._default_format = default_video_format
        self._stage = _FrameStage(
            device=choose_device(device),
            clip_model=choose_clip(model_path, clip_model_name),
            sampling=chosen.sampling,
            prompts=chosen.prompts,
            reduce=(reduce_mode,),
            precision=precision,
        )
        self._prompts = [pair.column for pair in parse_prompts(chosen.prompts)]
        self._session = Session(
            self._stage,
            options or RunOptions(progress=False),
            fetch=fetch or FetchOptions(),
        )

    @classmethod
    def check(cls, **arguments: Any) -> None:
        """Check parameters as far as that goes without weights and device: on a machine that only plans.

        Raises:
            UserError: As the constructor.
        """
        try:
            bound = inspect.signature(cls).bind(**arguments)
        except TypeError as error:
            raise UserError(f"VideoQualityScore: {error}") from None
        bound.apply_defaults()
        check_parameters(bound.arguments)

    @staticmethod
    def return_type() -> pa.DataType:
        """Type of what `transform` gives."""
        import pyarrow as pa

        return pa.float64()

    @staticmethod
    def detail_type() -> pa.DataType:
        """Type of what `detail` gives."""
        import pyarrow as pa

        scores = pa.list_(pa.float64())
        prompt = pa.struct([("prompt", pa.string()), ("score", pa.float64()), ("scores", scores)])
        return pa.struct(
            [
                ("score", pa.float64()),
                ("scores", scores),
                ("timestamps", pa.list_(pa.float64())),
                ("frame_indices", pa.list_(pa.int64())),
                ("prompts", pa.list_(prompt)),
                ("error", pa.string()),
            ]
        )

    def setup(self) -> None:
        """Load the model now, not at the first call."""
        self._session.setup()

    def close(self) -> None:
        """End the worker processes; a further call starts new ones."""
        self._session.close()

    def __enter__(self) -> VideoQualityScore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def transform(
        self, video_paths: Any = None, video_binaries: Any = None, video_formats: Any = None
    ) -> Any:
        """Score videos.

        Args:
            video_paths: Column of paths and addresses: local, ``http(s)://``, ``s3://``, ``tos://`` and
                others that fsspec knows. A list, a pyarrow array, a pandas, Polars or Daft series.
            video_binaries: Column of the bytes of videos instead, or of texts in base64.
            video_formats: Column of what these are: ``mp4``, ``mkv`` ..., ``base64``, ``base64:mkv``.

        Returns:
            float64 for each row, in order, None (null) where there is no score; a column of the same kind as
            the one that came.

        Raises:
            UserError: Columns are missing or hold what they should not; no row can be scored for a reason
                that is not the rows'.
        """
        rows = self._score(video_paths, video_binaries, video_formats)
        column = video_binaries if video_paths is None else video_paths
        return like(column, [row["score"] for row in rows], self.return_type())

    __call__ = transform

    def detail(self, video_paths: Any = None, video_binaries: Any = None, video_formats: Any = None) -> Any:
        """Score videos, and return how the scores were computed. Arguments and errors as for `transform`.

        Returns:
            For each row, in order, a dict (a column of structs, where columns of pyarrow, pandas, Polars or
            Daft came), None in all but ``error`` where there is no score:

            - ``score``: what `transform` gives.
            - ``scores``: that of each frame, before the reduction.
            - ``timestamps``: seconds of the frames since the first of the video; ``frame_indices``: their
              numbers.
            - ``prompts``: for each pair of prompts ``prompt`` (its column in the quality command),
              ``score`` and ``scores``.
            - ``error``: ``kind: message`` (kinds: `tools.errors.FAILURE_KINDS`), None for a scored row.
        """
        rows = self._score(video_paths, video_binaries, video_formats)
        return like(video_binaries if video_paths is None else video_paths, rows, self.detail_type())

    def _score(self, paths: Any, binaries: Any, formats: Any) -> list[dict[str, Any]]:
        sources = video_sources(paths, binaries, formats, self._default_format)
        outcomes: list[Any] = list(sources)
        found = [i for i, source in enumerate(sources) if isinstance(source, Source)]
        if found:
            scored = self._session.map_rows([{"path": sources[i]} for i in found])
            for i, outcome in zip(found, scored, strict=True):
                outcomes[i] = outcome
        return [self._row(outcome) for outcome in outcomes]

    def _row(self, outcome: dict[str, Any] | MediaError) -> dict[str, Any]:
        if isinstance(outcome, MediaError):
            names = ("score", "scores", "timestamps", "frame_indices", "prompts")
            return {**dict.fromkeys(names), "error": outcome.reason}
        frames = outcome["frame_scores"]  # one list for each pair of prompts
        return {
            "score": _mean([outcome[name] for name in self._prompts]),
            "scores": [_mean(of_frame) for of_frame in zip(*frames, strict=True)],
            "timestamps": outcome["timestamps"],
            "frame_indices": outcome["frame_indices"],
            "prompts": [
                {"prompt": name, "score": outcome[name], "scores": scores}
                for name, scores in zip(self._prompts, frames, strict=True)
            ],
            "error": None,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments: another process finds weights and device for itself."""
        return _make, (type(self), self._arguments)


@dataclasses.dataclass
class _FrameStage(QualityStage):
    """The quality score, and that of each frame."""

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        super().configure()
        self.output_columns = {**self.output_columns, **_FRAME_COLUMNS}

    def prepare(self, row: Row, frames: Frames) -> CLIPRow:
        """Keep when each frame is shown."""
        where = [frame.index for frame in frames], [frame.time for frame in frames]
        return super().prepare(row, frames)._replace(extras=where)

    def score_features(self, features: list[np.ndarray], extras: list[Any]) -> list[dict[str, Any]]:
        """Add when each frame is shown."""
        rows = super().score_features(features, extras)
        return [
            {**row, "timestamps": times, "frame_indices": indices}
            for row, (indices, times) in zip(rows, extras, strict=True)
        ]

    def values(self, scores: list[np.ndarray]) -> dict[str, Any]:
        """Add the score of each frame."""
        of_frames = [[round(float(score), _DECIMALS) for score in own] for own in scores]
        return {**super().values(scores), "frame_scores": of_frames}


def _mean(scores: Sequence[float]) -> float:
    return scores[0] if len(scores) == 1 else round(float(np.mean(scores)), _DECIMALS)


def _make(kind: type, arguments: dict[str, Any]) -> Any:
    return kind(**arguments)
