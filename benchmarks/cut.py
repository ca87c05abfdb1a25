"""Cutting: one pass over a video against one ffmpeg process for each scene, as Open-Sora's script has it.

    python benchmarks/cut.py VIDEO [--seconds 2] [--modes]

The video is cut into scenes of equal length. Each way runs in a process of its own, one after the other; wall
and CPU time include its start. PSNR is that of the luma against the source, over all frames of all clips; it
counts as wrong a frame that is another one than the source shows at that place. ``--modes`` also times copy
and smart.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tools.media.reading.probe import index_packets
from tools.media.workers.pool import usable_cores
from tools.media.writing.ffmpeg_program import find_ffmpeg
from tools.media.writing.plan import Scene, frames_of
from tools.scene_cut.clips.cutting import CutOptions, cut_clips


def equal_scenes(path: Path, seconds: float) -> list[Scene]:
    index = index_packets(path)
    duration = Fraction(index.duration).limit_denominator(1000)
    step = Fraction(seconds)
    scenes = [(i * step, min(duration, (i + 1) * step)) for i in range(math.ceil(duration / step))]
    return [scene for scene in scenes if frames_of(index, scene)]


def ours(path: Path, scenes: list[Scene], folder: Path, **options: object) -> None:
    result = cut_clips(path, scenes, folder, options=CutOptions(keep_audio=False, **options))
    if result.failures:
        raise SystemExit(str(result.failures))


def process_per_scene(path: Path, scenes: list[Scene], folder: Path, encoding: list[str]) -> None:
    """What Open-Sora's cut.py does for each scene: seek, duration, no sound, the encoder's defaults."""
    for number, (start, end) in enumerate(scenes):
        place = folder / f"{path.stem}_scene-{number}.mp4"
        window = ["-ss", f"{float(start):.3f}", "-i", str(path), "-t", f"{float(end - start):.3f}"]
        command = [
            find_ffmpeg(),
            "-nostdin",
            "-v",
            "error",
            "-y",
            *window,
            "-map",
            "0:v:0",
            *encoding,
            str(place),
        ]
        subprocess.run(command, check=True)


def ways(cores: int, modes: bool) -> dict[str, object]:
    same = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast"]
    table: dict[str, object] = {
        "a process per scene, crf 23 medium (Open-Sora)": lambda p, s, f: process_per_scene(p, s, f, []),
        "a process per scene, crf 18 veryfast": lambda p, s, f: process_per_scene(p, s, f, same),
        "exact, 1 thread": lambda p, s, f: ours(p, s, f, threads=1),
        f"exact, {cores} threads": lambda p, s, f: ours(p, s, f, threads=cores),
        f"exact, {cores} threads, crf 23 medium": lambda p, s, f: ours(
            p, s, f, threads=cores, crf=23, preset="medium"
        ),
        f"exact, {cores} threads, engine ffmpeg": lambda p, s, f: ours(
            p, s, f, threads=cores, engine="ffmpeg"
        ),
    }
    if modes:
        table["smart, 1 thread"] = lambda p, s, f: ours(p, s, f, mode="smart")
        table["copy"] = lambda p, s, f: ours(p, s, f, mode="copy")
    return table


def luma(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        if not container.streams.video:  # ffmpeg found no frame in its window and wrote an empty file
            return
        container.streams.video[0].thread_type = "AUTO"
        for picture in container.decode(video=0):
            yield picture.to_ndarray()[: picture.height].astype(np.int16)


def compare(path: Path, scenes: list[Scene], folder: Path) -> tuple[float, int, int]:
    """PSNR of all clips, frames that are not those of their scene, and bytes."""
    index = index_packets(path)
    source = list(luma(path))
    squares, pixels, wrong, size = 0.0, 0, 0, 0
    for number, scene in enumerate(scenes):
        frames = frames_of(index, scene)
        place = next(folder.glob(f"*_scene-{number}.*"))
        size += place.stat().st_size
        got = list(luma(place))
        wrong += abs(len(got) - len(frames))
        for own, picture in zip(frames, got, strict=False):
            error = {i: float(((source[i] - picture) ** 2.0).mean()) for i in _around(own, len(source))}
            squares, pixels = squares + error[own], pixels + 1
            wrong += error[own] > 2 * min(error.values()) + 1
    return 10 * math.log10(255**2 / max(squares / pixels, 1e-9)), wrong, size


def _around(own: int, total: int) -> list[int]:
    return [i for i in (own - 1, own, own + 1) if 0 <= i < total]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a scene (2)")
    parser.add_argument("--modes", action="store_true", help="time copy and smart too")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    scenes = equal_scenes(args.video, args.seconds)
    every = ways(usable_cores(), args.modes)
    if args.way:
        every[args.way](args.video, scenes, args.folder)
        return
    print(f"{args.video.name}, {len(scenes)} scenes, {usable_cores()} cores")
    print(f"{'':48}{'wall s':>8}{'CPU s':>8}{'MB':>8}{'PSNR':>8}{'wrong':>7}")
    for name in every:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                __file__,
                str(args.video),
                "--seconds",
                str(args.seconds),
                "--way",
                name,
            ]
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([*command, "--folder", folder, *["--modes"] * args.modes], check=True)
            wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if name == "copy":
                size = sum(p.stat().st_size for p in Path(folder).iterdir())
                print(f"{name:48}{wall:8.2f}{cpu:8.2f}{size / 1e6:8.2f}       -      -")
                continue
            psnr, wrong, size = compare(args.video, scenes, Path(folder))
            print(f"{name:48}{wall:8.2f}{cpu:8.2f}{size / 1e6:8.2f}{psnr:8.2f}{wrong:7}")


if __name__ == "__main__":
    main()
