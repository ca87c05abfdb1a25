"""Operator: EMScore, how well captions fit videos and reference captions, in DataFlow's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError, UserError
from tools.integrations.cells import path_or_error
from tools.integrations.dataflow.registry import Columns, Operator
from tools.integrations.run import (
    Result,
    RunOptions,
    cells,
    log_failures,
    log_remarks,
    map_rows_on_ranks,
    read_frame,
    with_columns,
    write_frame,
)
from tools.media.reading.sampling import Sampling
from tools.scoring.emscore.idf import Idf
from tools.scoring.emscore.metrics import METRICS, SCORE_TYPES, chosen_names
from tools.scoring.emscore.scorer import DEFAULT_CLIP
from tools.scoring.emscore.stage import FRAME_DETAILS, FRAMES, EMScoreStage, column_of

if TYPE_CHECKING:
    from tools.integrations.dataflow.storage import Storage

ERROR = "emscore_error"

_OTHERWISE = {"path": "path (texts)"}  # a row of the stage has the video under this name


class EMScoreEval(Operator):
    """Scores the caption of each video against its frames, against reference captions, and against both.

    Adds a column for each score type and metric, ``EMScore(X,V)_figr_P`` to ``EMScore(X,V,X*)_full_F``, the
    same ones whatever the rows are like. A cell that cannot be had is null, and column ``emscore_error`` says
    why: a row without a reference has EMScore(X,V) all the same. A reference may be a list of texts; each
    metric is then that of the reference which suits it best.

    Args:
        every_n_seconds: A frame each so many seconds, from 0 on, by the true times of the frames.
        every_n_frames: Every Nth frame, from the first on. With neither, 10 frames at equal distances
            from first to last.
        return_all_frames: Add column ``frame_details``: JSON, for each frame its index, its timestamp, its
            scores as a video of one frame, and the words that it matches best.
        clip_model_path: Name (``ViT-B/32``), file (``.pt``) or folder of a CLIP.
        score_types: Names of `tools.scoring.emscore.metrics.SCORE_TYPES`; None for all.
        metrics: Names of `tools.scoring.emscore.metrics.METRICS`; None for all.
        idf: Weights of the tokens: an `Idf`, or the file of one; None for 1 each.
        long_text: Texts of more than 77 tokens: ``split``, ``truncate`` or ``error``.
        batch_size: Most rows that are scored at once.
        num_workers: Processes that decode, never more than cores; 0 works in this process, without guards.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: An option is wrong; both intervals are given.
    """

    purpose = (
        "EMScore of a caption and a video, of a caption and references, or of both.",
        "计算字幕与视频、字幕与参考文本或两者的 EMScore。",
    )

    def __init__(
        self,
        every_n_seconds: float | None = None,
        every_n_frames: int | None = None,
        return_all_frames: bool = False,
        clip_model_path: str | None = None,
        score_types: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        *,
        idf: Idf | str | Path | None = None,
        long_text: str = "split",
        batch_size: int = 64,
        num_workers: int = 4,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.sampling = _sampling(every_n_seconds, every_n_frames)
        self.return_all_frames = return_all_frames
        self.clip_model = DEFAULT_CLIP if clip_model_path is None else str(clip_model_path)
        self.score_types = chosen_names("score_types", score_types, SCORE_TYPES)
        self.metrics = chosen_names("metrics", metrics, METRICS)
        self.idf = Idf.load(idf) if isinstance(idf, (str, Path)) else idf
        self.long_text = long_text
        self.options = RunOptions(batch_size=batch_size, num_workers=num_workers, progress=True)
        self.device = device
        self.precision = precision

    def run(
        self,
        storage: Storage,
        video_key: str = "video_path",
        candidate_key: str = "candidate",
        reference_key: str = "reference",
    ) -> None:
        """Read the table, score its rows, write it.

        Args:
            storage: A `FileStorage`, DataFlow's, or anything with its ``read`` and ``write``.
            video_key: Column with the path of the video (or image), a text or a list of one text.
            candidate_key: Column with the caption that is judged.
            reference_key: Column with the reference, a text or a list of texts; it may be missing.

        Raises:
            UserError: Weights or a column are missing.
        """
        frame = read_frame(storage, video_key, candidate_key)
        named = {name: _OTHERWISE.get(name, name) for name in (candidate_key, reference_key)}
        stage = EMScoreStage(
            sampling=self.sampling,
            clip_model=self.clip_model,
            device=self.device,
            precision=self.precision,
            candidate_column=named[candidate_key],
            reference_column=named[reference_key],
            score_types=self.score_types,
            metrics=self.metrics,
            idf=self.idf,
            long_text=self.long_text,
            frame_details=self.return_all_frames,
        )
        columns = {own: cells(frame, name) for name, own in named.items() if name in frame.columns}
        texts = [dict(zip(columns, own, strict=True)) for own in zip(*columns.values(), strict=True)]
        paths = [path_or_error(cell) for cell in cells(frame, video_key)]
        rows = [
            path if isinstance(path, MediaError) else {**own, "path": path}
            for path, own in zip(paths, texts, strict=True)
        ]
        results = map_rows_on_ranks(stage, rows, self.options)
        reasons = [result.error for result in results]
        write_frame(storage, with_columns(frame, {**self._columns(results), ERROR: reasons}))
        log_failures(reasons, "rows lack an EMScore")
        log_remarks([own.values or {} for own in results])

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """Reads the columns of the video and of the caption (references may be missing); see `Operator`."""
        inputs = {name: arguments[name] for name in ("video_key", "candidate_key")}
        return Columns(inputs, [*self._names(), ERROR])

    def _names(self) -> dict[str, str]:
        """Columns of the table to the columns of the stage."""
        names = {
            f"{kind}_{metric}": column_of(kind, metric)
            for kind in self.score_types
            for metric in self.metrics
        }
        return names | ({FRAME_DETAILS: FRAME_DETAILS} if self.return_all_frames else {})

    def _columns(self, results: list[Result]) -> dict[str, list[Any]]:
        return {
            shown: [None if own.values is None else own.values[name] for own in results]
            for shown, name in self._names().items()
        }


def _sampling(every_n_seconds: float | None, every_n_frames: int | None) -> Sampling:
    if every_n_seconds is not None and every_n_frames is not None:
        raise UserError("every_n_seconds and every_n_frames exclude each other: give one")
    if every_n_seconds is not None:
        return Sampling("interval_time", interval=float(every_n_seconds))
    if every_n_frames is None:
        return FRAMES
    if every_n_frames != int(every_n_frames):
        raise UserError(f"every_n_frames is a whole number, not {every_n_frames}")
    return Sampling("interval_frames", step=int(every_n_frames))
