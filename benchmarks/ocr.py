"""Text in the picture: CPU seconds per picture and per clip, beside RapidOCR, with each backend.

    python benchmarks/ocr.py [VIDEO ...] [--repeat 5] [--json FILE]

Pictures are drawn: clouds with white lines of text. The ways take turns in one process: RapidOCR's own
pipeline as its users call it, on one thread, for boxes alone and with the text; `OcrScorer` in ONNX Runtime
and in OpenVINO, and with the text. Of each VIDEO three frames are looked at, decoding included, as a worker
of the command does it; the last way is decoding alone. Given are medians of CPU time, the number of regions
that were found, and how many times the seconds of OpenVINO the others take. A backend or peer that is not
installed is left out, and said.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import (
    finish,
    installed,
    leaving_out,
    make_parser,
    medians_in_turn,
    peak_bytes,
    print_head,
    print_row,
    run,
)
from PIL import Image, ImageDraw, ImageFont

from tools.base.packages import versions_of
from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import Sampling
from tools.scoring.ocr.scorer import OcrScorer

SIZES = ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
LINES = (0, 2, 10)
BACKENDS = ("onnxruntime", "openvino")
Ways = dict[str, Callable[[], int]]
"""What is timed, by name; each gives the number of regions, or of frames."""


def picture(width: int, height: int, lines: int) -> np.ndarray:
    """Clouds with lines of text, letters 1/36 of the height."""
    blocks = np.random.default_rng(0).integers(20, 140, (5, 7, 3), dtype=np.uint8)
    drawn = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    draw, face = ImageDraw.Draw(drawn), ImageFont.load_default(height // 36)
    for number in range(lines):
        text = f"line {number} of what a video says"
        draw.text((width // 10, height * (number + 1) // 12), text, font=face, fill="white")
    return np.asarray(drawn)


def rapidocr(text: bool) -> Callable[[np.ndarray], int]:
    """The number of regions by RapidOCR."""
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    engine = RapidOCR(params={"Global.log_level": "critical", "Det.box_thresh": 0.3, **threads})

    def count(image: np.ndarray) -> int:
        found = engine(image[..., ::-1].copy(), use_det=True, use_cls=text, use_rec=text)
        return 0 if found.boxes is None else len(found.boxes)

    return count


def drawn_pictures(backends: Sequence[str]) -> Iterator[tuple[str, Ways]]:
    """Ways for each size and number of lines, one picture of it."""
    scorers = {backend: OcrScorer(device="cpu", backend=backend) for backend in backends}
    peers = (
        {f"RapidOCR {kind}": rapidocr(text=kind == "text") for kind in ("boxes", "text")}
        if installed("RapidOCR", "rapidocr")
        else {}
    )
    for width, height in SIZES:
        for lines in LINES:
            image = picture(width, height, lines)
            ways: Ways = {name: partial(peer, image) for name, peer in peers.items()}
            for name, scorer in scorers.items():
                ways[name] = partial(count_regions, scorer, image)
            ways[f"{backends[-1]} text"] = partial(count_regions, scorers[backends[-1]], image, text=True)
            yield f"{width}x{height}, {lines} lines", ways


def frames_of(videos: list[Path], backends: Sequence[str]) -> Iterator[tuple[str, Ways]]:
    """Ways for three frames of each video."""
    scorers = {backend: OcrScorer(device="cpu", backend=backend) for backend in backends}
    boxes = rapidocr(text=False) if installed("RapidOCR", "rapidocr") else None
    for video in videos:

        def frames(video: Path = video) -> list[np.ndarray]:
            return [frame.image for frame in read_sampled(video, Sampling("first_middle_last", 3))]

        ways: Ways = {}
        if boxes:
            ways["RapidOCR boxes"] = lambda frames=frames: max(map(boxes, frames()))
        for name, scorer in scorers.items():
            ways[name] = lambda scorer=scorer, frames=frames: count_regions(scorer, *frames())
        yield video.name, ways | {"decoding": lambda frames=frames: len(frames())}


def count_regions(scorer: OcrScorer, *images: np.ndarray, text: bool = False) -> int:
    """The largest number of regions in one of the pictures."""
    return int(scorer.score(list(images), text=text)["ocr"])


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="instead of drawn pictures")
    parser.add_argument("--repeat", type=int, default=5, help="how often each way runs (5)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    backends = []
    for name in BACKENDS:
        with leaving_out(f"backend {name}"):  # it may be there and not compute
            if installed(f"backend {name}", name):
                OcrScorer(device="cpu", backend=name)
                backends.append(name)
    if not backends:
        raise UserError("OcrScorer has no backend here")
    packages = [*backends, *(["rapidocr"] if installed("RapidOCR", "rapidocr") else [])]
    versions = versions_of(packages)
    print(f"{platform.machine()}, {versions}; CPU seconds (regions)")
    rows: list[dict[str, Any]] = []
    for what, ways in frames_of(args.videos, backends) if args.videos else drawn_pictures(backends):
        with leaving_out(what):
            regions = {name: way() for name, way in ways.items() if name != "decoding"}
            seconds = medians_in_turn(ways, args.repeat)
            peers = [name for name in ("RapidOCR boxes", "onnxruntime") if name in seconds]
            ratios = {f"{peer} / {backends[-1]}": seconds[peer] / seconds[backends[-1]] for peer in peers}
            if not rows:
                print_head("what", *seconds, *ratios)
            shown = [
                f"{seconds[name]:.2f}" + (f" ({regions[name]})" if name in regions else "")
                for name in seconds
            ]
            print_row(what, *shown, *(f"{ratio:.1f}" for ratio in ratios.values()))
            rows.append({"what": what, "seconds": seconds, "regions": regions, "ratios": ratios})
    peak = peak_bytes() / 2**20
    print(f"largest memory of this process, all ways together: {peak:.0f} MiB")
    finish(args.json, rows and {"versions": versions, "rows": rows, "peak_mib": peak})


if __name__ == "__main__":
    run(main)
