"""The rows of clips in the table."""

from __future__ import annotations

import json
from typing import Any

from tools.media.reading.timeline.remarks import TIMING_REMARKS
from tools.scene_cut.clips.cutting import Clip, CutResult
from tools.scene_cut.shots.boundaries import SLICE
from tools.stage.stage import MADE_FILES, REMARKS, Row, made_file, origin

_DECIMALS = 6  # microseconds, and fps exact to the last digit that matters


def clip_values(row: Row, result: CutResult, save_dir: str) -> dict[str, Any]:
    """What the stage adds for a source.

    Args:
        row: The source's row.
        result: Its clips.
        save_dir: The folder of all clips.
    """
    rows = [_clip_row(row, clip, save_dir) for clip in result.clips]
    if "boundary" in row:
        for made, clip in zip(rows, result.clips, strict=True):
            made["boundary"] = _boundary(row["boundary"], clip)
    remarks = [f"{track} left behind" for track in sorted(set(result.left_behind))]
    if result.timing in TIMING_REMARKS:
        remarks.append(TIMING_REMARKS[result.timing])
    return {
        "rows": rows,
        "failures": [[error.kind, error.message] for error in result.failures.values()],
        **({REMARKS: remarks} if remarks else {}),  # ledgers of earlier versions have none
        "counts": {
            "skipped": len(result.skipped),
            "left": sum(clip.seconds_left for clip in result.clips),
            "notes": [clip.note for clip in result.clips if clip.note],
            "hdr": [clip.hdr for clip in result.clips if clip.hdr],
            "frames": sum(clip.num_frames for clip in result.clips),
            "copied": sum(clip.copied_frames for clip in result.clips),
            "mixed": sum(clip.mixed and clip.mode != "copy" for clip in result.clips),
        },
        MADE_FILES: [made_file(clip.path) for clip in result.clips],
    }


def _boundary(cell: Any, clip: Clip) -> str | None:
    """How the clip begins and ends, from the pairs of all scenes; None when the cell has no pair for it."""
    try:
        begins, ends = json.loads(cell)[clip.scene]
    except (TypeError, ValueError, IndexError, KeyError):
        return None
    return json.dumps([begins, SLICE if clip.seconds_left else ends])


def _clip_row(row: Row, clip: Clip, save_dir: str) -> dict[str, Any]:
    return {
        "path": str(clip.path),
        "id": clip.path.stem,
        "relpath": str(clip.path.relative_to(save_dir)),
        "source": origin(row),
        "scene": clip.scene,
        "start": round(float(clip.start), _DECIMALS),
        "end": round(float(clip.end), _DECIMALS),
        "start_frame": clip.start_frame,
        "end_frame": clip.end_frame,
        "num_frames": clip.num_frames,
        "height": clip.height,
        "width": clip.width,
        "aspect_ratio": clip.height / clip.width,
        "resolution": clip.height * clip.width,
        "fps": float(clip.fps),
        "duration": round(float(clip.duration), _DECIMALS),
        "has_audio": clip.has_audio,
        "mode": clip.mode,
        "copied_seconds": round(clip.copied_seconds, _DECIMALS),
        "snap_start": round(clip.snap_start, _DECIMALS),
        "snap_end": round(clip.snap_end, _DECIMALS),
    }
