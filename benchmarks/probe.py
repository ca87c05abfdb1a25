"""Cost of probing a file by that of decoding it. Usage: python benchmarks/probe.py VIDEO..."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.errors import MediaError
from tools.media.reading.decoders.pyav import iter_video_frames
from tools.media.reading.probe import probe


def decode(path: Path) -> int:
    return sum(1 for _ in iter_video_frames(path))


def cpu(work: Callable[[], object], repeats: int = 3) -> float:
    """CPU seconds, the median of a few runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return sorted(seconds)[repeats // 2]


def main() -> None:
    probing = decoding = 0.0
    print("| file | frames | probe, ms | decode, ms | ratio |\n|---|---|---|---|---|")
    for path in map(Path, sys.argv[1:]):
        try:
            frames = probe(path).num_frames
            a, b = cpu(lambda path=path: probe(path)), cpu(lambda path=path: decode(path))
        except MediaError as error:
            print(f"| {path.name} | {error.kind} | | | |")
            continue
        probing, decoding = probing + a, decoding + b
        print(f"| {path.name} | {frames} | {a * 1e3:.1f} | {b * 1e3:.0f} | {a / b:.3f} |")
    print(f"| all | | {probing * 1e3:.0f} | {decoding * 1e3:.0f} | {probing / decoding:.3f} |")


if __name__ == "__main__":
    main()
