"""Pairs per second of the flow methods on the 320 x 576 grid, and what a video costs.

    python benchmarks/optical_flow.py VIDEO... [--pairs 2] [--repeat 3] [--json FILE]

GMFlow has random weights: its speed does not depend on them. On a CPU it takes seconds for each pair; --pairs
says how many are timed. CPU seconds are medians; the ratio of a method is its seconds by those of DIS, that
of a video those of DIS by decoding.
"""

from __future__ import annotations

import platform
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from measuring import finish, leaving_out, make_parser, medians_in_turn, print_head, print_row, run

from tools.errors import MediaError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling
from tools.media.workers.pool import usable_cores
from tools.models.device import cpu_multiplies_bf16, resolve_device
from tools.models.gmflow.estimator import GMFlowEstimator
from tools.models.gmflow.model import GMFlow
from tools.scoring.optical_flow.dis import dis_flow
from tools.scoring.optical_flow.pictures import averaged_picture
from tools.scoring.optical_flow.scorer import Estimate, Pair, make_clip, score_clips
from tools.scoring.optical_flow.stage import OpticalFlowStage


def random_gmflow() -> GMFlow:
    torch.manual_seed(0)
    model = GMFlow().eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_uniform_(parameter)
    return model.requires_grad_(False)


def pair_speeds(video: Path, count: int, repeat: int) -> list[dict[str, Any]]:
    """Seconds of each method for a pair: of CPU, and on a GPU on the clock."""
    chosen = read_sampled(video, parse_sampling("uniform_mid", count + 1))
    pairs = list(pairwise(averaged_picture(f.image) for f in chosen))
    if not pairs:
        raise MediaError("too_short", video, "it has one frame")
    many = pairs * (1 + 60 // len(pairs))
    model, device = random_gmflow(), resolve_device("auto")
    fast = ["bf16", "fp16"] if device != "cpu" else ["bf16"] if cpu_multiplies_bf16() else []
    clock = time.process_time if device == "cpu" else time.perf_counter
    methods: dict[tuple[str, str], tuple[Estimate, list[Pair]]] = {("dis, one core", "-"): (dis_flow, many)}
    for precision in ("fp32", *fast):
        estimate = GMFlowEstimator(
            model.to(device), device=device, precision=precision, threads=usable_cores()
        )
        methods[f"gmflow, {device}", precision] = estimate, pairs if device == "cpu" else many
    ways = {method: partial(estimate, some) for method, (estimate, some) in methods.items()}
    spent = medians_in_turn(ways, repeat, clock)
    rows = []
    print_head("method", "precision", "pairs/s", "seconds for a pair", "by DIS")
    for (name, precision), seconds in spent.items():
        each = seconds / len(methods[name, precision][1])
        rows.append({"method": name, "precision": precision, "seconds_per_pair": each})
        ratio = each / rows[0]["seconds_per_pair"]
        print_row(name, precision, f"{1 / each:.2f}", f"{each:.3f}", f"{ratio:.1f}")
    return rows


def video_costs(videos: list[Path], repeat: int) -> list[dict[str, Any]]:
    """CPU seconds of each part of a row."""
    stage = OpticalFlowStage(method="dis", split_camera=True)
    rows = []
    print("\nCPU seconds\n")
    print_head("video", "decode", "scale", "dis", "dis, split camera", "dis / decode")
    for video in videos:
        with leaving_out(video):
            frames = read_sampled(video, stage.sampling)
            images, times = {frame.index: frame.image for frame in frames}, frames.times
            clip = make_clip(images, times, stage.sampling)
            spent = medians_in_turn(
                {
                    "decode": partial(read_sampled, video, stage.sampling),
                    "scale": partial(make_clip, images, times, stage.sampling),
                    "dis": partial(score_clips, dis_flow, [clip]),
                    "split": partial(score_clips, dis_flow, [clip], split_camera=True),
                },
                repeat,
            )
            ratio = spent["dis"] / spent["decode"]
            print_row(video.name, *(f"{seconds:.2f}" for seconds in spent.values()), f"{ratio:.2f}")
            rows.append({"video": video.name, **spent})
    return rows


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--pairs", type=int, default=2, help="pairs that GMFlow is timed on (2)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each way runs (3)")
    args = parser.parse_args()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {usable_cores()} cores, {gpu}"
    print(f"{machine}, PyTorch {torch.__version__}\n")
    pairs: list[dict[str, Any]] = []
    for video in args.videos:
        with leaving_out(video):
            pairs = pair_speeds(video, args.pairs, args.repeat)
            break
    videos = video_costs(args.videos, args.repeat)
    finish(args.json, {"machine": machine, "pairs": pairs, "videos": videos})


if __name__ == "__main__":
    run(main)
