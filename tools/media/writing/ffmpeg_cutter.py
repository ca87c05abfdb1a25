"""Frame-exact cutting by the ffmpeg program: for encoders that PyAV lacks, and to compare PyAV with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

from tools.base.disk import check_disk, disk_error_in
from tools.base.temporary_files import temporary_folder
from tools.errors import MediaError, UserError
from tools.media.reading.formats import LIBAV_OPTIONS
from tools.media.reading.timeline.packets import PacketIndex
from tools.media.reading.timeline.scan import index_packets
from tools.media.writing.codecs import Codec, encoder_options, offered_formats
from tools.media.writing.colour_tables import Filters, sdr_filters
from tools.media.writing.copying import (
    NotCopyable,
    clip_extension,
    copied_audio,
    copy_plan,
    write_copies,
)
from tools.media.writing.encode import Job, atomic_video
from tools.media.writing.exact import EncodeSettings, damage, sound_of
from tools.media.writing.ffmpeg_program import FfmpegError, FfmpegKilled, find_ffmpeg, run_ffmpeg
from tools.media.writing.picture import choose_pix_fmt
from tools.media.writing.plan import Plan, frame_time, plan_clip
from tools.media.writing.provenance import COMMENT

_AT_ONCE = 8  # clips for one process: it opens all their encoders
_AHEAD = Fraction(1)  # seconds before the key frame to seek to; searching by time lands late at times


def check_ffmpeg_encoder(codec: Codec, *, crf: float | None, preset: str | None) -> None:
    """Encode one picture, so that an encoder that cannot work is reported before any file is read.

    Raises:
        UserError: No ffmpeg program has it, its hardware is missing, or it refuses a setting.
    """
    program = find_ffmpeg(codec.encoder)
    options = encoder_options(codec, crf=crf, preset=preset)
    picture = ["-f", "lavfi", "-i", "color=size=256x256:duration=0.04", "-pix_fmt", _format(codec, "yuv420p")]
    arguments = [text for name, value in options.items() for text in (f"-{name}", value)]
    try:
        run_ffmpeg(program, [*picture, "-c:v", codec.encoder, *arguments, "-f", "null", "-"], timeout=60)
    except FfmpegError as error:
        raise UserError(f"the encoder {codec.encoder} of {program} does not work here: {error}") from None


def write_with_ffmpeg(
    index: PacketIndex, jobs: Sequence[Job], settings: EncodeSettings
) -> Iterator[tuple[Job, bool | MediaError]]:
    """Write clips of one source, several in one pass.

    Args:
        index: The packets of the source.
        jobs: The clips.
        settings: How to encode them.

    Yields:
        Each job, with whether the clip has sound, or with what went wrong.
    """
    if index.timing != "ok":
        yield from _write_repaired(index, jobs, settings)
        return
    undamaged = []
    for job in jobs:
        if (error := damage(index, job.plan)) is not None:
            yield job, error
        else:
            undamaged.append(job)
    undamaged.sort(key=lambda job: job.plan.frames.start)
    program = find_ffmpeg(settings.codec.encoder)
    with ExitStack() as tables:
        to_sdr: Filters = []
        if index.hdr is not None and settings.kept_hdr is None:
            to_sdr = tables.enter_context(sdr_filters(index.hdr))
        for start in range(0, len(undamaged), _AT_ONCE):
            yield from _write_group(program, index, undamaged[start : start + _AT_ONCE], settings, to_sdr)


def _write_repaired(
    index: PacketIndex, jobs: Sequence[Job], settings: EncodeSettings
) -> Iterator[tuple[Job, bool | MediaError]]:
    """Give the program, which does not repair times, a copy of the source with repaired ones."""
    track = settings.sound.track if settings.sound else None
    with temporary_folder() as folder:
        try:
            plan = copy_plan(index, plan_clip(index, 0, range(len(index.pts))))
            sound = copied_audio(index.path, track) if settings.sound else None
            job = Job(plan, folder / f"source{clip_extension(index, sound)}", "")
            ((_, outcome),) = write_copies(index, [job], keep_audio=sound is not None, audio_track=track)
            if isinstance(outcome, MediaError):
                raise outcome
            copy = index_packets(job.path)
        except (NotCopyable, MediaError) as error:
            message = f"its times are damaged, and a copy with right ones fails ({error}); leave out --engine"
            yield from ((job, MediaError("encode", index.path, message)) for job in jobs)
            return
        form = (
            dataclasses.replace(settings.sound, track=None, stream=1) if settings.sound and outcome else None
        )
        yield from write_with_ffmpeg(copy, jobs, dataclasses.replace(settings, sound=form))


def _write_group(
    program: str, index: PacketIndex, jobs: Sequence[Job], settings: EncodeSettings, to_sdr: Filters
) -> Iterator[tuple[Job, bool | MediaError]]:
    """Write clips in one process; when it fails, each alone and without a seek, to find the cause."""
    try:
        outcomes = _run(program, index, jobs, settings, to_sdr, seek=_seek(index, jobs[0].plan))
    except MediaError as error:
        if len(jobs) == 1 and _seek(index, jobs[0].plan) is None:
            yield jobs[0], error
            return
        for job in jobs:
            try:
                yield job, _run(program, index, [job], settings, to_sdr, seek=None)[0]
            except MediaError as alone:
                yield job, alone
        return
    yield from zip(jobs, outcomes, strict=True)


def _run(
    program: str,
    index: PacketIndex,
    jobs: Sequence[Job],
    settings: EncodeSettings,
    to_sdr: Filters,
    *,
    seek: Fraction | None,
) -> list[bool]:
    import ffmpeg

    timing: dict[str, Any] = {**LIBAV_OPTIONS, "copyts": None}
    if seek is not None:
        timing |= {"noaccurate_seek": None, "seek_timestamp": 1, "ss": f"{float(seek):.6f}"}
    source = ffmpeg.input(f"file:{index.path}", **timing)
    sounds = [sound_of(index, job.plan, settings.sound) is not None for job in jobs]
    pictures = _branches(source[str(index.stream)], "split", len(jobs))
    with_sound = _branches(
        source[str(settings.sound.stream)] if settings.sound else None, "asplit", sum(sounds)
    )
    with ExitStack() as files:
        outputs = []
        for job, has_sound in zip(jobs, sounds, strict=True):
            part = files.enter_context(atomic_video(job.path, len(job.plan.shown), replace=job.replace))
            streams = [_video(next(pictures), index, job.plan, settings, to_sdr)]
            if has_sound:
                streams.append(_audio(next(with_sound), index, job.plan))
            outputs.append(ffmpeg.output(*streams, f"file:{part}", **_output_options(job, settings)))
        try:
            run_ffmpeg(program, ffmpeg.merge_outputs(*outputs).get_args())
        except FfmpegError as error:
            path = jobs[0].path
            if (fault := disk_error_in(path, error.output)) is not None:
                raise fault from None
            check_disk(path.parent, path)
            kind = "killed" if isinstance(error, FfmpegKilled) else "encode"
            raise MediaError(kind, index.path, f"ffmpeg: {error}") from None
    return sounds


def _branches(stream: Any, name: str, count: int) -> Iterator[Any]:
    if count:
        split = stream.filter_multi_output(name, count)
        yield from (split[i] for i in range(count))


def _video(stream: Any, index: PacketIndex, plan: Plan, settings: EncodeSettings, to_sdr: Filters) -> Any:
    """The filters of one clip. Pictures are upright: the program turns them by itself."""
    frames = plan.frames
    if index.counted:
        stream = stream.filter("trim", start_frame=frames.start, end_frame=frames.stop)
    else:
        end = int(index.pts[frames.stop]) if frames.stop < len(index.pts) else index.end_pts
        stream = stream.filter("trim", start_pts=int(index.pts[frames.start]), end_pts=end)
    shown_before = plan.start - frame_time(index, frames.start)
    if shown_before:
        # The first picture is shown already; the others follow when they start. Microseconds are fine enough.
        times = f"max(0,PTS-STARTPTS-{round(shown_before * 1_000_000)})"
        stream = stream.filter("settb", "1/1000000").filter("setpts", times)
    if plan.shown is not frames:
        stream = stream.filter("setpts", "PTS-STARTPTS")
        stream = stream.filter("fps", fps=str(plan.rate), round="up", start_time=0)
        stream = stream.filter("tpad", stop=-1, stop_mode="clone")  # the last picture is shown to the end
        stream = stream.filter("trim", end_frame=len(plan.shown))
    elif plan.regular:
        stream = stream.filter("settb", str(plan.time_base)).filter("setpts", "N")
    else:
        stream = stream.filter("setpts", "PTS-STARTPTS")
    shape = settings.shape
    if shape.scaled:
        stream = stream.filter("scale", shape.width, shape.height, flags="bicubic")
    else:
        stream = stream.filter("crop", shape.width, shape.height, 0, 0, exact=1)
    for name, arguments in to_sdr:
        stream = stream.filter(name, **arguments)
    stream = stream.filter("setsar", 1).filter("format", _format(settings.codec, index.pix_fmt))
    if to_sdr:
        stream = stream.filter(
            "setparams", range="tv", colorspace="bt709", color_primaries="bt709", color_trc="bt709"
        )
    return stream


def _audio(stream: Any, index: PacketIndex, plan: Plan) -> Any:
    first = int(index.pts[0]) * index.time_base
    begin = f"{float(first + plan.start):.9f}"
    stream = stream.filter("atrim", start=begin, end=f"{float(first + plan.end):.9f}")
    return stream.filter("asetpts", f"PTS-{begin}/TB").filter("aresample", **{"async": 1, "first_pts": 0})


def _output_options(job: Job, settings: EncodeSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "f": "mp4",
        "c:v": settings.codec.encoder,
        **settings.options(),
        "threads": settings.threads,
        "fps_mode": "passthrough",
        "enc_time_base:v": f"{job.plan.time_base.numerator}/{job.plan.time_base.denominator}",
        "map_metadata": -1,
        "map_chapters": -1,
        "metadata": f"{COMMENT}={job.comment}",
        "movflags": "+faststart",
    }
    plan = job.plan
    if not plan.regular:
        # The program guesses how long the last picture is shown, and gives it where packets are in order.
        last = f"if(eq(N,{len(plan.shown) - 1}),{plan.last_tick},DURATION)"
        options |= {"bf": 0, "bsf:v": f"setts=duration='{last}'"}
    if settings.codec.family == "hevc":
        options["tag:v"] = "hvc1"
    if settings.sound is not None:
        options |= {
            "c:a": "aac",
            "ar": settings.sound.rate,
            "ac": settings.sound.channels,
            "b:a": settings.sound.bit_rate,
        }
    return options


def _format(codec: Codec, source: str | None) -> str:
    """Pixel format of clips. PyAV does not have every encoder of the program; then it is 4:2:0."""
    try:
        offered = offered_formats(codec.encoder)
    except UserError:
        offered = []
    return choose_pix_fmt(source, offered, deep=codec.deep)


def _seek(index: PacketIndex, plan: Plan) -> Fraction | None:
    """Where to begin reading, in the file's own time; None for the beginning."""
    first = int(index.start_positions([plan.frames.start])[0])
    if index.counted or not first:
        return None
    key = index.key_positions.tolist().index(first)
    at = int(index.key_pts[key]) * index.time_base - _AHEAD
    return at if at > int(index.pts[0]) * index.time_base else None
