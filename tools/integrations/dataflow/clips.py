"""The clips of a table in DataFlow's form: a dict ``{"clips": [...]}`` in a cell of each video's row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import MediaError
from tools.integrations.cells import one_path
from tools.integrations.run import Result, cells, log_failures
from tools.table.cells import parsed

if TYPE_CHECKING:
    import pandas as pd

    from tools.media.reading.timeline.packets import PacketIndex


@dataclasses.dataclass(frozen=True)
class ClipSpan:
    """Where a clip lies in its video, as its dict says.

    Attributes:
        frame_start: Number of its first frame; None when only times are known.
        frame_end: Number of the first frame after it.
        timestamp_start: Seconds since the first frame of the video at which it begins.
        timestamp_end: Seconds at which it has ended.
    """

    frame_start: int | None = None
    frame_end: int | None = None
    timestamp_start: float | None = None
    timestamp_end: float | None = None

    @classmethod
    def of(cls, clip: dict[str, Any]) -> ClipSpan:
        """The span of a clip: its frame numbers, or else its times.

        Args:
            clip: ``frame_start`` with ``frame_end`` (exclusive) or ``num_frames``; or ``timestamp_start``
                and ``timestamp_end``, in seconds. Of both, the frame numbers count.

        Raises:
            MediaError: bad_value: there is neither, or the clip is empty.
        """
        start, end = (_number(clip, name) for name in ("frame_start", "frame_end"))
        if start is not None and end is None and (length := _number(clip, "num_frames")) is not None:
            end = start + length
        if start is not None and end is not None:
            if not (start.is_integer() and end.is_integer()):
                raise MediaError(
                    "bad_value", "", f"frame numbers are whole numbers, not {start:g} and {end:g}"
                )
            return cls(*_ordered(int(start), int(end), "frame"))
        start, end = (_number(clip, name) for name in ("timestamp_start", "timestamp_end"))
        if start is None or end is None:
            raise MediaError(
                "bad_value",
                "",
                "the clip has neither frame_start and frame_end nor timestamp_start and timestamp_end",
            )
        return cls(None, None, *_ordered(start, end, "second"))

    def frames(self, index: PacketIndex) -> range:
        """Numbers of the clip's frames; one that reaches beyond the end of the video ends with it.

        Raises:
            MediaError: too_short: the video ends before the clip begins.
        """
        if self.frame_start is not None and self.frame_end is not None:
            found = range(self.frame_start, min(self.frame_end, index.num_frames))
            begins = f"at frame {self.frame_start}, the video has {index.num_frames}"
        else:
            within = index.frames_between(self.timestamp_start, self.timestamp_end)
            found = range(within.start, min(within.stop, index.num_frames))
            begins = f"at {self.timestamp_start:g} s, the video lasts {index.duration:.3f} s"
        if not found:
            raise MediaError("too_short", "", f"no frame of the video lies in the clip: it begins {begins}")
        return found


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip of a table.

    Attributes:
        row: Position of its video's row.
        number: Position among the clips of that row.
        video: Path of the video; None where the cell has none.
        id: Its name: the ``id`` of its dict, or ``<video stem>_<number>``.
        cells: Its dict.
        reason: Why nothing can be done with it; None when something can.
    """

    row: int
    number: int
    video: str | None
    id: str
    cells: dict[str, Any]
    reason: str | None = None


class ClipTable:
    """The clips of all rows of a table, for work that is done clip by clip.

    Args:
        frame: The table; it stays as it is.
        video_key: Column with the path of the video, a text or a list of one text.
        clips_key: Column with the dicts. A text with one in JSON is read, too; a cell that holds something
            else stays as it is, and the log counts it.

    Attributes:
        structs: For each row a copy of its dict; None where there is none.
        clips: All clips in the order of the table.
        videos: For each row its path; None where the cell has none.
    """

    def __init__(self, frame: pd.DataFrame, video_key: str, clips_key: str) -> None:
        self._cells = cells(frame, clips_key)
        self.structs = [_struct(cell) for cell in self._cells]
        self.clips: list[Clip] = []
        self.videos: list[str | None] = []
        for row, (cell, struct) in enumerate(zip(cells(frame, video_key), self.structs, strict=True)):
            video, reason = _video(cell)
            self.videos.append(video)
            for number, clip in enumerate(_clips(struct)):
                name = clip.get("id")
                known = f"{Path(video or 'clip').stem}_{number}" if name in (None, "") else str(name)
                self.clips.append(Clip(row, number, video, known, clip, reason))
        faults = map(_fault, self._cells, self.structs)
        log_failures(faults, f'rows have no {{"clips": [...]}} in {clips_key}')

    def results(self, work: Callable[[list[Clip]], Sequence[Result]]) -> list[Result]:
        """Do something with every clip for which something can be done.

        Args:
            work: Called once; gives a result for each clip that it gets.

        Returns:
            A result for each of `clips`.
        """
        possible = [clip for clip in self.clips if clip.reason is None]
        done = iter(work(possible))
        return [next(done) if clip.reason is None else Result(None, clip.reason) for clip in self.clips]

    def updated(self, changes: Sequence[dict[str, Any]], dropped: Sequence[str] = ()) -> list[Any]:
        """The cells of the column with new entries in its clips.

        Args:
            changes: For each of `clips`, what is new in its dict.
            dropped: Entries of an earlier run, which go unless they are new.
        """
        clips: dict[int, list[Any]] = {}  # of each row that has any
        for clip, change in zip(self.clips, changes, strict=True):
            kept = {name: value for name, value in clip.cells.items() if name not in dropped}
            clips.setdefault(clip.row, []).append({**kept, **change})
        return [
            cell if struct is None else struct if row not in clips else {**struct, "clips": clips[row]}
            for row, (cell, struct) in enumerate(zip(self._cells, self.structs, strict=True))
        ]


def _struct(cell: Any) -> dict[str, Any] | None:
    cell = parsed(cell, dict)
    return cell if isinstance(cell, dict) else None


def _fault(cell: Any, struct: dict[str, Any] | None) -> str | None:
    """What is wrong with a cell that should hold clips; nothing where it is empty, or has an empty list."""
    found = cell if struct is None else struct.get("clips")
    kind = dict if struct is None else list
    return None if found in (None, "") or isinstance(found, kind) else "bad_value"


def _clips(struct: dict[str, Any] | None) -> list[dict[str, Any]]:
    clips = (struct or {}).get("clips")
    if not isinstance(clips, list):
        return []
    return [clip if isinstance(clip, dict) else {} for clip in clips]


def _video(cell: Any) -> tuple[str | None, str | None]:
    try:
        return one_path(cell), None
    except MediaError as error:
        return None, error.reason


def _number(clip: dict[str, Any], name: str) -> float | None:
    value = clip.get(name)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise MediaError("bad_value", "", f"{name} of the clip is no number: {value!r:.40}") from None


def _ordered(start: Any, end: Any, unit: str) -> tuple[Any, Any]:
    if not 0 <= start < end:
        raise MediaError("bad_value", "", f"the clip goes from {unit} {start:g} to {unit} {end:g}")
    return start, end
