"""Text in the picture: frames per second, CPU time and memory, by size of the frame and number of lines.

    python benchmarks/ocr.py [--repeat 3]

Frames are drawn: clouds with white lines of text. Compared are `OcrScorer` with and without its check, and
RapidOCR's own pipeline on one thread. Times are CPU time of one core, decoding not included: workers are
independent, so N cores look at N times as many frames.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.scoring.ocr.scorer import OcrScorer

SIZES = ((640, 360), (1280, 720), (1920, 1080), (3840, 2160))
LINES = (0, 2, 10)


def frame(width: int, height: int, lines: int) -> np.ndarray:
    """Clouds with lines of text, letters 1/36 of the height."""
    blocks = np.random.default_rng(0).integers(20, 140, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    draw, face = ImageDraw.Draw(picture), ImageFont.load_default(height // 36)
    for number in range(lines):
        text = f"line {number} of what a video says"
        draw.text((width // 10, height * (number + 1) // 12), text, font=face, fill="white")
    return np.asarray(picture)


def seconds(function: Callable[[], object], repeat: int) -> float:
    function()  # warm
    times = []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return sorted(times)[repeat // 2]


def rapidocr(text: bool) -> Callable[[np.ndarray], object]:
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    engine = RapidOCR(params={"Global.log_level": "critical", "Det.box_thresh": 0.3, **threads})
    return lambda image: engine(image[..., ::-1].copy(), use_det=True, use_cls=text, use_rec=text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    import cv2
    import onnxruntime

    cv2.setNumThreads(1)
    checked, raw = OcrScorer(device="cpu"), OcrScorer(device="cpu", check="none")
    ways = {
        "check none": lambda image: raw.score([image]),
        "check reading": lambda image: checked.score([image]),
        "with text": lambda image: checked.score([image], text=True),
        "RapidOCR boxes": rapidocr(text=False),
        "RapidOCR text": rapidocr(text=True),
    }
    print(f"{platform.machine()}, one core, ONNX Runtime {onnxruntime.__version__}; CPU seconds per frame\n")
    print(f"| frame | lines | {' | '.join(ways)} |\n|{'---|' * (len(ways) + 2)}")
    for width, height in SIZES:
        for lines in LINES:
            image = frame(width, height, lines)
            times = (seconds(lambda way=way, image=image: way(image), args.repeat) for way in ways.values())
            print(f"| {width}x{height} | {lines} | {' | '.join(f'{t:.2f}' for t in times)} |", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nlargest memory of this process, all ways together: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
