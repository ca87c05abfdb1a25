"""Clips with known answers, made of real footage: what each technical measure finds, and what it only claims.

    python benchmarks/technical_truth.py DATA [--groups rates,logo] [--limit 200] [--work DIR] [--json FILE]

DATA holds the folders `videos` and `clip_preprocess` of the test data: the answers are known for its clips
alone (`technical_clips.py` has their names). Pieces of them are cut without loss, changed with the ffmpeg
program (frames doubled, logos and bars laid over, fields woven, pictures enlarged), and encoded as h264.
Thresholds were chosen on the clips of `TUNED`; the others are counted apart.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import finish, make_parser, print_head, print_row, run
from technical_clips import (
    GROUPS,
    TUNED,
    Variant,
    make,
    make_sources,
)

from tools.errors import MediaError
from tools.scoring.technical.stage import TechnicalStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows

MEASURES = {"rates": "true_fps"}
"""Column of a group, where it has not the name of the group."""
THRESHOLDS = {"logo": 0.5, "interlaced": 0.3, "upscaled": 1.45}


def is_right(variant: Variant, row: dict[str, Any]) -> bool:
    """Whether the cells of a clip say what is true of it."""
    value = row[MEASURES.get(variant.group, variant.group)]
    if variant.group == "rates":
        return abs(value / variant.truth - 1) <= 0.05
    if variant.group == "black_bars":
        if variant.truth is None:
            return value == 0
        width, height, x, y = map(int, row["crop"].split(":"))
        left, top, w, h = variant.truth
        edges = zip((x, y, x + width, y + height), (left, top, left + w, top + h), strict=True)
        return max(abs(a - b) for a, b in edges) <= 4
    alarm = value is not None and value >= THRESHOLDS[variant.group]
    return alarm == (variant.truth is not None)


def report(variants: Sequence[Variant], found: Sequence[dict[str, Any]], list_wrong: bool) -> dict:
    """Print, and give, how many clips of each kind are judged rightly."""
    counts: dict[tuple[str, str, bool], list[int]] = {}
    wrong = []
    for variant, row in zip(variants, found, strict=True):
        clean = variant.truth is None or (variant.group == "rates" and " in " not in variant.kind)
        key = variant.group, "clean" if clean else "changed", variant.source.removeprefix("pan_") in TUNED
        right = is_right(variant, row)
        count = counts.setdefault(key, [0, 0])
        count[0] += right
        count[1] += 1
        if not right:
            wrong.append(f"{variant.group}: {variant.source}, {variant.kind}: {row}, not {variant.truth}")
    print_head("group", "clips", "tuned on", "others")
    for group, kind in dict.fromkeys(key[:2] for key in counts):
        cells = ["{} of {}".format(*counts.get((group, kind, tuned), (0, 0))) for tuned in (True, False)]
        print_row(group, kind, *cells)
    if list_wrong:
        print("\n".join(wrong))
    return {
        f"{group}, {kind}, {'tuned on' if tuned else 'others'}": n
        for (group, kind, tuned), n in counts.items()
    }


def main() -> None:
    """Make the clips, measure them, and print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--groups", default=",".join(GROUPS), help="of clips, joined by commas (all)")
    parser.add_argument(
        "--limit", type=int, help="clips of each group, drawn by chance but always the same (all)"
    )
    parser.add_argument("--work", type=Path, help="where clips are made, and kept (a folder that is deleted)")
    parser.add_argument("--list-wrong", action="store_true", help="print each clip that is judged wrongly")
    args = parser.parse_args()
    if unknown := set(args.groups.split(",")) - GROUPS.keys():
        parser.error(f"--groups: {', '.join(sorted(unknown))} is none of {', '.join(GROUPS)}")
    with tempfile.TemporaryDirectory() as deleted:
        work = args.work or Path(deleted)
        sources = make_sources(args.data, work / "sources")
        variants = []
        for group in args.groups.split(","):
            made = list(GROUPS[group]())
            random.Random(5).shuffle(made)
            variants += made[: args.limit]
        paths = [make(variant, sources, work / variant.group) for variant in variants]
        found: list[dict[str, Any]] = []
        for group in dict.fromkeys(variant.group for variant in variants):
            stage = TechnicalStage(measures=(MEASURES.get(group, group),))
            rows = [
                {"path": str(path)}
                for variant, path in zip(variants, paths, strict=True)
                if variant.group == group
            ]
            for row in map_rows(stage, rows, RunOptions(progress=False)):
                if isinstance(row, MediaError):
                    raise row
                found.append(row)
        finish(args.json, report(variants, found, args.list_wrong))


if __name__ == "__main__":
    run(main)
