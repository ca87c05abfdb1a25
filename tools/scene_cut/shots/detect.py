"""Find the scenes of one video: what the command does to each row of a table, as a function."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from tools.base.addresses import local_path
from tools.scene_cut.shots.choice import AUTO
from tools.scene_cut.shots.limits import MIN_SCENE_LEN
from tools.scene_cut.shots.scenes import Scene
from tools.scene_cut.shots.stage import SceneDetectStage


def detect_scenes(
    path: str | Path,
    detector: str = AUTO,
    *,
    options: Mapping[str, Any] | None = None,
    min_scene_len: int | float | str = MIN_SCENE_LEN,
    start_time: float | Fraction | str | None = None,
    end_time: float | Fraction | str | None = None,
    max_seconds: float | Fraction | str | None = None,
    frame_skip: int = 0,
    trim_transitions: bool = False,
    stats_path: str | Path | None = None,
    device: str = "auto",
) -> list[Scene]:
    """Find the shots of a video, as the command ``scene_detect`` does.

    Args:
        path: The video.
        detector: ``transnetv2``, ``fast``, ``adaptive``, ``content``, ``hash``, ``histogram`` or
            ``threshold``; ``auto`` is transnetv2 where it is installed and has a GPU or a core, else hash
            with `trim_transitions`.
        options: Options of the detector (``{"threshold": 30}``), not with ``auto``; the others have
            PySceneDetect's defaults.
        min_scene_len: Shortest shot: frames (15, "15", "15f") or seconds (0.6, "0.6s", "00:00:00.600").
            Not for transnetv2 and fast.
        start_time: What lies before is left out: seconds (12.5, "12.5s", "00:00:12.500"), or the number of
            the first frame to search ("30f").
        end_time: What starts then or later is left out; written as `start_time` is, "60f" is the first
            frame left out.
        max_seconds: Shots that are longer are sliced into consecutive parts of at most this length.
        frame_skip: Frames left out after each one that is examined: faster only where detection, not
            decoding, is slow, and cuts may be missed. Not for transnetv2 and fast.
        trim_transitions: Leave out the frames of dissolves and fades that the mixture test finds. With
            transnetv2 and fast they always are.
        stats_path: Where to write what the detector measured on each frame, as CSV. Not for transnetv2 and
            fast, nor with `frame_skip`.
        device: For transnetv2: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Scenes in order; one for a video without cuts. Together they cover the video, but for the frames of
        transitions that are left out. ``start`` and ``end`` are exact seconds since the first frame.

    Raises:
        MediaError: The video cannot be decoded, or nothing lies between start and end (too_short).
        UserError: Unknown detector or option, or a value out of range.
    """
    stats = None if stats_path is None else Path(stats_path)
    limits: dict[str, Any] = {
        "min_scene_len": min_scene_len,
        "start_time": start_time,
        "end_time": end_time,
        "max_seconds": max_seconds,
        "frame_skip": frame_skip,
    }
    stage = SceneDetectStage(
        detector,
        dict(options or {}),
        **limits,
        trim_transitions=trim_transitions,
        stats_dir=None if stats is None else str(stats.parent),
        device=device,
    )
    stage.setup()
    return stage.scenes(stage.search(local_path(str(path)), stats))
