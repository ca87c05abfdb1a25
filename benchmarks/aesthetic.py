"""Aesthetic score: pictures per second, and what each precision changes.

CLIP ViT-L/14 with random weights (speed does not depend on them) and the real head, on frames of your videos:

    python benchmarks/aesthetic.py VIDEO... [--images 16] [--repeat 3] [--head FILE] [--json FILE]
    python benchmarks/aesthetic.py VIDEO... --precisions [--images 24] [--head FILE] [--json FILE]

Compared are the loop that one writes with transformers (fp32; one picture at a time, and batches of 8) and
`AestheticScorer` with each backend, in turn. On a CPU pictures are counted by the second of CPU time, the
median of --repeat turns; `times` is the speed by that of the first. All times include the preprocessing. A
precision for which the machine has no instructions is not timed; --precisions computes its matrix products in
fp32 and rounds their results, which is what matrix units do.
"""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import finish, leaving_out, make_parser, medians_in_turn, print_head, print_row, run
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import CLIPConfig, CLIPModel

from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling
from tools.media.workers.pool import usable_cores
from tools.models.aesthetic_head import load_head
from tools.models.clip import CLIPEncoder
from tools.models.clip_openvino import choose_clip_backend, clip_backend_version
from tools.models.clip_preprocess import clip_preprocess
from tools.models.device import cpu_multiplies_bf16, resolve_device
from tools.models.strict import for_inference
from tools.models.weights import find_weights
from tools.scoring.aesthetic.scorer import AestheticScorer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class FloatProducts(TorchDispatchMode):
    """Computes half-precision matrix products in fp32 and rounds the result, as matrix units do."""

    PRODUCTS = ("addmm", "mm", "bmm", "convolution", "scaled_dot_product", "linear")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:  # called by PyTorch for each operation
        if not any(name in str(func) for name in self.PRODUCTS):
            return func(*args, **(kwargs or {}))
        halves = [a.dtype for a in args if isinstance(a, torch.Tensor) and a.dtype.itemsize == 2]
        if not halves:
            return func(*args, **(kwargs or {}))
        wide = [a.float() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
        out = func(*wide, **(kwargs or {}))
        if isinstance(out, tuple):
            return tuple(
                o.to(halves[0]) if isinstance(o, torch.Tensor) and i == 0 else o for i, o in enumerate(out)
            )
        return out.to(halves[0])


def random_vit_l_14() -> CLIPModel:
    torch.manual_seed(0)
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
    }
    text = {"num_hidden_layers": 1}
    return CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=768)).eval()


def pictures(videos: list[str], count: int) -> list[np.ndarray]:
    """``count`` frames, spread over the videos."""
    sampling = parse_sampling("uniform_mid", -(-count // len(videos)))
    found = []
    for video in videos:
        with leaving_out(video):
            found += [frame.image for frame in read_sampled(video, sampling)]
    if not found:
        raise UserError("no video can be read")
    return found[:count]


def plain_loop(model: CLIPModel, head: Callable, images: list[np.ndarray], batch: int) -> np.ndarray:
    """What one writes with transformers and the head."""
    scores = []
    for start in range(0, len(images), batch):
        pixels = torch.stack([clip_preprocess(image) for image in images[start : start + batch]])
        with torch.inference_mode():
            pixels = pixels.to(model.device, model.dtype)
            features = model.get_image_features(pixel_values=pixels).pooler_output.float()
        scores.append(head(torch.nn.functional.normalize(features, dim=1).cpu().numpy()))
    return np.concatenate(scores)


def ways(head_file: Path, device: str) -> dict[tuple[str, str], Callable[[list[np.ndarray]], np.ndarray]]:
    """Functions from pictures to scores, by what they are and their precision."""
    exact, head = random_vit_l_14().to(device), load_head(head_file)
    found: dict[tuple[str, str], Callable[[list[np.ndarray]], np.ndarray]] = {
        (f"transformers loop, batch {batch}", "fp32"): partial(plain_loop, exact, head, batch=batch)
        for batch in (1, 8)
    }
    fast = ["fp16", "bf16"] if device != "cpu" else ["bf16"] if cpu_multiplies_bf16() else []
    for precision in ("fp32", *fast):
        model = copy.deepcopy(exact).to(DTYPES[precision])
        auto = choose_clip_backend("auto", device, precision)
        for backend in dict.fromkeys(("pytorch", auto)):
            clip = CLIPEncoder(
                for_inference(model, device),
                digest="random weights",
                device=device,
                precision=precision,
                threads=1,
                backend=backend,
            )
            name = f"AestheticScorer, {clip_backend_version(backend)}"
            found[name, precision] = AestheticScorer(clip, head_file).score
    return found


def speed(images: list[np.ndarray], head_file: Path, repeat: int) -> list[dict[str, Any]]:
    """Pictures per second of each way, and by how much its scores differ from those of the first."""
    device = resolve_device("auto")
    clock = time.process_time if device == "cpu" else time.perf_counter
    functions = ways(head_file, device)
    scores: dict[tuple[str, str], np.ndarray] = {}

    def keep(way: tuple[str, str]) -> None:
        scores[way] = functions[way](images)

    seconds = medians_in_turn({way: partial(keep, way) for way in functions}, repeat, clock)
    first = next(iter(functions))
    rows = []
    print_head("what", "precision", "pictures/s", "times", "largest change of aes")
    for (what, precision), taken in seconds.items():
        change = float(np.abs(scores[what, precision] - scores[first]).max())
        each, times = len(images) / taken, seconds[first] / taken
        print_row(what, precision, f"{each:.2f}", f"{times:.2f}", f"{change:.6f}")
        rows.append(
            {"what": what, "precision": precision, "pictures_per_s": each, "times": times, "change": change}
        )
    return rows


def precisions(images: list[np.ndarray], head_file: Path) -> list[dict[str, Any]]:
    """By how much the scores of each precision differ from those in fp32."""
    head, exact = load_head(head_file), None
    rows = []
    print_head("precision", "largest change of aes", "mean change", "scores")
    for precision, dtype in DTYPES.items():
        with FloatProducts():
            scores = plain_loop(random_vit_l_14().to(dtype), head, images, 1)
        exact = scores if exact is None else exact
        change = np.abs(scores - exact)
        spread = f"{scores.min():.4f} to {scores.max():.4f}"
        print_row(precision, f"{change.max():.5f}", f"{change.mean():.5f}", spread)
        rows.append({"precision": precision, "largest": float(change.max()), "mean": float(change.mean())})
    return rows


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--head", metavar="FILE", help="the aesthetic head; by default the one that the command finds"
    )
    parser.add_argument("--precisions", action="store_true")
    args = parser.parse_args()
    head_file = find_weights("aesthetic", args.head).path
    images = pictures(args.videos, args.images)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {usable_cores()} cores, {gpu}"
    print(f"{machine}, PyTorch {torch.__version__}, {len(images)} pictures\n")
    rows = precisions(images, head_file) if args.precisions else speed(images, head_file, args.repeat)
    finish(args.json, {"machine": machine, "rows": rows})


if __name__ == "__main__":
    run(main)
