"""What of a table is exported: each row as pieces of files to write, or why nothing of it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from tools.base.addresses import without_query
from tools.errors import UserError
from tools.export.captions import Captions
from tools.export.clips import clips
from tools.export.encode import Box, Cut
from tools.export.explain import judge
from tools.export.targets import Target, fitting_size, target
from tools.export.trainers.base import Setup, Trainer
from tools.export.trainers.judgement import Clip, Judgement, Reason, unusable


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        trainer: Who reads the files.
        setup: How one trains.
        captions: How captions are made.
        caption_column: The column of captions.
        place: Where a piece is cut from a longer clip: ``start`` or ``middle``.
        windows: Cut several pieces out of a long clip, one after the other.
        keep_source: Write the files as they are.
        keep_small: Write clips that are smaller than their bucket, which the trainer then enlarges.
    """

    trainer: Trainer
    setup: Setup
    captions: Captions = Captions()
    caption_column: str = "text"
    place: str = "start"
    windows: bool = False
    keep_source: bool = False
    keep_small: bool = False


@dataclass(frozen=True)
class Planned:
    """One file to write.

    Attributes:
        cut: What of the source becomes the file; None for the source as it is.
        clip: The file as its trainer will see it.
        judgement: What its trainer does with it.
    """

    cut: Cut | None
    clip: Clip
    judgement: Judgement


@dataclass(frozen=True)
class RowPlan:
    """One row and what is made of it.

    Attributes:
        row: Its number, from 0.
        source: The row as a clip.
        pieces: The files; empty if it is lost.
        loss: Why it is lost.
    """

    row: int
    source: Clip
    pieces: tuple[Planned, ...] = ()
    loss: Reason | None = None


@dataclass(frozen=True)
class _Source:
    """A row: the clip, its cells that the caption template names, and its picture without black bars."""

    clip: Clip
    cells: dict[str, Any]
    box: Box | None

    @property
    def inner(self) -> Clip:
        """The clip without black bars."""
        return replace(self.clip, width=self.box[0], height=self.box[1]) if self.box else self.clip


class Planner:
    """Plans the rows of a table.

    Attributes:
        wanted: What is asked for.
    """

    def __init__(self, table: pl.DataFrame, meta: str | Path, wanted: Wanted) -> None:
        """Read the columns that are needed.

        Args:
            table: See `tools.export.clips.clips`; ``crop`` (``w:h:x:y``, of the technical scores) if it is
                there.
            meta: What the table is called in messages.
            wanted: What is asked for.

        Raises:
            UserError: A column is missing.
        """
        wanted.captions.check(table.columns)
        if wanted.caption_column not in table.columns and not wanted.captions.allow_empty:
            raise UserError(
                f"{meta}: has no column {wanted.caption_column!r} of captions; --caption-column names "
                "another, --allow-empty-captions writes clips without"
            )
        named = [name for name in wanted.captions.columns() if name in table.columns]
        columns = table.select(named) if named else None
        boxes = table["crop"].cast(pl.String).to_list() if "crop" in table.columns else None
        self._sources = [
            _Source(
                clip,
                columns.row(row, named=True) if columns is not None else {},
                None if boxes is None else clean_box(boxes[row], clip),
            )
            for row, clip in enumerate(clips(table, meta, wanted.caption_column))
        ]
        self.wanted = wanted

    def plans(self, wanted: Wanted | None = None) -> Iterator[RowPlan]:
        """A plan for each row, in order; `wanted` stands for what was asked for."""
        for row, source in enumerate(self._sources):
            yield _plan(row, source, wanted or self.wanted)

    def shorter(self, row: int, piece: Planned, length: int) -> Planned | None:
        """A piece of a row cut to a smaller number of frames.

        Args:
            row: Of the table.
            piece: What was planned of it.
            length: Frames that the trainer is to use of it.

        Returns:
            The shorter piece from the same place, or around the same middle; None if there is none.
        """
        if piece.cut is None:
            return None
        wanted = replace(self.wanted, setup=replace(self.wanted.setup, frames=(length,), by_length=False))
        source = self._sources[row]
        there = replace(source.inner, num_frames=piece.clip.num_frames, fps=piece.clip.fps)
        one = target(there, wanted.trainer, wanted.setup)
        if isinstance(one, Reason):
            return None
        start = piece.cut.start + _before(there.num_frames, one, wanted)
        found = _planned(source, one, start, self.wanted)
        return None if isinstance(found, Reason) else found


def clean_box(cell: str | None, clip: Clip) -> Box | None:
    """The part of the picture inside black bars; None for all of it."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+):(\d+)", (cell or "").strip())
    if not found:
        return None
    width, height, x, y = map(int, found.groups())
    inside = width >= 2 and height >= 2 and x + width <= clip.width and y + height <= clip.height
    return (width, height, x, y) if inside and (width, height) != (clip.width, clip.height) else None


def _plan(row: int, source: _Source, wanted: Wanted) -> RowPlan:
    clip = source.clip
    if reason := unusable(clip):
        return RowPlan(row, clip, loss=reason)
    found = _as_it_is(source, wanted) if wanted.keep_source else _pieces(source, wanted)
    return RowPlan(row, clip, loss=found) if isinstance(found, Reason) else RowPlan(row, clip, tuple(found))


def _as_it_is(source: _Source, wanted: Wanted) -> list[Planned] | Reason:
    clip = source.clip
    caption = wanted.captions.caption(clip.caption, source.cells)
    if isinstance(caption, Reason):
        return caption
    suffix = PurePosixPath(without_query(clip.name)).suffix
    known = wanted.trainer.extensions
    if (suffix.lower() if wanted.trainer.any_case else suffix) not in known:
        text = f"{wanted.trainer.name} does not open {suffix or 'files without an extension'}"
        return Reason("file type", text, "leave out --keep-source, or tools.datasets.transform mkv_to_mp4")
    seen = replace(clip, caption=caption)
    judgement = judge(seen, wanted.trainer, wanted.setup)
    return judgement.loss or [Planned(None, seen, judgement)]


def _pieces(source: _Source, wanted: Wanted) -> list[Planned] | Reason:
    inner = source.inner
    found: list[Planned] = []
    start, rest = 0, inner
    while True:
        one = target(rest, wanted.trainer, wanted.setup)
        if isinstance(one, Reason):
            return found or _with_frames(one, source, wanted)
        if not wanted.keep_small and (too_small := _too_small(inner, one, wanted)):
            return found or too_small
        there = wanted.trainer.frames_there(rest, wanted.setup)  # as `target` counts
        planned = _planned(source, one, start + _before(there, one, wanted), wanted)
        if isinstance(planned, Reason):
            return found or planned
        found.append(planned)
        left = there - one.num_frames
        if not wanted.windows or left < 2:
            return found
        start += one.num_frames
        rest = replace(inner, num_frames=left, fps=one.fps)


def _before(there: int, one: Target, wanted: Wanted) -> int:
    """Frames that are left out before a piece."""
    centred = wanted.place == "middle" and not wanted.windows
    return max(0, there - one.num_frames) // 2 if centred else 0


def _with_frames(reason: Reason, source: _Source, wanted: Wanted) -> Reason:
    """The reason of a clip that is too short, with the number of frames that it has enough for.

    Where it would be lost with that number too, the reason of that.
    """
    setup, trainer = wanted.setup, wanted.trainer
    if reason.kind != "too short":
        return reason
    there = trainer.frames_there(source.inner, setup)
    legal = setup.model.frames.all()
    fitting = max((n for n in legal if trainer.frames_for(n, setup) <= there), default=None)
    if fitting is None:
        fps, least = trainer.rate(source.inner, setup), trainer.frames_for(legal[0], setup)
        return replace(reason, text=f"{there} frames at {fps:g} fps, {least} needed", remedy="a longer clip")
    shorter = replace(wanted, setup=replace(setup, frames=(fitting,), by_length=False), windows=False)
    one = target(source.inner, trainer, shorter.setup)
    if isinstance(one, Reason):  # too short again where the trainer's own settings say the lengths
        return reason if one.kind == reason.kind else one
    remains = None if wanted.keep_small else _too_small(source.inner, one, wanted)
    planned = remains or _planned(source, one, 0, shorter)
    return planned if isinstance(planned, Reason) else replace(reason, remedy=f"--frames {fitting}")


def _too_small(clip: Clip, one: Target, wanted: Wanted) -> Reason | None:
    width, height = one.bucket.width, one.bucket.height
    if width <= clip.width and height <= clip.height:
        return None
    text = f"{clip.width}x{clip.height} is smaller than its bucket {width}x{height}"
    size = fitting_size(clip, wanted.trainer, wanted.setup)
    smaller = f"--sizes {size[0]}x{size[1]}, or " if size else ""
    return Reason("too small", text, f"{smaller}--keep-small")


def _planned(source: _Source, one: Target, start: int, wanted: Wanted) -> Planned | Reason:
    clip = source.inner
    sound = wanted.setup.model.sound and clip.has_audio
    written = replace(
        clip,
        width=one.width,
        height=one.height,
        num_frames=one.num_frames,
        fps=one.fps,
        has_audio=sound,
    )
    # What the template says of the clip is true of the file that is written.
    true = {name: getattr(written, name) for name in ("width", "height", "num_frames", "fps")}
    caption = wanted.captions.caption(clip.caption, {**source.cells, **true})
    if isinstance(caption, Reason):
        return caption
    written = replace(written, caption=caption)
    judgement = judge(written, wanted.trainer, wanted.setup)
    if judgement.loss:
        return judgement.loss
    fps = None if one.fps == clip.fps else exact_rate(one.fps)
    cut = Cut(start, one.num_frames, fps, one.width, one.height, source.box, sound)
    return Planned(cut, written, judgement)


def exact_rate(fps: float) -> Fraction:
    """A frame rate as a fraction; one that was rounded from n * 1000 / 1001, such as 23.976, becomes that."""
    exact = Fraction(round(fps) * 1000, 1001)
    if fps != round(fps) and abs(fps - exact) < 1e-3:
        return exact
    return Fraction(fps).limit_denominator(1001)
