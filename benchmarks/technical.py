"""Cost of the technical measures and of decoding: python benchmarks/technical.py VIDEO... [--niqe FILE]."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"))

from tools.errors import MediaError
from tools.media.reading.decoders.pyav import iter_video_frames
from tools.media.reading.requests import Frames, read_requests
from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES
from tools.scoring.technical.scorer import measure
from tools.scoring.technical.stage import TechnicalStage


def cpu(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU milliseconds, the least of a few runs."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent) * 1e3


def read(path: Path, stage: TechnicalStage) -> Frames:
    (frames,) = read_requests(path, [stage.request])
    if isinstance(frames, MediaError):
        raise frames
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--niqe", help="parameters of NIQE: time it too")
    args = parser.parse_args()
    names = tuple(MEASURES) if args.niqe else DEFAULT_MEASURES
    stage = TechnicalStage(measures=names, niqe_parameters=args.niqe)
    totals: dict[str, float] = {}
    print("| file | frames | size | decode, ms | reading, ms | measures, ms | by decoding |")
    print("|---|---|---|---|---|---|---|")
    for path in args.videos:
        decode = cpu(lambda path=path: sum(1 for _ in iter_video_frames(path)))
        frames = read(path, stage)
        reading = cpu(lambda path=path: read(path, stage)) - decode

        def run(chosen: tuple[str, ...], frames: Frames = frames) -> float:
            model = stage.niqe_model
            return cpu(lambda: measure(frames, frames.times, frames.thumbnails, chosen, model))

        spent = run(names)
        for name in names:
            totals[name] = totals.get(name, 0.0) + run((name,))
        height, width = frames[0].image.shape[:2]
        print(
            f"| {path.name} | {len(frames.times)} | {width}x{height} | {decode:.0f} | {reading:.0f} "
            f"| {spent:.0f} | {spent / decode:.2f} |",
            flush=True,
        )
    print("\n| measure | ms, all files, alone |\n|---|---|")
    for name, milliseconds in totals.items():
        print(f"| {name} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
