"""Frame-exact cutting: all clips of a source in one pass over it, every picture decoded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

import av
import numpy as np
from av.error import FFmpegError

from tools.errors import MediaError, VidsieveError
from tools.media.reading.colour.hdr import Hdr
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.video_frames import iter_video_frames
from tools.media.writing.codecs import Codec, encoder_options, offered_formats, quiet_encoders
from tools.media.writing.encode import (
    ClipWriter,
    Job,
    Sound,
    add_video,
    atomic_video,
    encoding,
    open_output,
)
from tools.media.writing.picture import Colours, PictureTransform, Shape, choose_pix_fmt
from tools.media.writing.plan import Plan
from tools.media.writing.sound import SoundFormat, read_sound

_OPEN_AT_ONCE = 8  # encoders that run side by side where scenes overlap; more go into a further pass


@dataclasses.dataclass(frozen=True)
class EncodeSettings:
    """How clips are encoded.

    Attributes:
        codec: The encoder.
        crf: Quality; None for the encoder's default.
        preset: Speed; None for the encoder's default.
        shape: Size of the pictures.
        sound: Format of the sound; None for silent clips.
        threads: Threads of the decoder and of each encoder.
        kept_hdr: How pixel values map to light in clips that stay HDR; None converts them to SDR.
        quality: Quality and speed by name, instead of `crf` and `preset`.
    """

    codec: Codec
    crf: float | None
    preset: str | None
    shape: Shape
    sound: SoundFormat | None
    threads: int = 1
    kept_hdr: Hdr | None = None
    quality: str | None = None

    def options(self) -> dict[str, str]:
        """The encoder's options."""
        return encoder_options(
            self.codec,
            crf=self.crf,
            preset=self.preset,
            threads=self.threads,
            hdr=self.kept_hdr,
            quality=self.quality,
        )


def write_exact(
    index: PacketIndex, jobs: Sequence[Job], settings: EncodeSettings
) -> Iterator[tuple[Job, bool | MediaError]]:
    """Write clips of one source.

    Args:
        index: The packets of the source.
        jobs: The clips; they may overlap.
        settings: How to encode them.

    Yields:
        Each job, with whether the clip has sound, or with what went wrong with this clip (decode, encode).
    """
    undamaged = []
    for job in jobs:
        if (error := damage(index, job.plan)) is not None:
            yield job, error
        else:
            undamaged.append(job)
    for group in _passes(undamaged):
        yield from _Pass(index, group, settings).run()


def sound_of(index: PacketIndex, plan: Plan, form: SoundFormat | None) -> Sound | None:
    """The sound of a clip; None when it is to be silent, or the source is silent there."""
    if form is None:
        return None
    start = int(index.pts[0]) * index.time_base + plan.start
    sound = Sound(read_sound(index.path, form, start, plan.end - plan.start, index.clock), form)
    return None if sound.empty else sound


def damage(index: PacketIndex, plan: Plan) -> MediaError | None:
    """The error for a clip with a damaged frame, or with frames that may refer to one."""
    for number in index.damaged.tolist():
        later = index.key_pts[index.key_pts > index.pts[number]]
        healed = int(np.searchsorted(index.pts, later.min())) if len(later) else len(index.pts)
        if number < plan.frames.stop and healed > plan.frames.start:
            return _lost(index, number)
    return None


def _lost(index: PacketIndex, number: int) -> MediaError:
    at = index.times[number]
    return MediaError("decode", index.path, f"frame {number} (at {at:.3f} s) is damaged")


def _passes(jobs: Sequence[Job]) -> list[list[Job]]:
    """Deal jobs out so that few are open at a time; without much overlap it is one pass."""
    lanes: list[list[Job]] = []
    for job in sorted(jobs, key=lambda j: (j.plan.frames.start, j.plan.frames.stop)):
        for lane in lanes:
            if lane[-1].plan.frames.stop <= job.plan.frames.start:
                lane.append(job)
                break
        else:
            lanes.append([job])
    groups = [lanes[i : i + _OPEN_AT_ONCE] for i in range(0, len(lanes), _OPEN_AT_ONCE)]
    return [sorted((j for lane in g for j in lane), key=lambda j: j.plan.frames.start) for g in groups]


class _Pass:
    """One pass over a source."""

    def __init__(self, index: PacketIndex, jobs: list[Job], settings: EncodeSettings) -> None:
        self._index, self._settings = index, settings
        self._waiting = jobs
        self._open: list[_OpenClip] = []
        self._transform: PictureTransform | None = None

    def run(self) -> Iterator[tuple[Job, bool | MediaError]]:
        quiet_encoders()
        numbers = sorted({number for job in self._waiting for number in job.plan.shown})
        pictures = iter_video_frames(
            self._index.path, frames=numbers, threads=self._settings.threads, index=self._index
        )
        try:
            for number, _, picture in pictures:
                yield from self._show(number, picture)
            for clip in self._open:  # the decoder gave no more pictures
                yield clip.job, clip.fail(_lost(self._index, clip.due))
            for job in self._waiting:
                yield job, _lost(self._index, job.plan.shown[0])
        finally:
            for clip in self._open:
                clip.abort()

    def _show(self, number: int, picture: av.VideoFrame) -> Iterator[tuple[Job, bool | MediaError]]:
        while self._waiting and self._waiting[0].plan.shown[0] <= number:
            job = self._waiting.pop(0)
            if job.plan.shown[0] < number:
                yield job, _lost(self._index, job.plan.shown[0])
                continue
            try:
                self._open.append(_OpenClip(self._index, job, self._settings, self._prepare(picture)))
            except MediaError as error:
                yield job, error
        damaged = picture.is_corrupt
        if self._transform is not None and self._open and not damaged:
            picture = self._transform(picture)
        for clip in list(self._open):
            if clip.due > number:
                continue
            if damaged or clip.due < number:
                outcome = clip.fail(_lost(self._index, clip.due))
            else:
                outcome = clip.add(picture)
            if outcome is not None:
                self._open.remove(clip)
                yield clip.job, outcome

    def _prepare(self, picture: av.VideoFrame) -> tuple[str, Colours]:
        """Choose format and colours of all clips by the first picture."""
        if self._transform is None:
            codec = self._settings.codec
            offered = offered_formats(codec.encoder)
            self._pix_fmt = choose_pix_fmt(picture.format.name, offered, deep=codec.deep)
            keep = self._settings.kept_hdr is not None
            self._colours = Colours.of(picture, keep_hdr=keep)
            self._transform = PictureTransform(
                self._index, self._settings.shape, self._pix_fmt, self._colours, keep_hdr=keep
            )
        return self._pix_fmt, self._colours


class _OpenClip:
    """A clip that is being written."""

    def __init__(
        self, index: PacketIndex, job: Job, settings: EncodeSettings, form: tuple[str, Colours]
    ) -> None:
        self.job = job
        self._files = ExitStack()
        with encoding(job.path), ExitStack() as opening:
            part = opening.enter_context(atomic_video(job.path, len(job.plan.shown), replace=job.replace))
            sound = sound_of(index, job.plan, settings.sound)
            out = opening.enter_context(open_output(part, job.comment))
            stream = add_video(
                out,
                settings.codec.encoder,
                settings.options(),
                job.plan,
                settings.shape,
                *form,
                threads=settings.threads,
            )
            if sound is not None:
                sound.open(out)
            self.has_sound = sound is not None
            self._encoder = ClipWriter(out, stream, job.plan, sound)
            self._files = opening.pop_all()

    @property
    def due(self) -> int:
        """The source frame that comes next."""
        due = self._encoder.due
        assert due is not None, "a clip that has all its pictures is closed"
        return due

    def add(self, picture: av.VideoFrame) -> bool | MediaError | None:
        """Encode a picture; after the last one finish the clip and return whether it has sound."""
        try:
            with encoding(self.job.path):
                self._encoder.add(picture)
                if self._encoder.due is not None:
                    return None
                self._encoder.finish()
                self._files.close()
                return self.has_sound
        except MediaError as error:
            return self.fail(error)

    def fail(self, error: MediaError) -> MediaError:
        """Give up for a reason; nothing is left of the file."""
        self.abort(error)
        return error

    def abort(self, error: MediaError | None = None) -> None:
        """Cancel; nothing is left of the file."""
        with suppress(VidsieveError, FFmpegError, OSError):
            self._files.__exit__(MediaError, error or MediaError("encode", self.job.path, "cancelled"), None)
