"""Captions per second by batch size, and how many change with it.

    python benchmarks/caption_llava.py MODEL VIDEO... [--bs 1 4 16] [--max-tokens 64] [--precision fp32]
        [--json FILE]

Each video gives 16 questions, one for each sixteenth of it (its middle frame). Compared with the captions
that each row has alone: how many differ without asking again near ties (--tie-margin 0), how many with.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from measuring import finish, leaving_out, make_parser, print_head, print_row, run

from tools.caption.llava.captioner import Captioner
from tools.caption.llava.processor import Question
from tools.caption.llava.stage import scale_down
from tools.caption.prompts import PROMPTS
from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling


def questions_of(videos: Sequence[str]) -> list[Question]:
    sampling = parse_sampling("uniform_mid", 16)
    frames = []
    for video in videos:
        with leaving_out(video):
            frames += [frame.image for frame in read_sampled(video, sampling)]
    if not frames:
        raise UserError("no video can be read")
    text = PROMPTS["video"].request
    return [
        Question((scale_down(frame, 336),), text + " Please." * (i % 4)) for i, frame in enumerate(frames)
    ]


def caption_all(captioner: Captioner, questions: list[Question], size: int) -> tuple[list[object], float]:
    start = time.perf_counter()
    found: list[object] = []
    for first in range(0, len(questions), size):
        found += captioner.caption(questions[first : first + size])
    return found, time.perf_counter() - start


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
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
    alone, seconds = caption_all(captioner, questions, 1)
    print(f"{len(questions)} rows, {captioner.precision} on {captioner.device}")
    rows = [{"rows": 1, "tie_margin": 0.0, "captions_per_s": len(questions) / seconds, "differ": 0}]
    print_head("rows at once", "tie margin", "captions/s", "times", "differ from alone")
    print_row(1, 0, f"{len(questions) / seconds:.2f}", "1.00", "")
    for size in args.bs:
        for margin in sorted({0.0, default}):
            captioner.tie_margin = margin
            found, seconds = caption_all(captioner, questions, size)
            differ = sum(a != b for a, b in zip(alone, found, strict=True))
            speed = len(questions) / seconds
            print_row(size, f"{margin:g}", f"{speed:.2f}", f"{speed / rows[0]['captions_per_s']:.2f}", differ)
            rows.append({"rows": size, "tie_margin": margin, "captions_per_s": speed, "differ": differ})
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
