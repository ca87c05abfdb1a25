"""The ways to cut behind one interface: what a clip is going to contain, and writing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from tools.errors import MediaError
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.writing.copying import NotCopyable, clip_extension, copied_audio, copy_plan, write_copies
from tools.media.writing.encode import Job
from tools.media.writing.exact import EncodeSettings, write_exact
from tools.media.writing.plan import Plan

Outcome = tuple[Job, bool | MediaError]
"""A job, and whether its clip has sound, or what went wrong."""


@dataclasses.dataclass(frozen=True)
class PlannedCut:
    """What a clip is going to contain.

    Attributes:
        plan: Its frames; more than those of the scene where packets are copied.
        mode: How it is cut.
        copied: Seconds of picture that are copied.
        copied_frames: The same in frames.
        note: Why it is cut in another mode than the requested one.
    """

    plan: Plan
    mode: str
    copied: float = 0.0
    copied_frames: int = 0
    note: str = ""


class Cutter(Protocol):
    """One way to cut the clips of one source.

    Attributes:
        extension: Of the clips' names.
        size: Width and height of the clips as shown.
    """

    extension: str
    size: tuple[int, int]

    def plan_cut(self, plan: Plan) -> PlannedCut:
        """Decide what a clip is going to contain. Raises `NotCopyable` where this cutter cannot cut it."""
        ...

    def write(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Write clips that were planned."""
        ...


class ExactCutter:
    """Encodes every frame."""

    extension = ".mp4"

    def __init__(
        self, index: PacketIndex, settings: EncodeSettings, *, engine: str = "pyav", note: str = ""
    ) -> None:
        self.size = (settings.shape.width, settings.shape.height)
        self._index, self._settings, self._engine, self._note = index, settings, engine, note

    def plan_cut(self, plan: Plan) -> PlannedCut:
        """Take the plan as it is."""
        return PlannedCut(plan, "exact", note=self._note)

    def write(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Encode with the engine."""
        if self._engine == "ffmpeg":
            from tools.media.writing.ffmpeg_cutter import write_with_ffmpeg

            return write_with_ffmpeg(self._index, jobs, self._settings)
        return write_exact(self._index, jobs, self._settings)


class CopyCutter:
    """Copies packets."""

    def __init__(self, index: PacketIndex, *, keep_audio: bool, audio_track: str | None = None) -> None:
        self.size = index.displayed_size
        sound = copied_audio(index.path, audio_track) if keep_audio else None
        self.extension = clip_extension(index, sound)
        self._index, self._keep_audio, self._audio_track = index, keep_audio, audio_track

    def plan_cut(self, plan: Plan) -> PlannedCut:
        """Widen the plan to whole groups of pictures."""
        plan = copy_plan(self._index, plan)
        return PlannedCut(plan, "copy", copied=float(plan.duration), copied_frames=len(plan.frames))

    def write(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Copy."""
        return write_copies(self._index, jobs, keep_audio=self._keep_audio, audio_track=self._audio_track)


class SmartCutter:
    """Copies what it can and encodes the ends."""

    extension = ".mp4"

    def __init__(self, index: PacketIndex, settings: EncodeSettings) -> None:
        from tools.media.writing.smart import SmartSource

        self.size = (settings.shape.width, settings.shape.height)
        self._index = index
        self._source = SmartSource(index, settings)

    def plan_cut(self, plan: Plan) -> PlannedCut:
        """Find out how much can be copied."""
        middle = self._source.middle(plan.frames)
        if middle is None:
            return PlannedCut(plan, "exact", note="they have no group of pictures that can be copied")
        first = middle.frames.start - plan.frames.start
        ticks = plan.ticks[first + len(middle.frames)] - plan.ticks[first]
        copied = float(ticks * plan.time_base)
        return PlannedCut(plan, "smart", copied=copied, copied_frames=len(middle.frames))

    def write(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Copy and encode; clips without any group of pictures that can be copied are encoded as a whole."""
        whole = []
        for job in jobs:
            middle = self._source.middle(job.plan.frames)
            if middle is None:
                whole.append(job)
            else:
                yield job, self._source.write(job, middle)
        yield from write_exact(self._index, whole, self._source.settings)


def make_cutter(
    index: PacketIndex,
    settings: EncodeSettings,
    *,
    mode: str,
    engine: str,
    keep_audio: bool,
    audio_track: str | None,
    resampled: bool,
) -> Cutter:
    """Choose the way to cut.

    Args:
        index: The packets of the source.
        settings: How clips are encoded.
        mode: exact, copy or smart.
        engine: pyav or ffmpeg.
        keep_audio: Keep the sound.
        audio_track: Which sound track, see `tools.media.reading.tracks.choose_audio`.
        resampled: The frame rate is changed.
    """
    if mode == "copy":
        return CopyCutter(index, keep_audio=keep_audio, audio_track=audio_track)
    if mode == "smart":
        if resampled:
            return ExactCutter(index, settings, note="the frame rate is changed")
        try:
            return SmartCutter(index, settings)
        except NotCopyable as error:
            return ExactCutter(index, settings, note=str(error))
    return ExactCutter(index, settings, engine=engine)
