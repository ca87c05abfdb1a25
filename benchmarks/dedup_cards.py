"""Cards, slides, drawings, charts and screens that differ in a word or a figure: what is taken for a copy.

    python benchmarks/dedup_cards.py [--work DIR] [--groups 3] [--json FILE]

The groups of `tests/scoring/dedup/drawn.py`, 4 s each, and copies of the first two of each, made with the
ffmpeg program. Everything is compared with everything.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from dedup_copies import COPIES, encode
from measuring import finish, make_parser, print_head, print_row, run

from tests.scoring.dedup.drawn import SECONDS, groups
from tests.support import make_video
from tools.scoring.dedup.duplicates import mark_duplicates
from tools.scoring.dedup.stage import FINGERPRINT, FingerprintStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows

FPS = 12
KINDS = (
    "h264, crf 35",
    "h264, crf 45",
    "half the size",
    "a quarter of the size",
    "cropped, 5 % on each side",
    "bars above and below",
    "mirrored",
    "brighter, less contrast",
    "piece of 2.6 s",
    "mirrored piece, cropped 5 %",
)


def main() -> None:
    """Make the clips, and print what is found."""
    parser = make_parser(__doc__)
    parser.add_argument("--work", type=Path, help="where clips are made, and kept (a folder that is deleted)")
    parser.add_argument("--groups", type=int, help="only the first groups, which takes less time (all)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as deleted:
        work = args.work or Path(deleted)
        work.mkdir(parents=True, exist_ok=True)
        originals, copies = {}, {}  # path: what it shows; path: what it shows and the kind of copy
        for number, (group, members) in enumerate(list(groups().items())[: args.groups]):
            for place, (name, shown) in enumerate(members.items()):
                path = work / f"{number:02}-{place}.mp4"
                if not path.exists():
                    pictures = [np.ascontiguousarray(shown(i / FPS)) for i in range(int(SECONDS * FPS))]
                    make_video(path, pictures=pictures, fps=FPS, options={"crf": "23"})
                originals[str(path)] = f"{group}: {name}"
                for kind in KINDS if place < 2 else ():
                    copy = work / f"{path.stem}-copy{list(COPIES).index(kind):02}.mp4"
                    if encode(path, copy, COPIES[kind]):
                        copies[str(copy)] = f"{group}: {name}", kind
        paths = [*originals, *copies]
        rows = map_rows(FingerprintStage(), [{"path": path} for path in paths], RunOptions(progress=False))
        table = pl.DataFrame({"path": paths, FINGERPRINT: [row[FINGERPRINT] for row in rows]})
        kept = dict(mark_duplicates(table, keep=["first"]).select("path", "dup_of").iter_rows())
    shows = originals | {path: name for path, (name, _) in copies.items()}
    wrong = [
        f"{shows[path]} and {shows[one]}" for path, one in kept.items() if one and shows[path] != shows[one]
    ]
    print(f"{len(originals)} originals, {len(copies)} copies; taken for copies of others: {len(wrong)}")
    print("\n".join(wrong))
    print_head("copy", "found", "of")
    by_kind = {}
    for kind in KINDS:
        of_kind = [path for path, (_, one) in copies.items() if one == kind]
        found = sum(kept[path] is not None and shows[kept[path]] == shows[path] for path in of_kind)
        print_row(kind, found, len(of_kind))
        by_kind[kind] = [found, len(of_kind)]
    finish(args.json, {"originals": len(originals), "wrong": wrong, "kinds": by_kind})


if __name__ == "__main__":
    run(main)
