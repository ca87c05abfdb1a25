"""Cut a video into clips: the library function behind `tools.scene_cut.cut`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tools.errors import MediaError
from tools.media.reading.container import open_container
from tools.media.reading.extensions import is_image
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing.codecs import find_codec
from tools.media.writing.copying import NotCopyable
from tools.media.writing.cutters import Cutter, Settled, make_cutter
from tools.media.writing.encode import Job
from tools.media.writing.exact import EncodeSettings
from tools.media.writing.hdr import refuse_hdr
from tools.media.writing.marks import Mark, read_mark, source_mark
from tools.media.writing.picture import clip_shape
from tools.media.writing.plan import Plan, Scene, frame_time, plan_clips
from tools.media.writing.sound import SoundFormat, left_behind, sound_format
from tools.scene_cut.clips.names import clip_folder, clip_name, clip_place
from tools.scene_cut.clips.options import CutOptions


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip that was written.

    Attributes:
        path: The file.
        scene: Number of its scene.
        start: Where it begins in the source, seconds from the first frame: when its first frame is shown.
        end: Where it ends in the source: when its last frame ends.
        start_frame: Its first frame in the source.
        end_frame: One past its last frame in the source.
        num_frames: Frames of the clip; other than `end_frame - start_frame` with a target rate.
        fps: Frames per second, on average.
        height: Pixels as shown.
        width: Pixels as shown.
        has_audio: Whether it has a sound track.
        mode: How it was cut in fact.
        copied_seconds: Seconds of picture copied without loss; the rest was encoded.
        snap_start: Seconds by which it begins before its scene (mode copy).
        snap_end: Seconds by which it ends after its scene (mode copy).
        seconds_left: Seconds of the scene that were cut off because of `max_seconds`.
        note: Why another mode was used than the one asked for; empty otherwise.
        hdr: What became of HDR pictures: "tonemap" or "keep"; empty when the source is SDR.
        mixed: The size of its pictures changes within it.
        reused: An earlier run had written it.
    """

    path: Path
    scene: int
    start: Fraction
    end: Fraction
    start_frame: int
    end_frame: int
    num_frames: int
    fps: Fraction
    height: int
    width: int
    has_audio: bool
    mode: str
    copied_seconds: float = 0.0
    snap_start: float = 0.0
    snap_end: float = 0.0
    seconds_left: float = 0.0
    note: str = ""
    hdr: str = ""
    mixed: bool = False
    reused: bool = False

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return self.num_frames / self.fps


@dataclasses.dataclass(frozen=True)
class CutResult:
    """What became of the scenes of one source.

    Attributes:
        clips: The clips, in the order of their scenes.
        failures: What went wrong, by scene.
        skipped: Scenes shorter than `min_seconds`.
        left_behind: What the source has beside, see `tools.media.writing.sound.left_behind`.
        timing: `PacketIndex.timing` of the source.
    """

    clips: list[Clip]
    failures: dict[int, MediaError]
    skipped: list[int]
    left_behind: list[str] = dataclasses.field(default_factory=list)
    timing: str = "ok"


def cut_clips(
    path: str | Path,
    scenes: Sequence[Scene] | None,
    save_dir: str | Path,
    *,
    options: CutOptions | None = None,
    stem: str | None = None,
    relpath: str | None = None,
    overwrite: bool = False,
    keep: Callable[[], bool] = lambda: False,
) -> CutResult:
    """Cut a video into clips ``<stem>_scene-<i>.mp4``; i is the number of the scene in the list.

    In mode exact a clip holds exactly the source frames that start in [start, end). A clip appears under its
    name only when it is whole. Clips that an earlier call made of the same source with the same options are
    kept, those with other options replaced, and those of other sources left alone.

    Args:
        path: The source.
        scenes: Start and end of each, seconds from the first frame, half-open; None for the whole file.
        save_dir: Folder of the clips; made if missing.
        options: How to cut.
        stem: What the names begin with; the source's stem by default.
        relpath: Path of the source below its own folder; its folders are mirrored under `save_dir`.
        overwrite: Replace files that stand in the way and are no clips.
        keep: Asked where a clip of this source is in the way: whether it has to stay, because it belongs to
            another table, too.

    Returns:
        The clips, and what went wrong with single scenes.

    Raises:
        MediaError: Nothing can be cut of this source: missing, not_a_file, empty, unreadable, no_video,
            decode, hdr, bad_value (relpath leads elsewhere), encode (the folder cannot be made).
        UserError: The encoder does not exist.
    """
    options = options or CutOptions()
    if is_image(path):
        raise MediaError("no_video", path, "is an image")
    index = index_packets(path)
    refuse_hdr(index, options.hdr, copied=options.mode == "copy")
    fps = Fraction(options.target_fps) if options.target_fps else None
    plans, failures, skipped = plan_clips(
        index, scenes, min_seconds=options.min_seconds, max_seconds=options.max_seconds, target_fps=fps
    )
    clip_folder(save_dir, relpath, path, make=True)
    stem = stem or Path(path).stem
    target = _Target(Path(save_dir), relpath, stem, source_mark(path), overwrite, keep)
    clips: dict[int, Clip] = {}
    for sized, some in _by_size(index, plans):
        for clip in _write(sized, some, options, target):
            if isinstance(clip, Clip):
                clips[clip.scene] = clip
            else:
                scene, error = clip
                failures[scene] = error
    failures = {
        scene: MediaError(error.kind, path, f"scene {scene}: {error.message}")
        for scene, error in sorted(failures.items())
    }
    left = left_behind(path, keep_audio=options.keep_audio, audio_track=options.audio_track)
    return CutResult([clips[scene] for scene in sorted(clips)], failures, skipped, left, index.timing)


def _by_size(index: PacketIndex, plans: list[Plan]) -> list[tuple[PacketIndex, list[Plan]]]:
    """Clips that begin with pictures of one size, for each size that the source has."""
    sizes: dict[tuple[object, ...], tuple[PacketIndex, list[Plan]]] = {}
    for plan in plans:
        sized = index.from_frame(plan.shown[0])
        stored = (sized.coded_width, sized.coded_height, sized.orientation)
        sizes.setdefault(stored, (sized, []))[1].append(plan)
    return list(sizes.values())


@dataclasses.dataclass(frozen=True)
class _Target:
    """Where the clips of a source go, and what they may replace there."""

    save_dir: Path
    relpath: str | None
    stem: str
    source: str
    overwrite: bool
    keep: Callable[[], bool]

    def place(self, index: PacketIndex, scene: int, extension: str) -> Path:
        name = clip_name(self.stem, scene, extension)
        return clip_place(self.save_dir, self.relpath, name, index.path)

    def in_the_way(self, place: Path, mark: Mark | None) -> str:
        """Why what stands in the place of a clip has to stay; empty when it may go."""
        what = ""
        if mark is None:
            what = "" if self.overwrite else "a file of this name is there that was not cut here"
        elif mark.source != self.source:
            what = "the clip of another source is there"
        elif self.keep():
            what = "a clip is there that belongs to another table, too"
        return what and f"{place}: {what}; move it away, or choose another folder"


def _write(
    index: PacketIndex, plans: list[Plan], options: CutOptions, target: _Target
) -> Iterator[Clip | tuple[int, MediaError]]:
    """Make the clips that are not there yet."""
    keep_audio = options.keep_audio and index.has_audio
    sound = sound_format(index.path, options.audio_track) if keep_audio else None
    cutter = _cutter(index, options, sound)
    todo: dict[Path, tuple[Job, Clip]] = {}
    for plan in plans:
        try:
            place = target.place(index, plan.scene, cutter.extension)
            settled = cutter.settle(plan)
        except MediaError as error:
            yield plan.scene, error
            continue
        except NotCopyable as error:
            message = f"cannot be copied: {error}; use mode exact"
            yield plan.scene, MediaError("encode", index.path, message)
            continue
        mark = Mark(_fingerprint(index, plan, options, sound), target.source)
        there = os.path.lexists(place)
        found = read_mark(place) if there else None
        job = Job(settled.plan, place, str(mark), replace=there)
        clip = _clip(index, plan, settled, place, cutter.size)
        if index.hdr is not None:
            clip = dataclasses.replace(clip, hdr="keep" if options.keeps_hdr else "tonemap")
        if found is not None and found.made == mark.made:
            yield dataclasses.replace(clip, has_audio=_has_sound(place), reused=True)
        elif there and (why := target.in_the_way(place, found)):
            yield plan.scene, MediaError("encode", index.path, why)
        else:
            todo[place] = (job, clip)
    for job, outcome in cutter.write([job for job, _ in todo.values()]):
        if isinstance(outcome, MediaError):
            yield job.plan.scene, outcome
        else:
            yield dataclasses.replace(todo[job.place][1], has_audio=outcome)


def _cutter(index: PacketIndex, options: CutOptions, sound: SoundFormat | None) -> Cutter:
    look = EncodeSettings(
        find_codec(options.codec),
        options.crf,
        options.preset,
        clip_shape(index, options.shorter_size),
        sound,
        options.threads,
        index.hdr if options.keeps_hdr else None,
    )
    return make_cutter(
        index,
        look,
        mode=options.mode,
        engine=options.engine,
        keep_audio=options.keep_audio and index.has_audio,
        audio_track=options.audio_track,
        resampled=options.target_fps is not None,
    )


def _clip(index: PacketIndex, asked: Plan, settled: Settled, place: Path, size: tuple[int, int]) -> Clip:
    plan = settled.plan
    return Clip(
        path=place,
        scene=plan.scene,
        start=plan.start,
        end=plan.end,
        start_frame=plan.frames.start,
        end_frame=plan.frames.stop,
        num_frames=len(plan.shown),
        fps=len(plan.shown) / plan.duration,
        height=size[1],
        width=size[0],
        has_audio=False,
        mode=settled.mode,
        copied_seconds=settled.copied,
        snap_start=float(asked.start - plan.start),
        snap_end=float(plan.end - asked.end),
        seconds_left=float(plan.left),
        note=settled.note,
        mixed=_is_mixed(index, plan),
    )


def _is_mixed(index: PacketIndex, plan: Plan) -> bool:
    positions = index.positions[plan.frames.start : plan.frames.stop]
    return any(positions.min() < change.position <= positions.max() for change in index.size_changes)


def _fingerprint(index: PacketIndex, plan: Plan, options: CutOptions, sound: SoundFormat | None) -> str:
    """What a clip is made of; it goes into the file's comment."""
    status = Path(index.path).stat()
    source = [status.st_size, status.st_mtime_ns, plan.frames.start, plan.frames.stop]
    for time, frame in ((plan.start, plan.frames.start), (plan.end, plan.frames.stop)):
        source += [] if time == frame_time(index, frame) else [str(time), frame]
    asked = options.config()
    for name in ("min_seconds", "max_seconds", "audio_track", *(() if index.hdr else ("hdr",))):
        del asked[name]
    if sound is not None and sound.number:
        asked["track"] = sound.number
    what = json.dumps([source, asked], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def _has_sound(place: Path) -> bool:
    with open_container(place) as container:
        return bool(container.streams.audio)
