"""CPU seconds that each step of the whole chain takes for a clip: what a core does, and what a fleet needs.

The videos you name go through probing, shot detection, cutting and scoring, each step as its command with one
worker process. CPU time of all processes is counted, also what starting takes; name enough video that it does
not matter. Aesthetic scores and embeddings have random weights, which do not change the time.

    python benchmarks/chain.py VIDEO... [--head FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parent.parent


class Chain:
    """Steps in one folder, with the CPU seconds of each."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self._environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}

    def run(self, name: str, module: str, *arguments: str, output: str) -> None:
        """One command; its output is a table of the folder."""
        command = [sys.executable, "-m", f"tools.{module}", *arguments]
        command += ["--output", output]
        if module not in ("datasets.convert", "datasets.datautil"):
            command += ["--num-workers", "1", "--quiet"]
        before = _cpu()
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        self.seconds[name] = _cpu() - before

    def table(self, name: str) -> pl.DataFrame:
        """A table of the folder."""
        return pl.read_csv(self.folder / name, infer_schema_length=None)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_chain(videos: list[Path], folder: Path, environment: dict[str, str], *, clip_model: bool) -> Chain:
    """All steps, on the videos named."""
    chain = Chain(folder, environment)
    (folder / "raw").mkdir()
    for video in videos:
        (folder / "raw" / video.name).symlink_to(video.resolve())
    chain.run("list", "datasets.convert", "video", "raw", output="raw.csv")
    chain.run("probe the videos", "datasets.datautil", "raw.csv", "--info", "--fmin", "1", output="info.csv")
    chain.run("find shots", "scene_cut.scene_detect", "info.csv", output="shots.csv")
    clips = ("--save_dir", "clips")
    chain.run("cut (H.264, CRF 18)", "scene_cut.cut", "shots.csv", *clips, output="cut.csv")
    chain.run("list the clips", "datasets.convert", "video", "clips", output="clips.csv")
    chain.run("probe the clips", "datasets.datautil", "clips.csv", "--info", "--fmin", "1", output="meta.csv")
    flow = "scoring.optical_flow.inference"
    chain.run("motion (DIS flow)", flow, "meta.csv", "--method", "dis", output="flow.csv")
    chain.run("technical measures", "scoring.technical.inference", "meta.csv", output="technical.csv")
    chain.run("on-screen text", "scoring.ocr.inference", "meta.csv", output="ocr.csv")
    chain.run("copies", "scoring.dedup.inference", "meta.csv", output="dedup.csv")
    if clip_model:
        aes = "scoring.aesthetic.inference"
        chain.run("aesthetics (ViT-L/14, 3 frames)", aes, "meta.csv", "--device", "cpu", output="aes.csv")
    return chain


def main() -> None:
    """Run, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--head", help="the aesthetic head; without it no aesthetic scores")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # the weights are made by tests/
    with tempfile.TemporaryDirectory() as name:
        environment = {}
        if args.head:
            from benchmarks.gpu_files import openai_weights

            environment["VIDSIEVE_CLIP_VIT_L_14"] = str(openai_weights(Path(name) / "clip.pt"))
            environment["VIDSIEVE_AESTHETIC"] = str(Path(args.head).resolve())
        chain = run_chain(args.videos, Path(name), environment, clip_model=bool(args.head))
        raw, clips = chain.table("info.csv"), chain.table("meta.csv")
    hours = float((raw["num_frames"] / raw["fps"]).sum()) / 3600
    cut_hours = float((clips["num_frames"] / clips["fps"]).sum()) / 3600
    figures = {
        "videos": raw.height,
        "hours": hours,
        "clips": clips.height,
        "clip_hours": cut_hours,
        "cpu_seconds": chain.seconds,
        "clips_per_second_and_core": clips.height / sum(chain.seconds.values()),
        "hours_per_core_hour": hours * 3600 / sum(chain.seconds.values()),
    }
    print(f"{raw.height} videos, {hours:.3f} h; {clips.height} clips, {cut_hours:.3f} h\n")
    print("| step | CPU s a clip | CPU s a minute of video |\n|---|---|---|")
    for step, seconds in {**chain.seconds, "all": sum(chain.seconds.values())}.items():
        print(f"| {step} | {seconds / clips.height:.3f} | {seconds / (hours * 60):.2f} |")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
