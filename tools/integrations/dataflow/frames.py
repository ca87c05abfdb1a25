"""Operator: write frames of the clips of a table to disk, where `VideoAestheticEvaluator` finds them."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.base.disk import disk_error, make_folder, system_message
from tools.errors import MediaError, UserError
from tools.integrations.dataflow.clip_score import index_of
from tools.integrations.dataflow.clips import Clip, ClipSpan, ClipTable
from tools.integrations.dataflow.frame_folders import (
    claim_folder,
    file_name,
    make_room,
    manifest_of,
    picture_folder,
    read_manifest,
    write_manifest,
)
from tools.integrations.dataflow.registry import Columns, Operator, clip_columns
from tools.integrations.ranks import on_every_rank
from tools.integrations.run import (
    Result,
    RunOptions,
    given,
    log_failures,
    map_rows_on_ranks,
    read_frame,
    with_columns,
    write_frame,
)
from tools.media.reading.requests import Frames, chosen_frames
from tools.media.reading.sampling import Sampling
from tools.stage.shards import current_shard
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    import numpy as np

    from tools.integrations.dataflow.storage import Storage
    from tools.media.reading.timeline.packets import PacketIndex

_QUALITY = 95  # with colours at full resolution: a score moves less than with the usual 75
_KEEP = -1  # the side that follows from the other


@dataclasses.dataclass
class FrameExportStage(Stage):
    """Writes frames of one clip as JPEG files.

    Reads ``path``, ``span`` (a `ClipSpan`) and ``folder``; adds ``frame_indices``, counted from the clip's
    first frame. Existing pictures that were made in the same way from the same file are left alone.

    Attributes:
        choice: Which frames of the clip.
        size: Width and height to scale to, one of which may be -1 to keep the shape; None for the video's.
    """

    name = "frames"
    suffix = "_frames"
    required_columns = ("path", "span", "folder")
    output_columns = {"frame_indices": pl.List(pl.Int64)}

    choice: Sampling
    size: tuple[int, int] | None = None

    def prepare(self, row: Row, frames: Frames) -> dict[str, Any]:
        """Write the pictures of a clip, and the note that says how."""
        video, span, folder = row["path"], row["span"], row["folder"]
        how = {"choice": self.choice.asdict(), "size": self.size and list(self.size)}
        expected = manifest_of(video, span, how)
        there = read_manifest(folder) or {}
        numbers = there.pop("frames", [])
        if there == expected and all(Path(folder, file_name(n)).is_file() for n in numbers):
            return {"frame_indices": numbers}
        index = index_of(video)
        within = span.frames(index)
        numbers = chosen_frames(self.choice, index, within)
        try:
            self._write(video, index, within, numbers, Path(folder))
            write_manifest(folder, {**expected, "frames": numbers})
        except OSError as error:
            if (fault := disk_error(folder, error)) is not None:
                raise fault from None
            raise MediaError(
                "encode", video, f"{folder}: cannot write there: {system_message(error)}"
            ) from None
        return {"frame_indices": numbers}

    def _write(self, video: str, index: PacketIndex, within: range, numbers: list[int], folder: Path) -> None:
        from tools.media.reading.pictures import PictureConverter
        from tools.media.reading.video_frames import iter_video_frames

        folder.mkdir(parents=True, exist_ok=True)
        make_room(str(folder), video, numbers)
        convert = PictureConverter(index, size=_shape(self.size, index.displayed_size))
        chosen = [within.start + number for number in numbers]
        for frame in iter_video_frames(video, frames=chosen, on_damage="raise", index=index):
            _save(convert(frame.picture), folder / file_name(frame.index - within.start))


def _shape(size: tuple[int, int] | None, displayed: tuple[int, int]) -> tuple[int, int] | None:
    if size is None or _KEEP not in size:
        return size
    width, height = size
    if width == _KEEP:
        return max(1, round(displayed[0] * height / displayed[1])), height
    return width, max(1, round(displayed[1] * width / displayed[0]))


def _save(picture: np.ndarray, path: Path) -> None:
    from PIL import Image

    encoded = io.BytesIO()  # Pillow takes a file that a full disk cut short for a whole one
    Image.fromarray(picture).save(encoded, "JPEG", quality=_QUALITY, subsampling=0)
    path.write_bytes(encoded.getbuffer())


class VideoFrameFilter(Operator):
    """Writes frames of every clip in column ``video_clips`` as pictures, and says in a column what it wrote.

    ``<output_dir>/<video stem>/<clip id>/img/frame_NNNNNN.jpg``; NNNNNN counts from the clip's first frame.
    Of two videos with the same name in different folders the second gets ``<video stem>-<8 digits>``.

    Column ``video_frame_export``: {"success", "error", "output_dir", "total_clips", "total_saved_frames",
    "clips": [{"clip_id", "dir", "saved", "frame_indices"}, ...]}. A clip that failed has ``error``, saved 0
    and no indices; `success` is whether there are clips and none failed.

    Args:
        input_video_key: Column with the path of the video, a text or a list of one text.
        video_info_key: Accepted for DataFlow's sake: the times of the frames are read from the file.
        video_clips_key: Column with ``{"clips": [{"id", "frame_start", "frame_end", ...}, ...]}``.
        output_key: Column for what was written.
        output_dir: Folder for the pictures, relative to the current folder.
        interval_sec: Seconds between frames, the first one included; None for first, middle and last.
        target_size: ``"640*360"``, ``"640x360"`` or (640, 360): exactly this size, whatever shape the video
            has; -1 for one side keeps the shape. None for the video's own size.
        disable_parallel: One worker only.
        num_workers: Processes, never more than cores; 0 works in this process, without guards.

    Raises:
        UserError: An option is wrong.
    """

    purpose = (
        "Writes frames of every clip as pictures, and says in a column what it wrote.",
        "抽取每个视频片段的帧并保存为图片，并在一列中记录结果。",
    )

    def __init__(
        self,
        input_video_key: str = "video",
        video_info_key: str = "video_info",
        video_clips_key: str = "video_clips",
        output_key: str = "video_frame_export",
        output_dir: str = "./cache/extract_frames",
        interval_sec: float | None = None,
        target_size: str | Sequence[int] | None = None,
        disable_parallel: bool = False,
        num_workers: int = 16,
    ) -> None:
        self.input_video_key = input_video_key
        self.video_info_key = video_info_key
        self.video_clips_key = video_clips_key
        self.output_key = output_key
        self.output_dir = output_dir
        self.interval_sec = interval_sec
        self.target_size = target_size
        self.disable_parallel = disable_parallel
        self.num_workers = num_workers
        self._stage()

    def run(
        self,
        storage: Storage,
        input_video_key: str | None = None,
        video_info_key: str | None = None,
        video_clips_key: str | None = None,
        output_key: str | None = None,
        output_dir: str | None = None,
    ) -> None:
        """Read the table, write the pictures of its clips, write the table.

        Args:
            storage: A `FileStorage`, DataFlow's, or anything with its ``read`` and ``write``.
            input_video_key: This and the others are used instead of what ``__init__`` got, unless None.
            video_info_key: See there.
            video_clips_key: See there.
            output_key: See there.
            output_dir: See there.

        Raises:
            UserError: A column is missing, or `output_dir` cannot be made.
        """
        video_key = given(input_video_key, self.input_video_key)
        clips_key = given(video_clips_key, self.video_clips_key)
        root = str(given(output_dir, self.output_dir))
        frame = read_frame(storage, video_key, clips_key)
        table = ClipTable(frame, video_key, clips_key)
        exports = self._export(table, root)
        columns = {given(output_key, self.output_key): _summaries(table, exports, root)}
        write_frame(storage, with_columns(frame, columns))
        log_failures((export.get("error") for export in exports), "clips have no frames")

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """Reads the columns of the video and of its clips; see `Operator`."""
        return clip_columns(self, arguments)

    def _stage(self) -> FrameExportStage:
        if self.interval_sec is None:
            choice = Sampling("first_middle_last", 3)
        else:
            choice = Sampling("interval_time", interval=float(self.interval_sec))
        return FrameExportStage(choice, parse_size(self.target_size))

    def _export(self, table: ClipTable, root: str) -> list[dict[str, Any]]:
        """Write all pictures.

        Returns:
            For each clip its entry in the column.
        """
        jobs: dict[str, Row] = {}
        planned: list[str | MediaError] = []
        folders = _claimed(table, root)
        for clip in table.clips:
            try:
                job = _job(clip, folders)
                if jobs.setdefault(job["folder"], job) != job:
                    raise MediaError("bad_value", "", f"another clip of this video has the id {clip.id}")
                planned.append(job["folder"])
            except MediaError as error:
                planned.append(error)
        options = RunOptions(
            num_workers=min(1, self.num_workers) if self.disable_parallel else self.num_workers,
            progress=True,
        )
        done = dict(zip(jobs, map_rows_on_ranks(self._stage(), jobs.values(), options), strict=True))
        return [
            _entry(clip, plan, Result(None, clip.reason or plan.reason))
            if isinstance(plan, MediaError)
            else _entry(clip, plan, done[plan])
            for clip, plan in zip(table.clips, planned, strict=True)
        ]


def parse_size(size: str | Sequence[int] | None) -> tuple[int, int] | None:
    """Width and height from what a user gives: ``640*360``, ``640x360``, a pair, or None.

    Raises:
        UserError: It is none of these.
    """
    if size is None:
        return None
    sides = re.split(r"[*xX]", size) if isinstance(size, str) else size
    try:
        width, height = (int(side) for side in sides)
    except (TypeError, ValueError):
        width = height = 0
    if not all(side > 0 or side == _KEEP for side in (width, height)) or width == height == _KEEP:
        raise UserError(f"target_size must be like 640*360 (or 640*-1 to keep the shape), not {size!r}")
    return width, height


def _claimed(table: ClipTable, root: str) -> dict[str, str | MediaError]:
    """The folder of each video that has clips, or why it has none; rank 0 decides for all."""
    videos = dict.fromkeys(clip.video for clip in table.clips if clip.video and clip.reason is None)

    def claim() -> dict[str, str | MediaError]:
        if current_shard().rank:
            return {}
        make_folder(root)
        return {video: _folder_of(root, video) for video in videos}

    return on_every_rank(claim)[0]


def _folder_of(root: str, video: str) -> str | MediaError:
    try:
        return claim_folder(root, video)
    except MediaError as error:
        return error


def _job(clip: Clip, folders: dict[str, str | MediaError]) -> Row:
    if clip.video is None or clip.reason is not None:
        raise MediaError("bad_value", "", clip.reason or "")
    folder = folders[clip.video]
    if isinstance(folder, MediaError):
        raise folder
    folder = picture_folder(folder, clip.id)
    return {"path": clip.video, "span": ClipSpan.of(clip.cells), "folder": folder}


def _entry(clip: Clip, plan: str | MediaError, result: Result) -> dict[str, Any]:
    folder = None if isinstance(plan, MediaError) else plan
    if result.values is None:
        return {"clip_id": clip.id, "dir": folder, "saved": 0, "frame_indices": [], "error": result.reason}
    numbers = result.values["frame_indices"]
    return {"clip_id": clip.id, "dir": folder, "saved": len(numbers), "frame_indices": numbers}


def _summaries(table: ClipTable, exports: list[dict[str, Any]], root: str) -> list[dict[str, Any]]:
    """The cells of the column."""
    entries: list[list[dict[str, Any]]] = [[] for _ in table.structs]
    for clip, export in zip(table.clips, exports, strict=True):
        entries[clip.row].append(export)
    return [_summary(found, root) for found in entries]


def _summary(entries: list[dict[str, Any]], root: str) -> dict[str, Any]:
    errors = [entry["error"] for entry in entries if "error" in entry]
    error = errors[0] if errors else None if entries else "bad_value: the row has no clips"
    return {
        "success": error is None,
        "error": error,
        "output_dir": root,
        "total_clips": len(entries),
        "total_saved_frames": sum(entry["saved"] for entry in entries),
        "clips": entries,
    }
