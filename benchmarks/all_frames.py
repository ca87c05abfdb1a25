"""All frames of a video at 224 px: CPU time by that of a plain decode, beside decord and torchcodec.

    python benchmarks/all_frames.py VIDEO... [--size 224] [--repeat 3] [--json FILE]

`iter_frames` and decord scale while they decode; torchcodec gives full pictures, which PyTorch scales. All
ways run in turn in one process, on one thread; figures are medians of CPU seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from measuring import (
    finish,
    installed,
    leaving_out,
    make_parser,
    medians_in_turn,
    print_head,
    print_row,
    run,
    ways_that_work,
)

from tools.media.reading.frames import iter_frames
from tools.media.reading.probe import index_packets
from tools.media.reading.video_frames import iter_video_frames

COMPARED = ("here", "decord", "torchcodec")
AT_ONCE = 32
"""Frames that decord is asked for at a time."""


def with_decord(path: Path, size: int) -> int:
    from decord import VideoReader

    reader = VideoReader(str(path), width=size, height=size, num_threads=1)
    count = len(reader)
    for first in range(0, count, AT_ONCE):
        reader.get_batch(range(first, min(first + AT_ONCE, count))).asnumpy()
    return count


def with_torchcodec(path: Path, size: int) -> int:
    import torch
    from torchcodec.decoders import VideoDecoder

    torch.set_num_threads(1)
    decoder = VideoDecoder(str(path), num_ffmpeg_threads=1)
    for frame in decoder:
        torch.nn.functional.interpolate(frame[None], (size, size), mode="bilinear", antialias=True)
    return len(decoder)


def ways_of(path: Path, size: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name; a peer that cannot read the video is left out."""
    index_packets(path)  # a file that cannot be read is not the peers' fault
    ways: dict[str, Callable[[], object]] = {
        "decode": lambda: sum(1 for _ in iter_video_frames(path, index=index_packets(path))),
        "here": lambda: sum(1 for _ in iter_frames(path, size=(size, size))),
    }
    peers = {"decord": with_decord, "torchcodec": with_torchcodec}
    there = {name: partial(way, path, size) for name, way in peers.items() if installed(name, name)}
    return ways | ways_that_work(there, path.name)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--size", type=int, default=224, help="width and height in pixels (224)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each way runs (3)")
    args = parser.parse_args()
    rows = []
    print_head("file", "decode, CPU s", *(f"{way} / decode" for way in COMPARED))
    for path in args.videos:
        with leaving_out(path):
            seconds = medians_in_turn(ways_of(path, args.size), args.repeat)
            plain = seconds["decode"]
            ratios = {way: seconds[way] / plain for way in seconds if way != "decode"}
            shown = (f"{ratios[way]:.2f}" if way in ratios else "" for way in COMPARED)
            print_row(path.name, f"{plain:.2f}", *shown)
            rows.append({"file": path.name, "seconds": seconds, "by_decode": ratios})
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
