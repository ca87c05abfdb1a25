"""Duplicates among made fingerprints: seconds and memory as the table grows, recall, and false copies.

    python benchmarks/dedup.py [--clips 25000 50000 100000] [--pictures 10] [--same-scene 0.3] [--json FILE]

A made clip is a random scene: pictures of amplitude 1 / frequency that drift from one to the next, as real
ones do. One clip in a hundred is a planted copy of another: brighter, with noise as of a codec, mirrored,
cropped by up to 10 % on a side, or a piece of it. A part of the clips shares its background with a thousand
others (`--same-scene`), as clips of one fixed camera do, and moves otherwise. Each size runs in a process of
its own; the time is that of `mark_duplicates`, of a table with fingerprints. There is no peer; the ratio is
that of the CPU seconds of a clip to those at the first size.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
from measuring import finish, make_parser, peak_bytes, print_head, print_row, run, run_child

TALL, WIDE = 36, 64
SCENES_SHARE = 1000  # clips of one fixed camera


def random_pictures(rng: np.random.Generator, count: int) -> np.ndarray:
    """Pictures with a 1 / frequency spectrum: float32 (count, 36, 64), mean 0, standard deviation 1."""
    down, across = np.mgrid[0:12, 0:16]
    amplitude = 1 / np.maximum(np.hypot(down, across), 1)
    amplitude[0, 0] = 0
    waves = rng.standard_normal((count, 12, 16)) * amplitude
    rows = np.cos(np.pi * np.outer(np.arange(TALL) + 0.5, np.arange(12)) / TALL)
    columns = np.cos(np.pi * np.outer(np.arange(WIDE) + 0.5, np.arange(16)) / WIDE)
    pictures = (rows @ waves @ columns.T).astype(np.float32)
    return pictures / pictures.std(axis=(1, 2), keepdims=True)


def make_clip(rng: np.random.Generator, count: int, background: np.ndarray | None) -> np.ndarray:
    """Grey levels of a clip, float32 (count, 36, 64): a background, and something that moves before it."""
    moving = random_pictures(rng, 3)
    phase = np.linspace(0, rng.uniform(1, 3), count) + rng.uniform(0, 6, 1)
    steps = np.stack([np.sin(phase), np.cos(1.7 * phase), np.sin(2.3 * phase + 1)], axis=1)
    motion = np.tensordot(steps.astype(np.float32), moving, 1)
    if background is None:
        return 110 + 30 * random_pictures(rng, 1) + 20 * motion
    return 110 + 40 * background + 10 * motion


def make_copy(rng: np.random.Generator, clip: np.ndarray) -> tuple[np.ndarray, str]:
    """A copy of a clip, and of what kind it is."""
    kind = ("noise", "bright", "mirrored", "cropped", "piece")[rng.integers(5)]
    if kind == "bright":
        clip = 0.8 * clip + 30
    elif kind == "mirrored":
        clip = clip[:, :, ::-1]
    elif kind == "cropped":
        clip = crop(clip, *rng.uniform(0, 0.1, 2))
    elif kind == "piece":
        clip = clip[len(clip) // 5 : -(len(clip) // 5)]
    return clip + rng.normal(0, 1.5, clip.shape), kind


def crop(clip: np.ndarray, x: float, y: float) -> np.ndarray:
    """Cut x and y off on both sides, and scale to the old size, linearly."""
    for axis, part in ((1, y), (2, x)):
        size = clip.shape[axis]
        places = np.linspace(part * (size - 1), (1 - part) * (size - 1), size)
        low = np.minimum(places.astype(int), size - 2)
        shape = [1, 1, 1]
        shape[axis] = size
        far = (places - low).reshape(shape)
        clip = np.take(clip, low, axis) * (1 - far) + np.take(clip, low + 1, axis) * far
    return clip


def make_table(clips: int, pictures: int, same_scene: float) -> tuple[object, dict[str, tuple[str, str]]]:
    """A table with fingerprints, and the copies in it: path to the original's path and the kind."""
    import polars as pl

    rng = np.random.default_rng(0)
    scenes = random_pictures(rng, max(1, clips // SCENES_SHARE))
    cells, planted = [], {}
    copies = clips // 100
    wanted = set(rng.choice(clips - copies, copies, replace=False).tolist())
    waiting = []
    for row in range(clips - copies):
        background = scenes[rng.integers(len(scenes))] if rng.random() < same_scene else None
        clip = make_clip(rng, pictures, background)
        if row in wanted:
            copy, kind = make_copy(rng, clip)
            number = clips - copies + len(waiting)
            waiting.append((number, copy))
            planted[f"{number}.mp4"] = (f"{row}.mp4", kind)
        cells.append((row, text_of(clip, 1080)))
    cells += [(number, text_of(copy, 720)) for number, copy in waiting]
    frame = pl.DataFrame({"path": [f"{n}.mp4" for n, _ in cells], "fingerprint": [text for _, text in cells]})
    return frame, planted


def text_of(clip: np.ndarray, height: int) -> str:
    from tools.scoring.dedup.fingerprint import FileInfo, Fingerprint, encode

    halved = clip.reshape(len(clip), TALL // 2, 2, WIDE // 2, 2).mean(axis=(2, 4))
    pictures = np.rint(halved).clip(0, 255).astype(np.uint8)
    return encode(Fingerprint(FileInfo(height, height * 16 // 9, 15 * len(clip), True), pictures))


def measure(clips: int, pictures: int, same_scene: float) -> dict:
    from tools.scoring.dedup.duplicates import mark_duplicates

    table, planted = make_table(clips, pictures, same_scene)
    before = peak_bytes()
    started, cpu = time.perf_counter(), time.process_time()
    found = mark_duplicates(table)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = peak_bytes()
    kept_of = {path: kept for path, kept in found.select("path", "dup_of").iter_rows() if kept}
    kinds: dict[str, list[int]] = {}
    for path, (original, kind) in planted.items():
        hits = kinds.setdefault(kind, [0, 0])
        hits[0] += kept_of.get(path) == original
        hits[1] += 1
    false = sum(path not in planted or planted[path][0] != kept for path, kept in kept_of.items())
    return {
        "clips": clips,
        "pictures": clips * pictures,
        "seconds": round(seconds, 1),
        "cpu": round(cpu, 1),
        "peak_gib": round(peak / 2**30, 2),
        "table_gib": round(before / 2**30, 2),
        "false": false,
        "found": {kind: f"{hits}/{all}" for kind, (hits, all) in sorted(kinds.items())},
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[25_000, 50_000, 100_000])
    parser.add_argument("--pictures", type=int, default=10)
    parser.add_argument("--same-scene", type=float, default=0.3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        print(json.dumps(measure(args.clips[0], args.pictures, args.same_scene)))
        return
    rows: list[dict] = []
    print_head("clips", "hashes", "s", "CPU s", "GiB", "planted copies found", "wrong", "CPU s a clip, ratio")
    for clips in args.clips:
        options = ["--clips", clips, "--pictures", args.pictures, "--same-scene", args.same_scene]
        row = json.loads(run_child([sys.executable, __file__, "--here", *map(str, options)]).output)
        rows.append(row)
        hits, planted = (sum(int(cell.split("/")[n]) for cell in row["found"].values()) for n in (0, 1))
        cells = [row[name] for name in ("clips", "pictures", "seconds", "cpu", "peak_gib")]
        ratio = row["cpu"] / row["clips"] * rows[0]["clips"] / max(rows[0]["cpu"], 0.1)
        print_row(*cells, f"{hits} of {planted}", row["false"], f"{ratio:.2f}")
    finish(args.json, rows)


if __name__ == "__main__":
    run(main)
