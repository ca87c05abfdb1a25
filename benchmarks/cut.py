"""Cutting: one pass over a video against one ffmpeg process for each scene, as Open-Sora's script has it.

    python benchmarks/cut.py VIDEO... [--seconds 2] [--repeat 3] [--modes] [--json FILE]

Each video is cut into scenes of equal length. Each way runs in a process of its own, one after the other, and
again `--repeat` times in turn; the figures are medians of CPU seconds. "start" is Python's, with all imports,
which a worker of the command pays once for all its videos: it is not in "CPU s". ffmpeg's start, for each
scene, is. "times" is Open-Sora's CPU time by that of the way.

PSNR and SSIM (of every fifth frame) are those of the luma against the source, over all clips; wrong is a
frame that is another one than the source shows at that place; where exact gives another size (pixels that
are not square), pictures are not compared. ``--modes`` also measures smart and copy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from measuring import finish, leave_out, leaving_out, make_parser, ratio_of, run, run_child

from tools.media.reading.probe import index_packets
from tools.media.workers.pool import usable_cores
from tools.media.writing.ffmpeg_program import find_ffmpeg
from tools.media.writing.plan import Scene, frames_of
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

Way = Callable[[Path, list[Scene], Path], None]
SSIM_STEP = 5  # it is that of every fifth frame
OPEN_SORA = "a process per scene, crf 23 medium (Open-Sora)"


def equal_scenes(path: Path, seconds: float) -> list[Scene]:
    index = index_packets(path)
    duration = Fraction(index.duration).limit_denominator(1000)
    step = Fraction(seconds)
    scenes = [(i * step, min(duration, (i + 1) * step)) for i in range(math.ceil(duration / step))]
    return [scene for scene in scenes if frames_of(index, scene)]


def ours(path: Path, scenes: list[Scene], folder: Path, **options: object) -> None:
    result = cut_clips(path, scenes, folder, options=CutOptions(keep_audio=False, **options))
    if result.failures:
        raise next(iter(result.failures.values()))
    frames = sum(clip.num_frames for clip in result.clips)
    (folder / "copied").write_text(str(sum(clip.copied_frames for clip in result.clips) / frames))


def process_per_scene(path: Path, scenes: list[Scene], folder: Path, encoding: list[str]) -> None:
    """What Open-Sora's cut.py does for each scene: seek, duration, no sound, the encoder's defaults."""
    for number, (start, end) in enumerate(scenes):
        place = folder / f"{path.stem}_scene-{number}.mp4"
        window = ["-ss", f"{float(start):.3f}", "-i", str(path), "-t", f"{float(end - start):.3f}"]
        common = [find_ffmpeg(), "-nostdin", "-v", "error", "-y"]
        subprocess.run([*common, *window, "-map", "0:v:0", *encoding, str(place)], check=True)


def ways(modes: bool) -> dict[str, Way]:
    same = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast"]
    table: dict[str, Way] = {
        OPEN_SORA: lambda p, s, f: process_per_scene(p, s, f, []),
        "a process per scene, crf 18 veryfast": lambda p, s, f: process_per_scene(p, s, f, same),
        "exact, fast": lambda p, s, f: ours(p, s, f, quality="fast"),
        "exact (balanced)": lambda p, s, f: ours(p, s, f),
        "exact, best": lambda p, s, f: ours(p, s, f, quality="best"),
    }
    if modes:
        table[f"exact, {usable_cores()} threads"] = lambda p, s, f: ours(p, s, f, threads=usable_cores())
        table["exact, engine ffmpeg"] = lambda p, s, f: ours(p, s, f, engine="ffmpeg")
        table["smart"] = lambda p, s, f: ours(p, s, f, mode="smart")
        table["copy"] = lambda p, s, f: ours(p, s, f, mode="copy")
    return table


def luma(path: Path) -> Iterator[np.ndarray]:
    """The luma of each picture in 8 bits, shape (H, W)."""
    with av.open(str(path)) as container:
        if not container.streams.video:  # ffmpeg found no frame in its window and wrote an empty file
            return
        container.streams.video[0].thread_type = "AUTO"
        for picture in container.decode(video=0):
            if not picture.format.name.startswith(
                ("yuv4", "yuvj4", "gray")
            ):  # the luma is no plane of its own
                picture = picture.reformat(format="yuv420p")
            bits = picture.format.components[0].bits
            order = ">u2" if picture.format.is_big_endian else "<u2"
            plane = np.frombuffer(picture.planes[0], np.uint8 if bits == 8 else order)
            rows = plane.reshape(picture.height, -1)[:, : picture.width]
            yield rows if bits == 8 else (rows >> (bits - 8)).astype(np.uint8)


class Neighbours:
    """Pictures of a video that are asked for in ascending order; only a few are in memory."""

    def __init__(self, pictures: Iterator[np.ndarray]) -> None:
        self._pictures = enumerate(pictures)
        self._held: dict[int, np.ndarray] = {}

    def around(self, number: int) -> dict[int, np.ndarray]:
        """A picture, the one before and the one behind it, by their numbers; those that there are."""
        while max(self._held, default=-1) <= number and (one := next(self._pictures, None)):
            self._held[one[0]] = one[1]
            self._held.pop(one[0] - 3, None)
        return {at: picture for at, picture in self._held.items() if abs(at - number) <= 1}


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004: windows of 11 x 11 pixels with a Gaussian of 1.5."""

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    first, second = mean(one), mean(other)
    products, squares = first * second, first**2 + second**2
    covariance, variances = mean(one * other) - products, mean(one**2 + other**2) - squares
    small, smaller = (0.03 * 255) ** 2, (0.01 * 255) ** 2
    return float(
        (
            (2 * products + smaller) * (2 * covariance + small) / ((squares + smaller) * (variances + small))
        ).mean()
    )


def squared(one: np.ndarray, other: np.ndarray) -> float:
    """Mean squared error."""
    return float(((one.astype(np.float32) - other) ** 2).mean())


def compare(path: Path, scenes: list[Scene], folder: Path) -> dict[str, float]:
    """PSNR and SSIM of all clips, frames that are not those of their scene, and bytes."""
    index = index_packets(path)
    source = Neighbours(luma(path))
    errors, likeness, wrong, size = [], [], 0, 0
    for number, scene in enumerate(scenes):
        frames = frames_of(index, scene)
        place = next(folder.glob(f"*_scene-{number}.*"))
        size += place.stat().st_size
        count = 0
        for count, picture in enumerate(luma(place), 1):
            if count > len(frames):
                continue
            own = frames[count - 1]
            near = source.around(own)
            if own not in near:  # which is damaged in the source
                continue
            if picture.shape != near[own].shape:
                return {"bytes": sum(clip.stat().st_size for clip in folder.glob("*_scene-*"))}
            error = {i: squared(one[::4, ::4], picture[::4, ::4]) for i, one in near.items()}
            wrong += error[own] > 2 * min(error.values()) + 1
            errors.append(squared(near[own], picture))
            if own % SSIM_STEP == 0:
                likeness.append(ssim(near[own].astype(np.float32), picture.astype(np.float32)))
        wrong += abs(count - len(frames))
    psnr = 10 * math.log10(255**2 / max(float(np.mean(errors)), 1e-9))
    return {"psnr": psnr, "ssim": float(np.mean(likeness)), "wrong": wrong, "bytes": size}


def measure(video: Path, args: argparse.Namespace) -> list[dict[str, object]]:
    scenes = equal_scenes(video, args.seconds)
    print(f"{video.name}, {len(scenes)} scenes")
    command = [
        sys.executable,
        __file__,
        str(video.resolve()),
        "--seconds",
        str(args.seconds),
        *["--modes"] * args.modes,
    ]
    names = list(ways(args.modes))
    seconds: dict[str, list[float]] = {name: [] for name in ["start", *names]}
    found: dict[str, dict[str, float]] = {}
    for turn in range(args.repeat):
        seconds["start"].append(run_child([*command, "--way", "none", "--folder", "."]).cpu)
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(run_child([*command, "--way", name, "--folder", folder]).cpu)
                if not turn:
                    found[name] = compare(video, scenes, Path(folder)) if name != "copy" else _size(folder)
                    copied = Path(folder, "copied")
                    found[name]["copied"] = float(copied.read_text()) if copied.exists() else 0.0
    start = statistics.median(seconds["start"])
    open_sora = statistics.median(seconds[OPEN_SORA]) - start
    print(f"start {start:.2f} s")
    print(f"{'':48}{'CPU s':>8}{'times':>7}{'MB':>8}{'PSNR':>8}{'SSIM':>9}{'wrong':>7}{'copied':>8}")
    rows: list[dict[str, object]] = []
    for name in names:
        cpu = statistics.median(seconds[name]) - start
        times = ratio_of(open_sora, cpu)
        row = {"video": video.name, "way": name, "cpu_s": cpu, "times": times, "start_s": start}
        rows.append(row | found[name])
        shown = found[name]
        told = "-" if times is None else f"{times:.2f}"
        line = f"{name:48}{cpu:8.2f}{told:>7}{shown['bytes'] / 1e6:8.2f}"
        if "psnr" in shown:
            line += f"{shown['psnr']:8.2f}{shown['ssim']:9.5f}{shown['wrong']:7}{shown['copied']:8.0%}"
        print(line, flush=True)
    if any("psnr" not in found[name] for name in names if name != "copy"):
        why = "some clips have another size: its pixels are not square, or it is rotated"
        leave_out(f"PSNR and SSIM of {video.name}", why)
    return rows


def _size(folder: str) -> dict[str, float]:
    return {"bytes": sum(path.stat().st_size for path in Path(folder).glob("*_scene-*"))}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a scene (2)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each way runs (3)")
    parser.add_argument(
        "--modes", action="store_true", help="also several threads, engine ffmpeg, smart, copy"
    )
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        if args.way != "none":
            video = args.videos[0]
            ways(args.modes)[args.way](video, equal_scenes(video, args.seconds), args.folder)
        return
    cv2.setNumThreads(1)
    rows: list[dict[str, object]] = []
    for video in args.videos:
        with leaving_out(video):
            rows += measure(video, args)
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
