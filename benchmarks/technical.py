"""What the technical measures cost, beside decoding: CPU time, medians, in turn.

    python benchmarks/technical.py VIDEO... [--niqe FILE] [--repeat 3] [--json FILE]

`reading` is what taking the frames and the thumbnails needs more than a plain decode; the last table has each
measure alone, over all files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"))

from measuring import finish, leaving_out, make_parser, medians_in_turn, print_head, print_row, run

from tools.errors import MediaError
from tools.media.reading.requests import Frames, read_requests
from tools.media.reading.video_frames import iter_video_frames
from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES
from tools.scoring.technical.scorer import measure
from tools.scoring.technical.stage import TechnicalStage


def read(path: Path, stage: TechnicalStage) -> Frames:
    (frames,) = read_requests(path, [stage.request])
    if isinstance(frames, MediaError):
        raise frames
    return frames


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--niqe", metavar="FILE", help="parameters of NIQE: time it too")
    parser.add_argument("--repeat", type=int, default=3, help="how often each way runs (3)")
    args = parser.parse_args()
    names = tuple(MEASURES) if args.niqe else DEFAULT_MEASURES
    stage = TechnicalStage(measures=names, niqe_parameters=args.niqe)
    totals: Counter[str] = Counter()
    rows = []
    print_head("file", "frames", "size", "decode, ms", "reading, ms", "measures, ms", "measures / decode")
    for path in args.videos:
        with leaving_out(path):
            frames = read(path, stage)

            def measures(chosen: tuple[str, ...], frames: Frames = frames) -> Callable[[], object]:
                model = stage.niqe_model
                return lambda: measure(frames, frames.times, frames.thumbnails, chosen, model)

            ways = {
                "decode": lambda path=path: sum(1 for _ in iter_video_frames(path)),
                "read": lambda path=path: read(path, stage),
                "measures": measures(names),
                **{name: measures((name,)) for name in names},
            }
            spent = medians_in_turn(ways, args.repeat)
            totals.update({name: spent[name] for name in names})
            decode, reading = spent["decode"], spent["read"] - spent["decode"]
            height, width = frames[0].image.shape[:2]
            times = (f"{seconds * 1e3:.0f}" for seconds in (decode, reading, spent["measures"]))
            ratio = spent["measures"] / decode
            print_row(path.name, len(frames.times), f"{width}x{height}", *times, f"{ratio:.2f}")
            rows.append({"file": path.name, "frames": len(frames.times), **spent})
    print()
    print_head("measure", "ms, all files, alone")
    for name, seconds in totals.items():
        print_row(name, f"{seconds * 1e3:.0f}")
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
