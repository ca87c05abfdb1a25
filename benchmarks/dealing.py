"""How long workers are idle at the end of a run over a skewed table, and how good its estimate is.

    python benchmarks/dealing.py [--rows 2000] [--seconds 40] [--ranks 4] [--workers 2] [--json FILE]

Each row sleeps in proportion to its frames, times a random factor, so the figures do not depend on the
machine. Its workers write down when each row began and ended. Idle time: of all workers together, the part of
the time from the first row of their rank to the end of the longest rank. The peer is the same table dealt out
row by row in turn, and in its own order, with a list of workers each of which takes the next row.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import finish, make_parser, run, run_children

from tools.stage.runner import RunOptions, run_stage
from tools.stage.stage import Row, Stage


@dataclass
class SleepStage(Stage):
    """Sleeps as long as column ``seconds`` says, and writes down when."""

    name = "sleep"
    suffix = "_sleep"
    required_columns = ("path", "seconds")
    output_columns = {"slept": pl.Float64}

    log: str = ""

    def prepare(self, row: Row, frames: Sequence[Any]) -> dict[str, float]:
        """Sleep."""
        begun = time.time()
        time.sleep(float(row["seconds"]))
        with Path(f"{self.log}.{os.getpid()}").open("a") as file:
            file.write(f"{begun} {time.time()}\n")
        return {"slept": float(row["seconds"])}


def make_table(path: Path, rows: int, seconds: float, noise: float) -> pl.DataFrame:
    """A table of clips and films: lengths with a long tail, the longest last."""
    rng = np.random.default_rng(1)
    frames = np.sort(np.rint(rng.lognormal(5, 1.3, rows))).astype(int) + 1
    taken = frames * rng.lognormal(0, noise, rows)
    table = pl.DataFrame(
        {
            "path": [str(path)] * rows,
            "id": [f"{row:05}" for row in range(rows)],
            "num_frames": frames,
            "resolution": [1280 * 720] * rows,
            "seconds": seconds * taken / taken.sum(),
        }
    )
    table.write_csv(path)
    return table


def run_ranks(meta: Path, ranks: int, workers: int) -> list[list[tuple[float, float]]]:
    """Run all ranks at once; give beginning and end of each row of each worker of each rank, from 0 on."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import dealing; "
    run_children(
        (
            [sys.executable, "-c", f"{script}dealing.run_rank({str(meta)!r}, {rank}, {workers})"],
            {"RANK": str(rank), "WORLD_SIZE": str(ranks)},
        )
        for rank in range(ranks)
    )
    found = []
    for rank in range(ranks):
        logs = [np.loadtxt(log, ndmin=2) for log in meta.parent.glob(f"log{rank}.*")]
        begun = min(log[0, 0] for log in logs)
        found += [[(begin - begun, end - begun) for begin, end in log] for log in logs]
    return found


def run_rank(meta: str, rank: int, workers: int) -> None:
    """One rank, in a process of its own."""
    log = str(Path(meta).with_name(f"log{rank}"))
    run_stage(SleepStage(log), meta, options=RunOptions(num_workers=workers, progress=False))


def idle(ends: Iterable[float]) -> float:
    """The part of the time of all workers in which they have no row and others have."""
    ends = list(ends)
    return 1 - sum(ends) / len(ends) / max(ends)


def in_turn(seconds: Sequence[float], ranks: int, workers: int) -> float:
    """The same by computation for rows in their own order, dealt out in turn."""
    ends = []
    for rank in range(ranks):
        free = [0.0] * workers
        for taken in seconds[rank::ranks]:
            heapq.heappush(free, heapq.heappop(free) + taken)
        ends += free
    return idle(ends)


def main() -> None:
    """Measure, print, and write JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=40.0, help="that all rows take together")
    parser.add_argument("--noise", type=float, default=0.1, help="of the time of a row, by its logarithm")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        meta = Path(folder) / "meta.csv"
        table = make_table(meta, args.rows, args.seconds, args.noise)
        workers = run_ranks(meta, args.ranks, args.workers)
        states = [json.loads(f.read_text().splitlines()[0]) for f in Path(folder).rglob("rank*.status")]
    figures = {
        "idle": idle(rows[-1][1] for rows in workers),
        "idle in turn": in_turn(table["seconds"].to_list(), args.ranks, args.workers),
        "seconds": max(rows[-1][1] for rows in workers),
        "estimated": max((state.get("estimate") or {}).get("seconds", 0.0) for state in states),
    }
    figures["in turn / idle"] = figures["idle in turn"] / figures["idle"] if figures["idle"] else math.inf
    print(", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    finish(args.json, figures)


if __name__ == "__main__":
    run(main)
