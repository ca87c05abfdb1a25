"""From files to scores: how many videos a GPU scores in a second, and how many cores feed it.

CLIP ViT-L/14 with random weights, and the real head. The videos you name are scored over and over, each time
under another name. What starting takes is taken off: the rate is that between a short run and a long one.

    python benchmarks/gpu_files.py VIDEO... --head FILE [--rows 3000] [--json FILE]
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measuring import finish, leave_out, make_parser, readable, run, run_child

from tests.models.openai_clip import Shape, random_state, save_state
from tools.media.reading.requests import read_sampled
from tools.media.workers.pool import usable_cores
from tools.models.clip_preprocess import clip_crop
from tools.scoring.clip_stage import FIRST_MIDDLE_LAST

SHAPE = {"image_size": 224, "patch": 14, "width": 1024, "layers": 24, "context": 77, "vocab": 49408}
"""ViT-L/14; the text tower has two small layers, it is not used."""


def openai_weights(path: Path) -> Path:
    state = random_state(Shape(**SHAPE))
    return save_state({name: tensor.half() for name, tensor in state.items()}, path)


def make_table(folder: Path, videos: list[Path], rows: int) -> Path:
    lines = ["path"]
    for number in range(rows):
        video = videos[number % len(videos)]
        link = folder / f"{number:06}{video.suffix}"
        if not link.exists():
            os.link(folder / f"original_{number % len(videos)}{video.suffix}", link)
        lines.append(str(link))
    table = folder / f"meta_{rows}.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def crops_of(path: str) -> int:
    """What a worker does for one video: the three frames, and CLIP's crops of them."""
    return sum(len(clip_crop(frame.image)) for frame in read_sampled(path, FIRST_MIDDLE_LAST))


def crops_rate(table: Path, workers: int) -> float:
    """Videos per second without network, table and ledger."""
    paths = table.read_text().split()[1:]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.map(crops_of, paths[: 4 * workers])
        start = time.perf_counter()
        pool.map(crops_of, paths, chunksize=4)
        return len(paths) / (time.perf_counter() - start)


def run_seconds(table: Path, workers: int, device: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "tools.scoring.aesthetic.inference", str(table)]
    command += ["--num_workers", str(workers), "--device", device, "--bs", "64"]
    output = table.with_name(f"{table.stem}_{workers}.csv")
    return run_child([*command, "--output", str(output)], **environment).wall


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--head", required=True, metavar="FILE", help="the aesthetic head")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="+", default=[usable_cores()])
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    if args.rows < 5:
        parser.error("--rows: 5 at least, since a fifth of them makes the short run")
    videos = readable(args.videos)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, video in enumerate(videos):
            (folder / f"original_{number}{video.suffix}").write_bytes(video.read_bytes())
        environment = {
            "VIDSIEVE_CLIP_VIT_L_14": str(openai_weights(folder / "clip.pt")),
            "VIDSIEVE_AESTHETIC": str(Path(args.head).resolve()),
        }
        few, many = (make_table(folder, videos, rows) for rows in (args.rows // 5, args.rows))
        for workers in args.workers:
            start, whole = (run_seconds(t, workers, args.device, environment) for t in (few, many))
            if whole <= start:
                leave_out(f"{workers} workers", f"{args.rows} rows take no longer than a fifth: more --rows")
                continue
            rate = (args.rows - args.rows // 5) / (whole - start)
            crops = crops_rate(few, workers)
            figures.append(
                {
                    "workers": workers,
                    "videos_per_second": rate,
                    "crops_alone_videos_per_second": crops,
                    "by_crops_alone": rate / crops,
                    "seconds": [start, whole],
                }
            )
            print(json.dumps(figures[-1]), flush=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    finish(args.json, figures and {"gpu": gpu, "files": figures})


if __name__ == "__main__":
    run(main)
