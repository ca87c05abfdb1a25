"""Operator: how well the sound of videos fits their pictures or captions, in DataFlow's shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.errors import MediaError, UserError, check_choice
from tools.integrations.clip_names import known_clip
from tools.integrations.dataflow.registry import Columns, Operator
from tools.integrations.run import (
    Result,
    RunOptions,
    cells,
    log_failures,
    log_remarks,
    map_rows_on_ranks,
    read_frame,
    result_of,
    with_columns,
    write_frame,
)
from tools.media.reading.sampling import Sampling
from tools.media.reading.tracks import check_audio_track
from tools.models.clap import CLAP_MODEL
from tools.scoring.audio_similarity.moments import Moments, ShotChanges
from tools.scoring.audio_similarity.scorer import MODES, REDUCE
from tools.scoring.audio_similarity.sound_stage import SIMILARITIES
from tools.scoring.audio_similarity.stage import ClapStage
from tools.stage.stage import REMARKS, Row, Stage
from tools.table.cells import parsed

if TYPE_CHECKING:
    from tools.integrations.dataflow.storage import Storage

ERROR = "similarity_error"
MODE = "similarity_mode"

_AUDIO_KEY = "audio_path"
_AUDIO = "audio"
_CAPTION = "caption"
_NEEDS_CAPTION = ("clap", "audio_caption")


_VALUES = (
    *("avg_similarity", "max_similarity", "min_similarity", "passed_filter"),
    *("av_offset", "audio_level"),
)


class VideoAudioSimilarity(Operator):
    """Scores how well what is heard in a video fits what is seen in it, or what a caption says.

    Adds ``avg_similarity``, ``max_similarity`` and ``min_similarity`` over the moments of the video;
    ``passed_filter``: whether the one of `reduce_mode` lies from `min_score` to `max_score` (no row is
    removed); ``similarity_mode``, ``av_offset`` (seconds from the first frame to the first sample) and
    ``audio_level`` (dBFS). Cells without a value are null, ``passed_filter`` too, and ``similarity_error``
    says why: a video without sound, or with nothing but silence, has no similarity.

    The modes, see `tools.scoring.audio_similarity.scorer.MODES`: ``auto`` is ``clap`` where `run` gets a
    column of captions, and ``labels`` where it does not. Only ``compat``, which must be chosen, gives
    numbers although the sound is not used.

    A cell may hold a list of several videos (and of as many audio files): similarities are then over the
    moments of all of them, and `any_or_all` says how many must pass.

    Args:
        hf_clip: Name (``ViT-B/32``), file (``.pt``), folder or Hugging Face id of a CLIP. In mode ``compat``
            any name with "clip" in it means ViT-B/32, as it did there.
        trust_remote_code: Accepted for DataFlow's sake; code that comes with a model is never run.
        min_score: Lowest similarity that passes.
        max_score: Highest similarity that passes.
        frame_sampling_method: ``uniform``: `frame_num` frames from first to last (1: the middle one);
            ``all_keyframes``: the first frame, and each that differs from the one before by more than 30.
        frame_num: Frames of a video, for ``uniform``.
        horizontal_flip: Also score the mirrored copy of each frame.
        vertical_flip: Also score the copy of each frame that is upside down.
        any_or_all: Of a row with several videos, ``any`` or ``all`` must lie within the scores.
        reduce_mode: ``avg``, ``max`` or ``min`` of the moments is compared with the scores.
        mode: ``auto`` or a key of `MODES`.
        clap_model: Folder or Hugging Face id of a CLAP; None for laion/clap-htsat-unfused.
        window: Seconds of sound around each frame; None for what CLAP takes (10).
        silence: dBFS; a peak below is silence.
        audio_track: Which sound track: its number from 0 on, or its language (``eng``); None for the one
            marked default.
        labels: File with labels for mode ``labels``; None for the toolkit's own.
        batch_size: Most videos that are scored at once.
        num_workers: Processes that decode, never more than cores; 0 works in this process, without guards.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: Of CLIP: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: An option is wrong.
    """

    purpose = (
        "How well the sound of a video agrees with its caption or its pictures.",
        "衡量视频的声音与其文本或画面的一致程度。",
    )

    def __init__(
        self,
        hf_clip: str = "openai/clip-vit-base-patch32",
        trust_remote_code: bool = False,
        min_score: float = 0.0,
        max_score: float = 1.0,
        frame_sampling_method: str = "uniform",
        frame_num: int = 3,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        any_or_all: str = "any",
        reduce_mode: str = "avg",
        *,
        mode: str = "auto",
        clap_model: str | Path | None = None,
        window: float | None = None,
        silence: float = -60.0,
        audio_track: str | int | None = None,
        labels: str | Path | None = None,
        batch_size: int = 64,
        num_workers: int = 4,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        check_choice("mode", mode, ("auto", *MODES))
        check_choice("any_or_all", any_or_all, ("any", "all"))
        check_choice("reduce", reduce_mode, tuple(REDUCE))
        if min_score > max_score:
            raise UserError(f"min_score {min_score:g} is greater than max_score {max_score:g}")
        self.moments = _moments(frame_sampling_method, frame_num)
        self.hf_clip = str(hf_clip)
        self.min_score, self.max_score = min_score, max_score
        self.flips = {"horizontal_flip": horizontal_flip, "vertical_flip": vertical_flip}
        self.any_or_all = any_or_all
        self.reduce_mode = reduce_mode
        self.mode = mode
        self.clap_model = CLAP_MODEL if clap_model is None else str(clap_model)
        self.window = window
        self.silence = silence
        self.audio_track = check_audio_track(audio_track)
        self.labels = None if labels is None else str(labels)
        self.options = RunOptions(batch_size=batch_size, num_workers=num_workers, progress=True)
        self.device, self.precision = device, precision

    def run(
        self,
        storage: Storage,
        video_key: str = "video_path",
        audio_key: str = _AUDIO_KEY,
        *,
        caption_key: str | None = None,
    ) -> None:
        """Read the table, score its rows, write it.

        Args:
            storage: A `FileStorage`, DataFlow's, or anything with its ``read`` and ``write``.
            video_key: Column with the path of the video, a text or a list.
            audio_key: Column with the path of a file that has the sound. The video's own track is used where
                a cell is empty, and where there is no column ``audio_path``.
            caption_key: Column with the caption, for modes ``clap`` and ``audio_caption``.

        Raises:
            UserError: Weights or a column are missing, or the mode needs captions.
        """
        frame = read_frame(storage, video_key, *((caption_key,) if caption_key else ()))
        mode = self._mode(caption_key)
        if audio_key != _AUDIO_KEY and audio_key not in frame.columns:
            read_frame(storage, audio_key)  # says that the column is missing
        stage = self._stage(mode)
        missing = [None] * len(frame)
        audio = cells(frame, audio_key) if audio_key in frame.columns else missing
        captions = cells(frame, caption_key) if caption_key else missing
        jobs = [_jobs(*row) for row in zip(cells(frame, video_key), audio, captions, strict=True)]
        scored = iter(map_rows_on_ranks(stage, list(_rows(jobs)), self.options))
        entries = [self._entry(_results(job, scored)) for job in jobs]
        columns = {name: [entry[name] for entry in entries] for name in _VALUES}
        columns |= {MODE: [mode] * len(entries), ERROR: [entry[ERROR] for entry in entries]}
        write_frame(storage, with_columns(frame, columns))
        log_failures(columns[ERROR], "rows lack a similarity")
        log_remarks(entries)

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """Reads the columns of the video, and of sound and caption where they are named; see `Operator`."""
        inputs = {"video_key": arguments["video_key"]}
        if arguments["audio_key"] != _AUDIO_KEY:
            inputs["audio_key"] = arguments["audio_key"]
        if arguments["caption_key"]:
            inputs["caption_key"] = arguments["caption_key"]
        return Columns(inputs, [*_VALUES, MODE, ERROR])

    def _mode(self, caption_key: str | None) -> str:
        mode = self.mode
        if mode == "auto":
            mode = "clap" if caption_key else "labels"
        if mode in _NEEDS_CAPTION and not caption_key:
            raise UserError(f"mode {mode} compares with captions: name their column, run(caption_key=...)")
        return mode

    def _stage(self, mode: str) -> Stage:
        common: dict[str, Any] = {
            "sampling": self.moments,
            "reduce": self.reduce_mode,
            "device": self.device,
            "details": True,
        }
        sound: dict[str, Any] = {
            "audio_column": _AUDIO,
            "silence": self.silence,
            "audio_track": self.audio_track,
        }
        if mode == "clap":
            return ClapStage(
                caption_column=_CAPTION,
                window=self.window,
                clap_model=self.clap_model,
                **common,
                **sound,
            )
        from tools.scoring.audio_similarity.picture_stages import AudioCaptionStage, CompatStage, LabelsStage

        common |= {"precision": self.precision, "clip_model": _clip_model(self.hf_clip, mode), **self.flips}
        if mode == "compat":
            return CompatStage(**common)
        if mode == "audio_caption":
            return AudioCaptionStage(caption_column=_CAPTION, **common, **sound)
        return LabelsStage(
            labels=self.labels, window=self.window, clap_model=self.clap_model, **common, **sound
        )

    def _entry(self, results: list[Result]) -> dict[str, Any]:
        """The cells of a row from the results of its videos."""
        values = [result.values or {} for result in results]
        scores = [own[SIMILARITIES] for own in values if own.get(SIMILARITIES)]
        together = [score for several in scores for score in several]
        alone = values[0] if len(values) == 1 else {}
        reduced = [None if not own.get(SIMILARITIES) else own["audio_match"] for own in values]
        return {
            **{f"{name}_similarity": _reduced(name, together) for name in REDUCE},
            "passed_filter": _passed(
                [None if s is None else self.min_score <= s <= self.max_score for s in reduced],
                self.any_or_all,
            ),
            "av_offset": alone.get("av_offset"),
            "audio_level": alone.get("audio_level"),
            ERROR: "; ".join(result.error for result in results if result.error) or None,
            REMARKS: [remark for own in values for remark in own.get(REMARKS, ())],
        }


class _Job(NamedTuple):
    """The videos of a row; an error instead when its cells cannot be used."""

    rows: list[Row]
    error: MediaError | None = None


def _jobs(video: Any, audio: Any, caption: Any) -> _Job:
    """The rows of the stage for a row of the table."""
    videos, sounds = _paths(video), _paths(audio)
    if not videos or None in videos:
        return _Job([], MediaError("bad_value", "", "the cell of the path is empty"))
    if len(sounds) not in (0, len(videos)):
        return _Job([], MediaError("bad_value", "", f"{len(videos)} videos, but {len(sounds)} audio files"))
    pairs = zip(videos, sounds or [None] * len(videos), strict=True)
    return _Job([{"path": path, _AUDIO: sound, _CAPTION: caption} for path, sound in pairs])


def _rows(jobs: Sequence[_Job]) -> Iterator[Row]:
    for job in jobs:
        yield from job.rows


def _results(job: _Job, scored: Iterator[Result]) -> list[Result]:
    return [result_of(job.error)] if job.error else [next(scored) for _ in job.rows]


def _paths(cell: Any) -> list[str | None]:
    """The paths in a cell, None for an empty one among several; empty without any."""
    cell = parsed(cell, list)
    paths = cell if isinstance(cell, (list, tuple)) else [cell]
    found = [str(path) if path is not None and str(path).strip() else None for path in paths]
    return found if any(found) else []


def _reduced(name: str, similarities: list[float]) -> float | None:
    return round(float(REDUCE[name](np.asarray(similarities))), 6) if similarities else None


def _passed(videos: list[bool | None], any_or_all: str) -> bool | None:
    """Whether any or all pass; None when that hangs on a video without a similarity."""
    decisive = any_or_all == "any"
    if decisive in videos:
        return decisive
    return None if None in videos or not videos else not decisive


def _moments(method: str, frame_num: int) -> Moments:
    check_choice("frame_sampling_method", method, ("uniform", "all_keyframes"))
    return ShotChanges() if method == "all_keyframes" else Sampling("first_middle_last", frame_num)


def _clip_model(name: str, mode: str) -> str:
    """The CLIP that is meant by a name."""
    if mode == "compat" and "clip" in name.lower() and not Path(name).expanduser().exists():
        return "ViT-B/32"
    known, reasons = known_clip(name)
    if known is None:
        raise UserError(reasons[0])
    return known
