"""Pairs per second of the flow methods on the 320 x 576 grid, and what a video costs.

GMFlow has random weights: its speed does not depend on them. On a CPU it takes seconds for each pair; --pairs
says how many are timed.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch

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


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of all cores together (which other work on the machine does not change)."""
    clock, cores = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - cores


def pair_speeds(video: str, count: int) -> None:
    chosen = read_sampled(video, parse_sampling("uniform_mid", count + 1))
    pairs = list(pairwise(averaged_picture(f.image) for f in chosen))
    print("| method | precision | pairs/s | CPU seconds for a pair |\n|---|---|---|---|")

    def line(name: str, precision: str, estimate: Estimate, some: list[Pair]) -> None:
        clock, cores = seconds(lambda: estimate(some))
        print(f"| {name} | {precision} | {len(some) / clock:.2f} | {cores / len(some):.3f} |", flush=True)

    many = pairs * (1 + 60 // len(pairs))
    dis_flow(many[:1])  # warm
    line("dis, one core", "-", dis_flow, many)
    model, device = random_gmflow(), resolve_device("auto")
    fast = ["bf16", "fp16"] if device != "cpu" else ["bf16"] if cpu_multiplies_bf16() else []
    for precision in ("fp32", *fast):
        estimate = GMFlowEstimator(
            model.to(device), device=device, precision=precision, threads=usable_cores()
        )
        if device != "cpu":
            estimate(pairs[:1])  # warm
        line(f"gmflow, {device}", precision, estimate, pairs if device == "cpu" else many)


def video_costs(videos: list[str]) -> None:
    stage = OpticalFlowStage(method="dis", split_camera=True)
    print("\nCPU seconds\n\n| video | decode | scale | dis | dis, split camera |\n|---|---|---|---|---|")
    for video in videos:
        found, clips = [], []
        decode = seconds(lambda v=video, f=found: f.append(read_sampled(v, stage.sampling)))[1]
        images = {frame.index: frame.image for frame in found[0]}
        times = found[0].times
        scale = seconds(lambda i=images, t=times, c=clips: c.append(make_clip(i, t, stage.sampling)))[1]
        plain = seconds(lambda c=clips: score_clips(dis_flow, c))[1]
        split = seconds(lambda c=clips: score_clips(dis_flow, c, split_camera=True))[1]
        print(f"| {Path(video).name} | {decode:.2f} | {scale:.2f} | {plain:.2f} | {split:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--pairs", type=int, default=4, help="pairs that GMFlow is timed on (4)")
    args = parser.parse_args()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {usable_cores()} cores, {gpu}"
    print(f"{machine}, PyTorch {torch.__version__}\n")
    pair_speeds(args.videos[0], args.pairs)
    video_costs(args.videos)


if __name__ == "__main__":
    main()
