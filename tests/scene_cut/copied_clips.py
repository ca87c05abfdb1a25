"""What tests of clips that are copied, as a whole or in part, have in common."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support import read_barcode, run_ffmpeg
from tools.media.reading.probe import index_packets
from tools.scene_cut.clips.cutting import Clip, CutOptions, cut_clips

BOUNDS = [(0, 60), (5, 45), (12, 36), (13, 23), (40, 41), (30, 57)]
VFR = np.cumsum([0.0] + [0.020, 0.070, 0.033, 0.041] * 15)[:60].tolist()
COPIED = {
    "h264": ("s.mp4", {}),
    "h264 vfr": ("s.mp4", {"times": VFR}),
    "h264 pyramid": ("s.mp4", {"b_frames": 5}),
    "h264 mkv": ("s.mkv", {"fps": Fraction(24000, 1001)}),
    "h264 ts": ("s.ts", {}),
    "h264 main": ("s.mp4", {"options": {"profile": "main"}}),
    "h264 baseline": ("s.mp4", {"b_frames": 0, "options": {"profile": "baseline"}}),
    "h264 open": ("s.mp4", {"open_gop": True}),
    "hevc": ("s.mp4", {"codec": "hevc"}),
    "hevc open": ("s.mp4", {"codec": "hevc", "open_gop": True}),
}
"""Videos that modes copy and smart both copy: name of the file, and how `make_video` makes it."""


def hashes_ffmpeg(path: Path) -> list[str]:
    """Digest of every picture as stored, by the ffmpeg program."""
    said = run_ffmpeg(["-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
    return [line.split()[-1].decode() for line in said.splitlines() if not line.startswith(b"#")]


def hashes_pyav(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [hashlib.md5(f.to_ndarray().tobytes()).hexdigest() for f in container.decode(video=0)]


def numbers_opencv(path: Path) -> list[int | None]:
    import cv2

    reader = cv2.VideoCapture(str(path))
    numbers = []
    while (answer := reader.read())[0]:
        numbers.append(read_barcode(answer[1]))
    return numbers


def times_of(path: Path) -> list[Fraction]:
    index = index_packets(path)
    return [int(p - index.pts[0]) * index.time_base for p in index.pts]


def cut(source: Path, bounds: list[tuple[int, int]], folder: Path, mode: str) -> list[Clip]:
    times = times_of(source)
    times.append(times[-1] + 1)
    scenes = [(times[a], times[b]) for a, b in bounds]
    result = cut_clips(source, scenes, folder, options=CutOptions(mode=mode))
    assert result.failures == {}
    return result.clips
