"""Clips of one video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Rational, Real
from pathlib import Path

from tools.base.addresses import local_path, refuse_address
from tools.errors import UserError
from tools.scene_cut.clips import cutting
from tools.scene_cut.clips.cutting import CutOptions, CutResult
from tools.scene_cut.shots.scenes import Scene
from tools.scene_cut.timestamps import Interval, parse_time, parse_timestamps

Time = float | Fraction | str
"""Seconds since the first frame, or their text: 1.2, Fraction(6, 5), "1.2", "00:00:01.200"."""


def cut_clips(
    path: str | Path,
    scenes: str | Sequence[Scene | tuple[Time, Time]] | None,
    folder: str | Path,
    options: CutOptions | None = None,
    *,
    stem: str | None = None,
) -> CutResult:
    """Cut a video into clips ``<stem>_scene-<i>.mp4``; i is the number of the scene in the list.

    In mode exact a clip shows exactly what is on screen in [start, end). A clip appears under its name only
    when it is complete. Clips that an earlier call cut from the same source with the same options are kept,
    those with other options are replaced, and those of other sources left alone.

    Args:
        path: The video.
        scenes: What `detect_scenes` found, or pairs of start and end; or the text of a cell of column
            ``timestamp``. None for the whole file.
        folder: Folder of the clips; created if missing.
        options: How to cut. `CutOptions` by themselves keep the size of the source, while the command scales
            down to a shorter side of 1080 (``CutOptions(shorter_size=1080)``).
        stem: What the names begin with; the video's own stem by default.

    Returns:
        ``clips``, in the order of their scenes; ``failures``, what went wrong, by scene; ``skipped``, scenes
        shorter than ``min_seconds``.

    Raises:
        MediaError: Nothing can be cut of this video: missing, not_a_file, empty, unreadable, no_video,
            decode, hdr, encode (the folder cannot be created).
        UserError: The encoder does not exist, or `scenes` is not a list of scenes.
    """
    refuse_address(folder)
    intervals = None if scenes is None else _intervals(scenes)
    return cutting.cut_clips(local_path(str(path)), intervals, folder, options=options, stem=stem)


def _intervals(scenes: str | Sequence[Scene | tuple[Time, Time]]) -> list[Interval]:
    try:
        if isinstance(scenes, str):
            return parse_timestamps(scenes)
        return [scene.interval if isinstance(scene, Scene) else _pair(scene) for scene in scenes]
    except (TypeError, ValueError) as error:
        raise UserError(f"scenes: {error}") from None


def _pair(scene: tuple[Time, Time]) -> Interval:
    start, end = map(_seconds, scene)
    if not 0 <= start < end:
        raise ValueError(f"{scene!r:.80} does not end after its start, or starts before 0")
    return start, end


def _seconds(time: Time) -> Fraction:
    """A float means the number that it is written as: 1.2 is 6/5."""
    if isinstance(time, str):
        return parse_time(time)
    if isinstance(time, Rational):
        return Fraction(time.numerator, time.denominator)
    if not isinstance(time, Real):
        raise TypeError(f"{time!r:.40} is not a time")
    return Fraction(repr(float(time)))
