"""Four scorers alone and in one run: CPU seconds of each, and their ratio to a plain decode.

    python benchmarks/fused.py VIDEO... [--rounds 5] [--json FILE]

The scorers that need no model: technical measures, DIS flow, camera motion, fingerprints. Each of them, all
in one run (as `tools.scoring` does it), and decoding alone take turns in one process; the figures are the
medians of several rounds. `all / dearest` is the run of all four by the most expensive of them.

With --floor, what a run of all four spends in functions of other libraries, whose results are to stay: no
change of the scorers can make it take less.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"))

from measuring import finish, leaving_out, make_parser, medians_in_turn, print_head, print_row, run

from tools.caption.camera_motion.stage import CameraMotionStage
from tools.media.reading.requests import Frames
from tools.media.reading.video_frames import iter_video_frames
from tools.scoring.dedup.stage import FingerprintStage
from tools.scoring.fused import FusedStage
from tools.scoring.optical_flow.stage import OpticalFlowStage
from tools.scoring.technical.stage import TechnicalStage


def tasks(path: Path) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    stages = (TechnicalStage(), OpticalFlowStage(method="dis"), CameraMotionStage(), FingerprintStage())
    row = {"path": str(path)}
    found: dict[str, Callable[[], object]] = {"decode": lambda: sum(1 for _ in iter_video_frames(path))}
    for stage in stages:
        alone = FusedStage(stages=(stage,))
        found[stage.name] = lambda alone=alone: alone.prepare(row, Frames())
    found["all"] = lambda: FusedStage(stages=stages).prepare(row, Frames())
    return found


def measure(path: Path, rounds: int) -> dict[str, float]:
    """CPU seconds of each task, and the ratios."""
    found = medians_in_turn(tasks(path), rounds)
    dearest = max(seconds for name, seconds in found.items() if name not in ("decode", "all"))
    ratios = {"all / decode": found["all"] / found["decode"], "all / dearest": found["all"] / dearest}
    return found | ratios


FLOOR = {
    "open and decode": ("av.codec.context.CodecContext", "av.container.core.open"),
    "libswscale": ("av.video.reformatter",),
    "DIS": ("DenseOpticalFlow",),
    "Lucas-Kanade": ("calcOpticalFlowPyrLK",),
    "area filter, OpenCV": ("<resize>",),
    "Lanczos filter, Pillow": ("ImagingCore",),
}
"""Parts of the names that the profiler has for functions of other libraries."""


def measure_floor(path: Path, rounds: int) -> dict[str, float]:
    """CPU seconds of a run of all four, and of it in `FLOOR`, least of the rounds; what is left is rest."""
    run = tasks(path)["all"]
    run()
    whole, inside = [], []
    for _ in range(rounds):
        start = time.process_time()
        run()
        whole.append(time.process_time() - start)
        profile = cProfile.Profile(time.process_time)
        profile.runcall(run)
        spent = dict.fromkeys(FLOOR, 0.0)
        for function, figures in pstats.Stats(profile).get_stats_profile().func_profiles.items():
            for kind, parts in FLOOR.items():
                if any(part in function for part in parts):
                    spent[kind] += figures.tottime
        inside.append(spent)
    found = {"all": min(whole)} | {kind: min(spent[kind] for spent in inside) for kind in FLOOR}
    return found | {"rest": found["all"] - sum(found[kind] for kind in FLOOR)}


def main() -> None:
    """Measure, print, and write JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--floor", action="store_true", help="what is spent in other libraries")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for path in args.videos:
        with leaving_out(path):
            found = (measure_floor if args.floor else measure)(path, args.rounds)
            if not figures:
                print_head("file", *found)
            figures[str(path)] = found
            print_row(path.name, *(f"{value:.3f}" for value in found.values()))
    finish(args.json, figures)


if __name__ == "__main__":
    run(main)
