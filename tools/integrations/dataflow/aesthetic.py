"""Operator: the LAION aesthetic score of the clips of a table, in DataFlow's shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tools.integrations.dataflow.clip_score import FRAME_NUMBERS, FRAMES_FROM, score_clips, score_files
from tools.integrations.dataflow.clips import ClipTable
from tools.integrations.dataflow.registry import Columns, Operator, clip_columns
from tools.integrations.run import (
    Result,
    RunOptions,
    given,
    log_failures,
    read_frame,
    with_columns,
    write_frame,
)
from tools.media.reading.sampling import Sampling
from tools.scoring.aesthetic.stage import AestheticStage

if TYPE_CHECKING:
    import pandas as pd

    from tools.integrations.dataflow.storage import Storage

SCORE = "aesthetic_score"
FRAMES = "aesthetic_frames"
ERROR = "aesthetic_error"

_FRAME_SCORES = "frame_scores"
_DECIMALS = 6


@dataclasses.dataclass
class _FrameScores(AestheticStage):
    """The aesthetic score with that of each frame."""

    output_columns = {
        **AestheticStage.output_columns,
        _FRAME_SCORES: pl.List(pl.Float64),
    }

    def values(self, scores: np.ndarray) -> dict[str, Any]:
        return {**super().values(scores), _FRAME_SCORES: [round(float(s), _DECIMALS) for s in scores]}


class VideoAestheticEvaluator(Operator):
    """Scores every clip in column ``video_clips`` with CLIP ViT-L/14 and the LAION aesthetic head.

    A clip's dict gets ``aesthetic_score`` (about 1 to 10, higher is better): the mean over `load_num` frames
    spread evenly from its first to its last, which with 3 are first, middle and last; and
    ``aesthetic_frames``: {"from": "files" or "video", "frame_indices": counted from the clip's first,
    "scores": one for each}. Where there is no score both are null, and ``aesthetic_error`` says why.

    Frames are the pictures under `figure_root` that `VideoFrameFilter` or other software wrote for this clip;
    where there are none, they are read from the video between ``frame_start`` and ``frame_end`` (exclusive),
    or between ``timestamp_start`` and ``timestamp_end`` seconds.

    Under ``torchrun`` each rank scores its share of the clips, and rank 0 writes the whole table.

    Args:
        figure_root: Folder of extracted frames, relative to the current folder:
            ``<figure_root>/<video stem>/<clip id>/img/frame_NNNNNN.jpg``.
        input_video_key: Column with the path of the video, a text or a list of one text.
        video_clips_key: Column with ``{"clips": [{"id", "frame_start", "frame_end", ...}, ...]}``. None for
            whole videos and images: ``aesthetic_score`` and the others become columns of the table.
        clip_model: Name (``ViT-L/14``), file (``.pt``) or folder of a CLIP.
        mlp_checkpoint: File of the head; None looks where weights are kept (``pretrained_models``).
        load_num: Frames per clip.
        batch_size: Most clips that are scored at once.
        num_workers: Processes that decode, never more than cores; 0 works in this process, without guards.
        init_distributed: Accepted for DataFlow's sake: what ``torchrun`` sets in the environment decides.
        output_key: Column for the updated dicts; where it is not `video_clips_key`, that one stays as it is.
            Of whole videos, the column of the score, unless it is ``video_clips``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; ``auto`` is what this device is fast with.
    """

    purpose = (
        "Scores every clip with CLIP and the LAION aesthetic head; higher is better, about 1 to 10.",
        "用 CLIP 与 LAION 美学头为每个视频片段打美学分（约 1 到 10，越高越好）。",
    )

    def __init__(
        self,
        figure_root: str = "extract_frames",
        input_video_key: str = "video",
        video_clips_key: str | None = "video_clips",
        clip_model: str = "ViT-L/14",
        mlp_checkpoint: str | None = None,
        load_num: int = 3,
        batch_size: int = 64,
        num_workers: int = 4,
        init_distributed: bool = False,
        output_key: str = "video_clips",
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.figure_root = figure_root
        self.input_video_key = input_video_key
        self.video_clips_key = video_clips_key
        self.clip_model = clip_model
        self.mlp_checkpoint = mlp_checkpoint
        self.load_num = load_num
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.init_distributed = init_distributed
        self.output_key = output_key
        self.device = device
        self.precision = precision

    def run(
        self,
        storage: Storage,
        figure_root: str | None = None,
        input_video_key: str | None = None,
        video_clips_key: str | None = None,
        clip_model: str | None = None,
        mlp_checkpoint: str | None = None,
        load_num: int | None = None,
        batch_size: int | None = None,
        num_workers: int | None = None,
        init_distributed: bool | None = None,
        output_key: str | None = None,
    ) -> None:
        """Read the table, score its clips, write it.

        Args:
            storage: A `FileStorage`, DataFlow's, or anything with its ``read`` and ``write``.
            figure_root: This and the others are used instead of what ``__init__`` got, unless None.
            input_video_key: See there.
            video_clips_key: See there.
            clip_model: See there.
            mlp_checkpoint: See there.
            load_num: See there.
            batch_size: See there.
            num_workers: See there.
            init_distributed: See there.
            output_key: See there.

        Raises:
            UserError: Weights or a column are missing, or an option is wrong.
        """
        video_key = given(input_video_key, self.input_video_key)
        clips_key = given(video_clips_key, self.video_clips_key)
        output = given(output_key, self.output_key)
        stage = _FrameScores(
            sampling=Sampling("first_middle_last", given(load_num, self.load_num)),
            clip_model=given(clip_model, self.clip_model),
            head=given(mlp_checkpoint, self.mlp_checkpoint),
            device=self.device,
            precision=self.precision,
        )
        options = RunOptions(
            batch_size=given(batch_size, self.batch_size),
            num_workers=given(num_workers, self.num_workers),
            progress=True,
        )
        if clips_key is None:
            frame = read_frame(storage, video_key)
            columns, results = _whole_videos(frame, video_key, stage, options, output)
            what = "videos"
        else:
            frame = read_frame(storage, video_key, clips_key)
            table = ClipTable(frame, video_key, clips_key)
            results = score_clips(stage, table, options, str(given(figure_root, self.figure_root)))
            columns = {output: table.updated([_entries(result) for result in results], (ERROR,))}
            what = "clips"
        write_frame(storage, with_columns(frame, columns))
        log_failures((result.reason for result in results), f"{what} have no {SCORE}")

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """Reads the columns of the video and of its clips; see `Operator`."""
        inputs, outputs = clip_columns(self, arguments)
        if inputs["video_clips_key"] is not None:
            return Columns(inputs, outputs)
        del inputs["video_clips_key"]
        return Columns(inputs, [_score_column(*outputs), FRAMES, ERROR])


def _score_column(output: str) -> str:
    """The column for the score of whole videos."""
    return SCORE if output == "video_clips" else output


def _whole_videos(
    frame: pd.DataFrame, video_key: str, stage: AestheticStage, options: RunOptions, output: str
) -> tuple[dict[str, Sequence[Any]], list[Result]]:
    """Columns for a table whose rows are scored as wholes."""
    results = score_files(stage, frame[video_key], options)
    entries = [_entries(result) for result in results]
    names = {_score_column(output): SCORE, FRAMES: FRAMES, ERROR: ERROR}
    return {name: [entry.get(key) for entry in entries] for name, key in names.items()}, results


def _entries(result: Result) -> dict[str, Any]:
    """What a clip's dict gets."""
    values = result.values
    if values is None:
        return {SCORE: None, FRAMES: None, ERROR: result.reason}
    frames = {
        "from": values[FRAMES_FROM],
        "frame_indices": values[FRAME_NUMBERS],
        "scores": values[_FRAME_SCORES],
    }
    return {SCORE: values["aes"], FRAMES: frames}
