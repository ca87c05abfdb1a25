"""What the machinery around a stage costs: CPU time and memory per row, the start of a run, the speed-up.

    python benchmarks/stage.py [VIDEO...] [--only rows memory start speed-up] [--rows 20000] [--rounds 5]
                               [--json FILE]

Each figure is the median of several rounds, in which this project and what it is compared with take turns,
each in a process of its own. Per row, the cost of a short run is subtracted from that of a long one, so
imports and the start of processes do not count. The peer is `concurrent.futures.ProcessPoolExecutor`, which
loses the whole run when a worker dies. With videos, the start of a run of one row (CPU and wall time) and the
speed-up by two workers and two ranks are timed, beside two independent commands at once, each with half of
the videos: the limit that the machine sets. Wall times are for an otherwise idle machine:

    python benchmarks/stage.py 60_CLIPS... --only start speed-up
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from measuring import finish, leave_out, leaving_out, make_parser, run, run_child, run_children

from tools.errors import UserError

FEW = 200  # rows of the short run
PARTS = ("rows", "memory", "start", "speed-up")
STARTS = {
    "info": ["tools.datasets.datautil", "{meta}", "--info", "--quiet"],
    "technical": ["tools.scoring.technical.inference", "{meta}", "--quiet"],
    "help": ["tools.scoring.technical.inference", "--help"],
}
"""Arguments of the commands whose start is timed."""


def measure(kind: str, stage: str, rows: int, workers: int) -> dict[str, float]:
    """CPU seconds and peak memory of one run, in a process of its own; see `benchmarks/stage_rows.py`."""
    command = [sys.executable, "-m", "benchmarks.stage_rows", kind, stage, str(rows), str(workers)]
    return json.loads(run_child(command).output)


def cost_per_row(kind: str, stage: str, rows: int, workers: int) -> float:
    """Microseconds of CPU time per row."""
    few, many = (measure(kind, stage, count, workers)["cpu"] for count in (FEW, FEW + rows))
    return 1e6 * (many - few) / rows


def memory_per_row(rows: int) -> float:
    """Bytes of the peak memory of the parent per row.

    The peak that Linux gives for a process is at least that of the one that started it, until then.
    """
    few, many = (measure("run", "nothing", count, 0)["peak"] for count in (rows // 10, rows // 10 + rows))
    return (many - few) / rows


def start_seconds(kind: str, videos: list[str], compiled: str, *, cpu: bool) -> float:
    """CPU or wall seconds of a command with one row, or of its help.

    Args:
        kind: A key of `STARTS`.
        videos: Files, of which the first is the row.
        compiled: Folder of compiled modules, as an installed package has them; the first call fills it.
        cpu: CPU seconds, else those on the clock.
    """
    with tempfile.TemporaryDirectory() as folder:
        meta = write_table(Path(folder) / "meta.csv", videos[:1])
        command = [sys.executable, "-m", *(word.format(meta=meta) for word in STARTS[kind])]
        child = run_child(command, PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=compiled)
        return child.cpu if cpu else child.wall


def starts(videos: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Median CPU and wall seconds of each start."""
    with tempfile.TemporaryDirectory() as compiled:
        for kind in STARTS:  # not counted: it compiles
            start_seconds(kind, videos, compiled, cpu=True)
        return {
            f"one row, {'CPU' if cpu else 'wall'} s": compare(
                rounds, **{kind: partial(start_seconds, kind, videos, compiled, cpu=cpu) for kind in STARTS}
            )
            for cpu in (True, False)
        }


def write_table(path: Path, videos: list[str]) -> Path:
    """A table of videos."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([Path(video).resolve()] for video in videos)])
    return path


def wall_seconds(videos: list[str], *, workers: int = 1, ranks: int = 1, runs: int = 1) -> float:
    """Seconds of the technical measures of some videos: by ranks of one run, or in runs of a part each."""
    with tempfile.TemporaryDirectory() as folder:
        metas = [write_table(Path(folder) / f"meta{n}.csv", videos[n::runs]) for n in range(runs)]
        command = [sys.executable, "-m", "tools.scoring.technical.inference", "--quiet"]
        command += ["--num-workers", str(workers)]
        return run_children(
            ([*command, str(meta)], {"RANK": str(rank), "WORLD_SIZE": str(ranks)})
            for meta in metas
            for rank in range(ranks)
        ).wall


def compare(rounds: int, **tasks: Callable[[], float]) -> dict[str, float]:
    """Median of each task; the tasks take turns."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(task())
    return {name: statistics.median(values) for name, values in found.items()}


def readable(videos: list[str], parts: Sequence[str]) -> list[str]:
    """The videos that can be read; what cannot be measured without them is said."""
    found = []
    for video in videos:  # a row that fails at once would make a run seem fast
        from tools.media.reading.probe import (
            probe,
        )  # here: this process is to stay small, see `memory_per_row`

        with leaving_out(video):
            probe(video)
            found.append(video)
    for part, needed in {"start": 1, "speed-up": 2}.items():
        if part in parts and len(found) < needed:
            leave_out(part, f"too few videos that can be read: {len(found)}, needed: {needed}")
    return found


def main() -> None:
    """Measure, print, and write JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("videos", nargs="*", metavar="VIDEO")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.videos = readable(args.videos, args.only)
    figures: dict[str, dict[str, float]] = {}
    for part in dict.fromkeys(args.only):
        try:
            for name, values in measured(part, args):
                figures[name] = values
                shown = ", ".join(f"{label} {value:.3g}" for label, value in values.items())
                print(f"{name}: {shown}", flush=True)
        except (
            UserError
        ) as error:  # a video that only decoding finds damaged fails in the command that is timed
            leave_out(part, error)
    finish(args.json, figures)


def measured(part: str, args: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of one part, by what they are of."""
    if part == "rows":
        for stage, rows in (("nothing", args.rows), ("pictures", args.rows // 8)):
            cost = compare(
                args.rounds,
                workers=partial(cost_per_row, "run", stage, rows, 2),
                alone=partial(cost_per_row, "run", stage, rows, 0),
                executor=partial(cost_per_row, "executor", stage, rows, 2),
            )
            yield (
                f"{stage}, us of CPU time per row",
                {**cost, "ratio": cost["workers"] / cost["executor"]},
            )
    elif part == "memory":
        yield "memory, bytes per row", compare(args.rounds, parent=lambda: memory_per_row(5 * args.rows))
    elif part == "start" and args.videos:
        yield from starts(args.videos, args.rounds).items()
    elif part == "speed-up" and len(args.videos) > 1:
        times = compare(
            args.rounds,
            one_worker=lambda: wall_seconds(args.videos),
            two_workers=lambda: wall_seconds(args.videos, workers=2),
            two_ranks=lambda: wall_seconds(args.videos, ranks=2),
            two_runs=lambda: wall_seconds(args.videos, runs=2),
        )
        speed_up = {name: times["one_worker"] / times[name] for name in times if name != "one_worker"}
        two_runs = speed_up["two_runs"]
        yield "technical measures, wall s", times
        yield "speed-up", speed_up
        yield (
            "speed-up, by that of two runs",
            {name: value / two_runs for name, value in speed_up.items() if name != "two_runs"},
        )


if __name__ == "__main__":
    run(main)
