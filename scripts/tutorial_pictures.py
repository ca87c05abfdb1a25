#!/usr/bin/env python3
"""Make the pictures of docs/tutorial.md from the tables and clips that its commands write.

Usage, in the folder in which the commands of the tutorial were typed::

    python ../scripts/tutorial_pictures.py [OUTPUT_DIR]

Without OUTPUT_DIR they are written to docs/pictures. tests/test_tutorial.py makes them again and compares.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import vidsieve

ROOT = Path(__file__).resolve().parents[1]
SCORED = "meta_clips_flow_technical"
TILE = (212, 90)
"""Width and height of a frame, which is scaled to fit."""
GAP, LINE = 8, 17
"""Pixels between tiles, and from one line of text to the next."""
KEPT, REMOVED, PLAIN = (46, 125, 50), (198, 40, 40), (189, 189, 189)
"""Colours of borders."""

Tile = tuple[Image.Image, list[str], tuple[int, int, int]]
"""A frame, the lines of text below it, and the colour of its border."""


def rows_of(table: str) -> list[dict[str, str]]:
    """The rows of a CSV in the current folder."""
    with Path(table).open(newline="") as file:
        return list(csv.DictReader(file))


def frame_of(path: str, number: int) -> Image.Image:
    """A frame on a tile of `TILE`, its shape kept."""
    (frame,) = vidsieve.read_frames(path, [number])
    picture = Image.fromarray(frame.image)
    picture.thumbnail(TILE, Image.Resampling.LANCZOS)
    tile = Image.new("RGB", TILE, "white")
    tile.paste(picture, ((TILE[0] - picture.width) // 2, (TILE[1] - picture.height) // 2))
    return tile


def sheet(tiles: list[Tile], columns: int) -> Image.Image:
    """Tiles in rows of `columns`, each with its text below."""
    font = ImageFont.load_default(size=13)
    lines = max(len(text) for _, text, _ in tiles)
    width, height = TILE[0] + GAP, TILE[1] + GAP + LINE * lines
    made = Image.new("RGB", (columns * width + GAP, -(-len(tiles) // columns) * height + GAP), "white")
    draw = ImageDraw.Draw(made)
    for number, (picture, text, colour) in enumerate(tiles):
        left, top = GAP + number % columns * width, GAP + number // columns * height
        made.paste(picture, (left, top))
        draw.rectangle((left - 2, top - 2, left + TILE[0] + 1, top + TILE[1] + 1), outline=colour, width=3)
        for row, line in enumerate(text):
            draw.text((left, top + TILE[1] + 2 + row * LINE), line, fill="black", font=font)
    return made


def shots() -> Image.Image:
    """The first and the last frame of each shot of bikes.mp4."""
    (row,) = (row for row in rows_of("meta_info_fmin1_timestamp.csv") if "bikes" in row["path"])
    clips = [clip for clip in rows_of("meta_clips.csv") if "bikes" in clip["path"]]
    scenes = json.loads(row["timestamp"])
    tiles: list[Tile] = []
    for number, ((start, end), clip) in enumerate(zip(scenes, clips, strict=True)):
        first, last = int(clip["start_frame"]), int(clip["end_frame"]) - 1
        for name, frame, time in (("first", first, start), ("last", last, end)):
            edge = "starts" if frame == first else "ends"
            text = [f"shot {number}, {name} frame: {frame}", f"{edge} at {time}"]
            tiles.append((frame_of(row["path"], frame), text, PLAIN))
    return sheet(tiles, 4)


def scores() -> Image.Image:
    """The middle frame of each clip with its scores, from the least to the most sharpness."""
    rows = sorted(rows_of(f"{SCORED}.csv"), key=lambda row: float(row["sharpness"]))
    return sheet([clip_tile(row, score_lines(row), PLAIN) for row in rows], 4)


def kept() -> Image.Image:
    """The clips that the filter of the tutorial kept, then those that it removed and why."""
    kept, removed = rows_of(f"{SCORED}_durationmin1_sharpnessmin15.csv"), rows_of("removed.csv")
    tiles = [clip_tile(row, [size_of(row), "kept"], KEPT) for row in kept]
    reasons = [[size_of(row), f"removed by {row['rejected_by']}"] for row in removed]
    tiles += [clip_tile(row, why, REMOVED) for row, why in zip(removed, reasons, strict=True)]
    return sheet(tiles, 4)


def clip_tile(row: dict[str, str], text: list[str], colour: tuple[int, int, int]) -> Tile:
    """The middle frame of a clip, with the name of its file above the text."""
    middle = frame_of(row["path"], int(row["num_frames"]) // 2)
    return middle, [Path(row["path"]).name, *text], colour


def score_lines(row: dict[str, str]) -> list[str]:
    """The text below a clip in `scores`."""
    motion = f"{float(row['motion']):.2f}" if row["motion"] else "empty"
    return [f"sharpness {float(row['sharpness']):.0f}, motion {motion}"]


def size_of(row: dict[str, str]) -> str:
    """What the filter of the tutorial looks at."""
    return f"{float(row['duration']):.2f} s, sharpness {float(row['sharpness']):.0f}"


def histogram(column: str) -> bytes:
    """The plot that `analyze --save-img` draws of a column, as PNG."""
    from tools.datasets.analyze import analyze
    from tools.report.summary.plots import draw_plots

    (summary,) = analyze([f"{SCORED}.csv"]).kinds.values()
    only = dataclasses.replace(
        summary, numbers={column: summary.numbers[column]}, text=None, labels={}, sizes=[]
    )
    ((_, png),) = draw_plots(only, "video")
    return png


SHEETS = {"tutorial_shots.webp": shots, "tutorial_scores.webp": scores, "tutorial_kept.webp": kept}
"""Pictures that are made with Pillow; besides them there is the plot ``tutorial_motion.png``."""


def make_pictures(output: Path) -> Iterator[Path]:
    """Write all pictures."""
    output.mkdir(parents=True, exist_ok=True)
    for name, make in SHEETS.items():
        make().save(output / name, quality=75, method=6)
        yield output / name
    (output / "tutorial_motion.png").write_bytes(histogram("motion"))
    yield output / "tutorial_motion.png"


if __name__ == "__main__":
    for path in make_pictures(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "pictures"):
        print(f"{path}: {path.stat().st_size / 1000:.1f} kB")
