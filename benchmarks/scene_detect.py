"""Accuracy and cost of the shot detectors; prints the tables of docs/scene_detection.md.

Usage: python benchmarks/scene_detect.py FOLDER [--costs] [--json FILE]

FOLDER holds videos and a manifest.json with their labelled cuts ("hard": first frames of new shots,
"gradual": first and last frame of dissolves and fades).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

# One thread, as in a worker: threads that wait for work would count, too.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"))

from tools.media.reading.decoders.pyav import iter_video_frames
from tools.media.reading.probe import index_packets
from tools.scene_cut.shots.options import DETECTORS
from tools.scene_cut.shots.scenes import detect_scenes

TOLERANCE = 1  # frames by which a hard cut may be off
AROUND = 5  # frames before and behind a dissolve in which its cut may lie
REPEATS = 3
COST_FILES = ["skv_bikes.mp4", "sam2_bedroom.mp4", "psd_testvideo.mp4", "gradio_a.mp4", "sam2_02_cups.mp4"]


def our_cuts(path: Path, detector: str) -> list[int]:
    return [scene.start_frame for scene in detect_scenes(path, detector)][1:]


def our_times(path: Path, detector: str) -> list[float]:
    return [round(float(scene.start), 3) for scene in detect_scenes(path, detector)][1:]


def their_times(path: Path, detector: str) -> list[float] | None:
    """Cuts in seconds by PySceneDetect's own `detect`, with OpenCV; None where OpenCV reads no frame.

    Seconds, because its frame numbers are computed from the average rate, and off where that varies.
    """
    from scenedetect import detect, detectors

    made = {
        "adaptive": detectors.AdaptiveDetector,
        "content": detectors.ContentDetector,
        "threshold": detectors.ThresholdDetector,
        "hash": detectors.HashDetector,
        "histogram": detectors.HistogramDetector,
    }[detector]()
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stderr(nothing):
        scenes = detect(str(path), made, start_in_scene=True)
    if not scenes or scenes[-1][1].frame_num <= 1:
        return None
    return [int(start.seconds * 1000 + 0.001) / 1000 for start, _ in scenes][1:]


def accuracy(folder: Path, labelled: list[dict]) -> list[dict]:
    rows = []
    print("| detector | precision | recall | F1 | dissolves and fades found |\n|---|---|---|---|---|")
    for detector in DETECTORS:
        right = wrong = missed = gradual_found = gradual_all = 0
        for video in labelled:
            cuts = our_cuts(folder / video["file"], detector)
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
        print(
            f"| {detector} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {gradual_found} of {gradual_all} |"
        )
        rows.append({"detector": detector, "precision": precision, "recall": recall, "f1": f1})
        rows[-1] |= {"gradual_found": gradual_found, "gradual": gradual_all}
    return rows


def agreement(folder: Path, names: list[str]) -> dict:
    detectors = [detector for detector in DETECTORS if detector not in ("transnetv2", "fast")]
    print("\n| file | detector | PySceneDetect's detect(), seconds | here |\n|---|---|---|---|")
    same = 0
    for name in names:
        for detector in detectors:
            ours, theirs = our_times(folder / name, detector), their_times(folder / name, detector)
            equal = _same_times(ours, theirs)
            same += equal
            if not equal:
                told = "reads no frame" if theirs is None else theirs
                print(f"| {name} | {detector} | {told} | {ours} |")
    print(f"\n{same} of {len(names) * len(detectors)} cut lists are the same.")
    return {"same": same, "of": len(names) * len(detectors)}


def _same_times(ours: list[float], theirs: list[float] | None) -> bool:
    """Equal within the millisecond to which times are rounded, on either side."""
    if theirs is None or len(ours) != len(theirs):
        return False
    return all(abs(a - b) < 0.002 for a, b in zip(ours, theirs, strict=True))


def costs(folder: Path, names: list[str]) -> list[dict]:
    """CPU seconds of the whole process by those of a plain decode, all in turn."""
    runs: dict[str, Callable[[Path], object]] = {
        "plain decode": lambda path: deque(iter_video_frames(path, index=index_packets(path)), 0),
        "adaptive": lambda path: our_cuts(path, "adaptive"),
        "detect()": lambda path: their_times(path, "adaptive"),
        "fast": lambda path: our_cuts(path, "fast"),
        "hash": lambda path: our_cuts(path, "hash"),
    }
    for run in runs.values():  # imports and networks
        run(folder / names[0])
    print(
        f"| file | plain decode, CPU s | {' | '.join(list(runs)[1:])} |\n|---|---|{'---|' * (len(runs) - 1)}"
    )
    rows = []
    for name in names:
        seconds: dict[str, list[float]] = {what: [] for what in runs}
        for _ in range(REPEATS):
            for what, run in runs.items():
                start = time.process_time()
                run(folder / name)
                seconds[what].append(time.process_time() - start)
        found = {what: sorted(values)[REPEATS // 2] for what, values in seconds.items()}
        plain = found.pop("plain decode")
        print(f"| {name} | {plain:.2f} | {' | '.join(f'{s / plain:.2f} x' for s in found.values())} |")
        rows.append({"file": name, "plain_decode": plain, **found})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--costs", action="store_true", help="measure CPU time instead of accuracy")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    videos = [v for v in json.loads((args.folder / "manifest.json").read_text()) if v["frames"]]
    names = [video["file"] for video in videos]
    if args.costs:
        figures = {"costs": costs(args.folder, [name for name in COST_FILES if name in names] or names)}
    else:
        labelled = [v for v in videos if v["shots"] and "hard" in v["shots"]]
        figures = {"accuracy": accuracy(args.folder, labelled), "agreement": agreement(args.folder, names)}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
