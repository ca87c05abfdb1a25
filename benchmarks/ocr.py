"""Text in the picture: CPU seconds per picture and per clip, beside RapidOCR, with each backend.

    python benchmarks/ocr.py [VIDEO ...] [--repeat 5] [--json FILE]

Pictures are drawn: clouds with white lines of text. The ways take turns in one process: RapidOCR's own
pipeline as its users call it, on one thread, for boxes alone and with the text; `OcrScorer` in ONNX Runtime
and in OpenVINO, and with the text. Of each VIDEO three frames are looked at, decoding included, as a worker
of the command does it; the last way is decoding alone. Given are medians of CPU time, the number of regions
that were found, and how many times the seconds of OpenVINO the others take.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling
from tools.scoring.ocr.scorer import OcrScorer

SIZES = ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
LINES = (0, 2, 10)
BACKENDS = ("onnxruntime", "openvino")


def picture(width: int, height: int, lines: int) -> np.ndarray:
    """Clouds with lines of text, letters 1/36 of the height."""
    blocks = np.random.default_rng(0).integers(20, 140, (5, 7, 3), dtype=np.uint8)
    drawn = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    draw, face = ImageDraw.Draw(drawn), ImageFont.load_default(height // 36)
    for number in range(lines):
        text = f"line {number} of what a video says"
        draw.text((width // 10, height * (number + 1) // 12), text, font=face, fill="white")
    return np.asarray(drawn)


def seconds_in_turn(ways: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Median CPU seconds of each way; they take turns, after one turn that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeat + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(own) for name, own in times.items()}


def rapidocr(text: bool) -> Callable[[np.ndarray], int]:
    """The number of regions by RapidOCR."""
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    engine = RapidOCR(params={"Global.log_level": "critical", "Det.box_thresh": 0.3, **threads})

    def count(image: np.ndarray) -> int:
        found = engine(image[..., ::-1].copy(), use_det=True, use_cls=text, use_rec=text)
        return 0 if found.boxes is None else len(found.boxes)

    return count


def of_pictures(repeat: int) -> list[dict[str, Any]]:
    """Seconds and regions of each way, for each size and number of lines."""
    scorers = {backend: OcrScorer(device="cpu", backend=backend) for backend in BACKENDS}
    boxes, read = rapidocr(text=False), rapidocr(text=True)
    rows = []
    for width, height in SIZES:
        for lines in LINES:
            image = picture(width, height, lines)
            ways: dict[str, Callable[[], Any]] = {
                "RapidOCR boxes": lambda image=image: boxes(image),
                **{
                    name: lambda image=image, own=own: own.score([image])["ocr"]
                    for name, own in scorers.items()
                },
                "RapidOCR text": lambda image=image: read(image),
                "openvino text": lambda image=image: scorers["openvino"].score([image], text=True)["ocr"],
            }
            regions = {name: way() for name, way in ways.items()}
            times = seconds_in_turn(ways, repeat)
            rows.append({"what": f"{width}x{height}, {lines} lines", "seconds": times, "regions": regions})
            print(line(rows[-1]), flush=True)
    return rows


def of_videos(videos: list[Path], repeat: int) -> list[dict[str, Any]]:
    """Seconds and regions of each way, for three frames of each video."""
    scorers = {backend: OcrScorer(device="cpu", backend=backend) for backend in BACKENDS}
    boxes = rapidocr(text=False)
    rows = []
    for video in videos:

        def frames(video: Path = video) -> list[np.ndarray]:
            return [frame.image for frame in read_sampled(video, Sampling("first_middle_last", 3))]

        ways: dict[str, Callable[[], Any]] = {
            "RapidOCR boxes": lambda frames=frames: max(map(boxes, frames())),
            **{
                name: lambda own=own, frames=frames: own.score(frames())["ocr"]
                for name, own in scorers.items()
            },
            "decoding": lambda frames=frames: len(frames()),
        }
        regions = {name: way() for name, way in ways.items() if name != "decoding"}
        rows.append({"what": video.name, "seconds": seconds_in_turn(ways, repeat), "regions": regions})
        print(line(rows[-1]), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    """A row of the table: seconds, with the number of regions where it was counted."""
    cells = [
        f"{seconds:.2f}" + (f" ({row['regions'][name]})" if name in row["regions"] else "")
        for name, seconds in row["seconds"].items()
    ]
    times = row["seconds"]
    peers = " | ".join(f"{times[name] / times['openvino']:.1f}" for name in ("RapidOCR boxes", "onnxruntime"))
    return f"| {row['what']} | {' | '.join(cells)} | {peers} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="instead of drawn pictures")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    import cv2

    cv2.setNumThreads(1)
    versions = {name: version(name) for name in ("onnxruntime", "openvino", "rapidocr")}
    print(
        f"{platform.machine()}, {versions}; CPU seconds (regions), then RapidOCR and ONNX Runtime by OpenVINO"
    )
    rows = of_videos(args.videos, args.repeat) if args.videos else of_pictures(args.repeat)
    print("columns: what,", ", ".join(rows[0]["seconds"]), "and the two ratios")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"largest memory of this process, all ways together: {peak:.0f} MiB")
    if args.json:
        args.json.write_text(json.dumps({"versions": versions, "rows": rows, "peak_mib": peak}, indent=1))


if __name__ == "__main__":
    main()
