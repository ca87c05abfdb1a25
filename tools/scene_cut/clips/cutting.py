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
from tools.media.writing.cutters import Cutter, PlannedCut, make_cutter
from tools.media.writing.encode import Job
from tools.media.writing.exact import EncodeSettings
from tools.media.writing.hdr import refuse_hdr
from tools.media.writing.picture import clip_shape
from tools.media.writing.plan import Plan, Scene, frame_time, plan_clips
from tools.media.writing.provenance import ClipProvenance, read_provenance, source_fingerprint
from tools.media.writing.sound import SoundFormat, left_behind, sound_format
from tools.scene_cut.clips.names import clip_folder, clip_name, clip_path
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
        copied_frames: The same in frames.
        snap_start: Seconds by which it begins before its scene (mode copy).
        snap_end: Seconds by which it ends after its scene (mode copy).
        seconds_left: Seconds of the scene that were cut off because of `max_seconds`.
        note: Why another mode was used than the requested one; empty otherwise.
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
    copied_frames: int = 0
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
    """The results for the scenes of one source.

    Attributes:
        clips: The clips, in the order of their scenes.
        failures: What went wrong, by scene.
        skipped: Scenes shorter than `min_seconds`.
        left_behind: Streams of the source that the clips do not have, such as ``audio aac (fra)``.
        timing: Whether the times of the source are sound; as in `MediaInfo`.
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
    source: str | None = None,
) -> CutResult:
    """Cut a video into clips ``<stem>_scene-<i>.mp4``; i is the number of the scene in the list.

    In mode exact a clip has exactly the source frames that start in [start, end). A clip appears under its
    name only when it is complete. Clips that an earlier call cut from the same source with the same options
    are kept, those with other options replaced, and those of other sources left alone.

    Args:
        path: The source.
        scenes: Start and end of each, seconds from the first frame, half-open; None for the whole file.
        save_dir: Folder of the clips; created if missing.
        options: How to cut.
        stem: What the names begin with; the source's stem by default.
        relpath: Path of the source below its own folder; its folders are mirrored under `save_dir`.
        overwrite: Replace existing files that are no clips.
        keep: Called where a clip of this source exists with other options: whether it is to be kept,
            because it belongs to another table, too.
        source: The address of the source, if `path` is a copy of it.

    Returns:
        The clips, and what went wrong with single scenes.

    Raises:
        MediaError: Nothing can be cut of this source: missing, not_a_file, empty, unreadable, no_video,
            decode, hdr, bad_value (relpath leads out of the folder), encode (the folder cannot be
            created).
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
    clip_folder(save_dir, relpath, path, create=True)
    stem = stem or Path(path).stem
    target = _Target(Path(save_dir), relpath, stem, source_fingerprint(source or path), overwrite, keep)
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

    def path_of(self, index: PacketIndex, scene: int, extension: str) -> Path:
        name = clip_name(self.stem, scene, extension)
        return clip_path(self.save_dir, self.relpath, name, index.path)

    def reason_to_keep(self, path: Path, found: ClipProvenance | None) -> str:
        """Why an existing file must not be replaced by a clip; empty when it may be."""
        what = ""
        if found is None:
            what = "" if self.overwrite else "a file of this name is there that was not cut here"
        elif found.source != self.source:
            what = "the clip of another source is there"
        elif self.keep():
            what = "a clip is there that belongs to another table, too"
        return what and f"{path}: {what}; move it away, or choose another folder"


def _write(
    index: PacketIndex, plans: list[Plan], options: CutOptions, target: _Target
) -> Iterator[Clip | tuple[int, MediaError]]:
    """Write the clips that do not exist yet."""
    keep_audio = options.keep_audio and index.has_audio
    sound = sound_format(index.path, options.audio_track) if keep_audio else None
    cutter = _cutter(index, options, sound)
    todo: dict[Path, tuple[Job, Clip]] = {}
    for plan in plans:
        try:
            path = target.path_of(index, plan.scene, cutter.extension)
            planned = cutter.plan_cut(plan)
        except MediaError as error:
            yield plan.scene, error
            continue
        except NotCopyable as error:
            message = f"cannot be copied: {error}; use mode exact"
            yield plan.scene, MediaError("encode", index.path, message)
            continue
        provenance = ClipProvenance(_fingerprint(index, plan, options, sound), target.source)
        there = os.path.lexists(path)
        found = read_provenance(path) if there else None
        job = Job(planned.plan, path, str(provenance), replace=there)
        clip = _clip(index, plan, planned, path, cutter.size)
        if index.hdr is not None:
            clip = dataclasses.replace(clip, hdr="keep" if options.keeps_hdr else "tonemap")
        if found is not None and found.made == provenance.made:
            yield dataclasses.replace(clip, has_audio=_has_sound(path), reused=True)
        elif there and (why := target.reason_to_keep(path, found)):
            yield plan.scene, MediaError("encode", index.path, why)
        else:
            todo[path] = (job, clip)
    for job, outcome in cutter.write([job for job, _ in todo.values()]):
        if isinstance(outcome, MediaError):
            yield job.plan.scene, outcome
        else:
            yield dataclasses.replace(todo[job.path][1], has_audio=outcome)


def _cutter(index: PacketIndex, options: CutOptions, sound: SoundFormat | None) -> Cutter:
    settings = EncodeSettings(
        find_codec(options.codec_for(index.codec)),
        options.crf,
        options.preset,
        clip_shape(index, options.shorter_size),
        sound,
        options.threads,
        index.hdr if options.keeps_hdr else None,
        options.quality,
    )
    return make_cutter(
        index,
        settings,
        mode=options.mode,
        engine=options.engine,
        keep_audio=options.keep_audio and index.has_audio,
        audio_track=options.audio_track,
        resampled=options.target_fps is not None,
    )


def _clip(
    index: PacketIndex, requested: Plan, planned: PlannedCut, path: Path, size: tuple[int, int]
) -> Clip:
    plan = planned.plan
    return Clip(
        path=path,
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
        mode=planned.mode,
        copied_seconds=planned.copied,
        copied_frames=planned.copied_frames,
        snap_start=float(requested.start - plan.start),
        snap_end=float(plan.end - requested.end),
        seconds_left=float(plan.left),
        note=planned.note,
        mixed=_is_mixed(index, plan),
    )


def _is_mixed(index: PacketIndex, plan: Plan) -> bool:
    positions = index.positions[plan.frames.start : plan.frames.stop]
    return any(positions.min() < change.position <= positions.max() for change in index.size_changes)


def _fingerprint(index: PacketIndex, plan: Plan, options: CutOptions, sound: SoundFormat | None) -> str:
    """A fingerprint of the source, the frames and the options; it goes into the file's comment."""
    status = Path(index.path).stat()
    source = [status.st_size, status.st_mtime_ns, plan.frames.start, plan.frames.stop]
    for time, frame in ((plan.start, plan.frames.start), (plan.end, plan.frames.stop)):
        source += [] if time == frame_time(index, frame) else [str(time), frame]
    config = options.config()
    for name in ("min_seconds", "max_seconds", "audio_track", *(() if index.hdr else ("hdr",))):
        del config[name]
    if sound is not None and sound.number:
        config["track"] = sound.number
    what = json.dumps([source, config], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def _has_sound(path: Path) -> bool:
    with open_container(path) as container:
        return bool(container.streams.audio)
