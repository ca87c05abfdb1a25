"""Score the clips of a table with any stage: frames from the video between the clip's ends, or from disk."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tools.errors import MediaError, UserError
from tools.integrations.cells import path_or_error, plain
from tools.integrations.dataflow.clips import Clip, ClipSpan, ClipTable
from tools.integrations.dataflow.frame_folders import Picture, find_pictures, shared_names
from tools.integrations.dataflow.registry import Columns, Operator, clip_columns
from tools.integrations.run import (
    Result,
    RunOptions,
    given,
    log_failures,
    log_remarks,
    map_rows_on_ranks,
    read_frame,
    with_columns,
    write_frame,
)
from tools.media.reading.requests import Frames, chosen_frames
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    from tools.integrations.dataflow.storage import Storage
    from tools.media.reading.requests import FrameChoice
    from tools.media.reading.timeline.packets import PacketIndex

FRAMES_FROM = "frames_from"
FRAME_NUMBERS = "frame_numbers"


@dataclasses.dataclass
class PerClipStage(Stage):
    """Another stage, applied to a clip of a video that was never cut.

    Column ``clip`` says which frames are the clip's; the other stage sees these, and its `sampling` chooses
    among them, just as in a file cut to them.

    Attributes:
        stage: The stage; one that reads some of a video's frames, not all of them.

    Adds the columns of the other stage, and:
        frames_from: ``files`` (pictures on disk), ``video``, or ``image``.
        frame_numbers: The frames that were read, counted from the first one of the clip.

    Raises:
        UserError: The stage is of another kind.
    """

    name = "clips"
    suffix = "_clips"
    required_columns = ("path", "clip")

    stage: Stage

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        if self.stage.sampling is None or self.stage.request.thumbnails or self.stage.one_to_many:
            raise UserError(
                f"{type(self.stage).__name__} cannot score a part of a video; "
                "cut the clips into files of their own for it"
            )
        self.name = self.stage.name
        self.optional_columns = (*self.stage.required_columns, *self.stage.optional_columns)
        self.output_columns = {
            **self.stage.output_columns,
            FRAMES_FROM: pl.String,
            FRAME_NUMBERS: pl.List(pl.Int64),
        }
        self.batch_seconds = self.stage.batch_seconds
        self.checks_order = self.stage.checks_order

    def as_other_row(self, prepared: Any, number: int) -> Any:
        """As the other stage makes it another one."""
        inner, origin, numbers = prepared
        return self.stage.as_other_row(inner, number), origin, numbers

    def setup(self) -> None:
        """Load the models of the other stage."""
        self.stage.setup()

    def prepare(self, row: Row, frames: Frames) -> tuple[Any, str, list[int]]:
        """Read the frames of the clip, and let the other stage prepare them."""
        clip: ClipSource = row["clip"]
        origin, numbers, chosen = clip.read(row["path"], self.stage)
        return self.stage.prepare(row, chosen), origin, numbers

    def score(self, batch: list[Any]) -> list[dict[str, Any] | MediaError]:
        """Score with the other stage."""
        outcomes = self.stage.score([prepared for prepared, _, _ in batch])
        return [
            outcome
            if isinstance(outcome, MediaError)
            else {**outcome, FRAMES_FROM: origin, FRAME_NUMBERS: numbers}
            for outcome, (_, origin, numbers) in zip(outcomes, batch, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """Where the frames of a clip are.

    Attributes:
        cells: The clip's dict; None for the whole video, or an image.
        id: The clip's id.
        figure_root: Folder of pictures to look at first; None for the video alone.
        shared: See `tools.integrations.dataflow.frame_folders.find_folder`.
    """

    cells: dict[str, Any] | None = None
    id: str = ""
    figure_root: str | None = None
    shared: bool = False

    def read(self, video: str, stage: Stage) -> tuple[str, list[int], Frames]:
        """Read the frames that a stage chooses.

        Returns:
            ``files``, ``video`` or ``image``; their numbers, from the first one of the clip; the frames.

        Raises:
            MediaError: There are none, or one of them cannot be decoded.
        """
        from tools.media.reading.extensions import is_image
        from tools.media.reading.requests import read_sampled

        if self.cells is None:
            frames = read_sampled(video, _sampling_of(stage), decoder=stage.decoder)
            return "image" if is_image(video) else "video", [frame.index for frame in frames], frames
        span: ClipSpan | MediaError
        try:
            span = ClipSpan.of(self.cells)
        except MediaError as error:  # pictures on disk need no span
            span = error
        if self.figure_root is not None:
            known = None if isinstance(span, MediaError) else span
            pictures = find_pictures(self.figure_root, video, self.id, known, shared=self.shared)
            if pictures:
                return "files", *_read_pictures(pictures, stage)
        if isinstance(span, MediaError):
            raise span
        return "video", *_read_span(video, span, stage)


def _sampling_of(stage: Stage) -> FrameChoice:
    assert stage.sampling is not None  # see `PerClipStage.configure`
    return stage.sampling


def _read_pictures(pictures: list[Picture], stage: Stage) -> tuple[list[int], Frames]:
    from tools.media.reading.frames import Frame
    from tools.media.reading.images import read_image

    order = np.arange(len(pictures), dtype=np.float64)
    chosen = [pictures[i] for i in _sampling_of(stage).indices(order)]
    frames = []
    for picture in chosen:
        try:
            frames.append(Frame(picture.number, 0, 0.0, read_image(picture.path)))
        except MediaError as error:
            raise MediaError(
                error.kind, picture.path, f"{Path(picture.path).name}: {error.message}"
            ) from None
    return [picture.number for picture in chosen], Frames(frames, order)


def _read_span(video: str, span: ClipSpan, stage: Stage) -> tuple[list[int], Frames]:
    from tools.media.reading.frames import read_frames
    from tools.media.reading.sampling import SamplingError

    index = index_of(video)
    within = span.frames(index)
    times = index.times[within.start : within.stop] - index.times[within.start]
    try:
        numbers = chosen_frames(_sampling_of(stage), index, within)
    except SamplingError as error:
        raise MediaError("too_short", video, str(error)) from None
    chosen = [within.start + number for number in numbers]
    return numbers, Frames(read_frames(video, chosen, decoder=stage.decoder, index=index), times)


def index_of(video: str) -> PacketIndex:
    """The packets of a video, kept for its next clip.

    Raises:
        MediaError: As `tools.media.reading.timeline.scan.index_packets`.
    """
    from tools.media.reading.container import check_file

    check_file(video)
    state = Path(video).stat()
    return _index(video, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _index(video: str, size: int, mtime_ns: int) -> PacketIndex:
    from tools.media.reading.timeline.scan import index_packets

    return index_packets(video)


def score_clips(
    stage: Stage, table: ClipTable, options: RunOptions, figure_root: str | None = None
) -> list[Result]:
    """Score every clip of a table.

    Args:
        stage: The score.
        table: The clips; the other columns that the stage reads are in their dicts.
        options: How.
        figure_root: Folder of pictures to look at first, see `tools.integrations.dataflow.frame_folders`.

    Returns:
        For each of ``table.clips`` the columns of `PerClipStage`, or why there are none.
    """
    shared = shared_names(table.videos)

    def row(clip: Clip) -> Row:
        source = ClipSource(clip.cells, clip.id, figure_root, Path(clip.video or "").stem in shared)
        needed = dict.fromkeys(stage.required_columns)
        return {**needed, **clip.cells, "path": clip.video, "clip": source}

    staged = PerClipStage(stage)
    return table.results(lambda clips: map_rows_on_ranks(staged, [row(clip) for clip in clips], options))


def score_files(stage: Stage, cells: Iterable[Any], options: RunOptions) -> list[Result]:
    """Score whole videos and images.

    Args:
        stage: The score.
        cells: For each its path: a text, or a list of one text.
        options: How.

    Returns:
        For each the columns of `PerClipStage`, or why there are none.
    """
    paths = (path_or_error(plain(cell)) for cell in cells)
    rows = [path if isinstance(path, MediaError) else {"path": path, "clip": ClipSource()} for path in paths]
    return map_rows_on_ranks(PerClipStage(stage), rows, options)


class ClipScore(Operator):
    """Operator: any stage that scores some frames of a video, for every clip in column ``video_clips``.

    Each clip gets the stage's columns as entries of its dict; those that cannot be had are null, and
    ``<stage name>_error`` says why.

    Args:
        stage: The score, for example ``tools.scoring.ocr.stage.OcrStage()``.
        input_video_key: Column with the path of the video, a text or a list of one text.
        video_clips_key: Column with ``{"clips": [{"id", "frame_start", "frame_end", ...}, ...]}``.
        batch_size: Most clips that are scored at once.
        num_workers: Processes that decode, never more than cores; 0 works in this process, without guards.
        output_key: Column for the updated dicts.

    Raises:
        UserError: The stage is of another kind.
    """

    purpose = (
        "Scores every clip with any stage that reads some frames of a video.",
        "用任意一种基于抽帧的评分为每个视频片段打分。",
    )

    def __init__(
        self,
        stage: Stage,
        input_video_key: str = "video",
        video_clips_key: str = "video_clips",
        batch_size: int = 64,
        num_workers: int = 4,
        output_key: str = "video_clips",
    ) -> None:
        PerClipStage(stage)
        self.stage = stage
        self.input_video_key = input_video_key
        self.video_clips_key = video_clips_key
        self.options = RunOptions(batch_size=batch_size, num_workers=num_workers, progress=True)
        self.output_key = output_key

    def run(
        self,
        storage: Storage,
        input_video_key: str | None = None,
        video_clips_key: str | None = None,
        output_key: str | None = None,
    ) -> None:
        """Read the table, score its clips, write it.

        Args:
            storage: A `FileStorage`, DataFlow's, or anything with its ``read`` and ``write``.
            input_video_key: This and the others are used instead of what ``__init__`` got, unless None.
            video_clips_key: See there.
            output_key: See there.

        Raises:
            UserError: A column is missing, or weights are.
        """
        video_key = given(input_video_key, self.input_video_key)
        clips_key = given(video_clips_key, self.video_clips_key)
        frame = read_frame(storage, video_key, clips_key)
        table = ClipTable(frame, video_key, clips_key)
        results = score_clips(self.stage, table, self.options)
        names, failure = list(self.stage.added_columns), f"{self.stage.name}_error"
        changes = [
            {name: None if own.values is None else own.values[name] for name in names}
            | ({failure: own.error} if own.error else {})
            for own in results
        ]
        output = given(output_key, self.output_key)
        write_frame(storage, with_columns(frame, {output: table.updated(changes, (failure,))}))
        log_failures((own.error for own in results), f"clips lack a value of {self.stage.name}")
        log_remarks([own.values or {} for own in results])

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """Reads the columns of the video and of its clips; see `Operator`."""
        return clip_columns(self, arguments)
