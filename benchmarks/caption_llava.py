"""Captions per second by batch size, and how many change with it.

    python benchmarks/caption_llava.py MODEL VIDEO... [--bs 1 4 16] [--max-tokens 64] [--precision fp32]

Each video gives 16 questions, one for each sixteenth of it (its middle frame). Compared with the captions
that each row has alone: how many differ without asking again near ties (--tie-margin 0), how many with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from tools.caption.llava.captioner import Captioner
from tools.caption.llava.processor import Question
from tools.caption.llava.stage import scale_down
from tools.caption.prompts import PROMPTS
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling


def questions_of(videos: Sequence[str]) -> list[Question]:
    sampling = parse_sampling("uniform_mid", 16)
    frames = [frame.image for video in videos for frame in read_sampled(video, sampling)]
    text = PROMPTS["video"].request
    return [
        Question((scale_down(frame, 336),), text + " Please." * (i % 4)) for i, frame in enumerate(frames)
    ]


def run(captioner: Captioner, questions: list[Question], size: int) -> tuple[list[object], float]:
    start = time.perf_counter()
    found: list[object] = []
    for first in range(0, len(questions), size):
        found += captioner.caption(questions[first : first + size])
    return found, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--bs", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()

    captioner = Captioner(
        args.model, device=args.device, precision=args.precision, max_tokens=args.max_tokens
    )
    default = captioner.tie_margin
    questions = questions_of(args.videos)
    captioner.caption(questions[:2])  # warm up
    captioner.tie_margin = 0
    alone, seconds = run(captioner, questions, 1)
    print(f"{len(questions)} rows, {captioner.precision} on {captioner.device}")
    print("| rows at once | tie margin | captions/s | differ from alone |\n|---|---|---|---|")
    print(f"| 1 | 0 | {len(questions) / seconds:.2f} | |")
    for size in args.bs:
        for margin in sorted({0.0, default}):
            captioner.tie_margin = margin
            found, seconds = run(captioner, questions, size)
            differ = sum(a != b for a, b in zip(alone, found, strict=True))
            print(f"| {size} | {margin:g} | {len(questions) / seconds:.2f} | {differ} |")


if __name__ == "__main__":
    main()
