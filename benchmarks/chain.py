"""CPU seconds that each step of the whole chain takes for a clip: what a core does, and what a fleet needs.

The videos you name go through probing, shot detection, cutting and scoring, each step as its command with
one worker process. CPU time of all processes is counted. What starting takes is taken off: the chain runs
once with each video, and once with each under several names. Aesthetic scores have random weights, which do
not change the time.

    python benchmarks/chain.py VIDEO... [--head FILE] [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl
from measuring import finish, make_parser, print_head, print_row, readable, run, run_child

NETWORK = "find shots: TransNetV2"
"""The step that is measured beside the other detector; nothing later reads its table."""


class Chain:
    """Steps in one folder, with the CPU seconds of each."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self._environment = environment

    def run(self, name: str, module: str, *arguments: str, output: str) -> None:
        """One command; its output is a table of the folder."""
        command = [sys.executable, "-m", f"tools.{module}", *arguments]
        command += ["--output", output]
        if module not in ("datasets.convert", "datasets.datautil"):
            command += ["--num-workers", "1", "--quiet"]
        self.seconds[name] = run_child(command, folder=self.folder, **self._environment).cpu

    def table(self, name: str) -> pl.DataFrame:
        """A table of the folder."""
        return pl.read_csv(self.folder / name, infer_schema_length=None)


def run_chain(
    videos: list[Path], folder: Path, environment: dict[str, str], *, times: int, clip_model: bool
) -> Chain:
    """All steps, on the videos named, each so many times."""
    chain = Chain(folder, environment)
    (folder / "raw").mkdir(parents=True)
    for number, video in enumerate(videos):  # two may have the same name
        for time in range(times):
            (folder / "raw" / f"{time}_{number}_{video.name}").symlink_to(video.resolve())
    chain.run("list", "datasets.convert", "video", "raw", output="raw.csv")
    chain.run("probe the videos", "datasets.datautil", "raw.csv", "--info", "--fmin", "1", output="info.csv")
    detect, longest = "scene_cut.scene_detect", ("--max-seconds", "10")
    chain.run(
        "find shots: adaptive", detect, "info.csv", "--detector", "adaptive", *longest, output="shots.csv"
    )
    network = ("--detector", "transnetv2", "--device", "cpu")
    chain.run(NETWORK, detect, "info.csv", *network, *longest, output="network.csv")
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
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--head", help="the aesthetic head; without it no aesthetic scores")
    parser.add_argument("--repeat", type=int, default=3, help="names of each video in the longer run (3)")
    args = parser.parse_args()
    if args.repeat < 2:
        parser.error("--repeat: 2 at least, since the first name of each video pays for the start")
    videos = readable(args.videos)
    with tempfile.TemporaryDirectory() as name:
        environment = {}
        if args.head:
            from gpu_files import openai_weights

            environment["VIDSIEVE_CLIP_VIT_L_14"] = str(openai_weights(Path(name) / "clip.pt"))
            environment["VIDSIEVE_AESTHETIC"] = str(Path(args.head).resolve())
        short, long = (
            run_chain(videos, Path(name) / str(times), environment, times=times, clip_model=bool(args.head))
            for times in (1, args.repeat)
        )
        clips = short.table("meta.csv")
    extra = args.repeat - 1
    seconds = {step: max(0.0, long.seconds[step] - short.seconds[step]) / extra for step in short.seconds}
    minutes = float((clips["num_frames"] / clips["fps"]).sum()) / 60
    once = sum(spent for step, spent in seconds.items() if step != NETWORK)
    figures = {
        "clips": clips.height,
        "minutes": minutes,
        "cpu_seconds": seconds,
        "start_cpu_seconds": {step: short.seconds[step] - spent for step, spent in seconds.items()},
        "clips_per_second_and_core": clips.height / once,
        "hours_of_video_per_core_hour": minutes * 60 / once,
    }
    print(f"{clips.height} clips, {minutes:.2f} minutes of video\n")
    print_head("step", "CPU s a clip", "CPU s a minute of video", "share")
    for step, spent in {**seconds, "all, shots by adaptive": once}.items():
        print_row(step, f"{spent / clips.height:.3f}", f"{spent / minutes:.2f}", f"{spent / once:.0%}")
    finish(args.json, figures)


if __name__ == "__main__":
    run(main)
