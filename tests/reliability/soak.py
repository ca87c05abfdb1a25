"""Many rows through three stages: memory, open files, threads and shared memory stay flat.

    python -m tests.reliability.soak [--rows 20000] [--workers 2] [--folder DIR]

The rows are small videos and images, of which one in twenty is damaged, each under many names. `info`,
`fingerprint` and `technical` are run over them one after the other, in this process with workers, while a
thread looks at ``/proc``. Printed is, for each stage, every figure after a fifth of the run and in the last
fifth (medians), and what is left after it. The exit code is 1 if one of them grows: during a stage, if it
takes 20 seconds or more (else starting the workers is most of it), or from the first stage to another.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from PIL import Image

from tests.support import make_video
from tools.datasets.probe_stage import ProbeStage
from tools.scoring.dedup.stage import FingerprintStage
from tools.scoring.technical.stage import TechnicalStage
from tools.stage.runner import RunOptions, run_stage

STAGES = (ProbeStage, FingerprintStage, TechnicalStage)
PER_ROW = 1024
"""Bytes that the parent may take for a row beside its values, which it keeps; Polars buffers, too."""
_STEADY = 200
"""Looks at a stage, from which on its figures say more than how workers start."""
SLACK = 16 << 20
"""Bytes by which memory may vary without being said to grow."""


@dataclass(frozen=True)
class Use:
    """What processes use at one moment.

    Attributes:
        parent: Bytes of memory that are the parent's own.
        workers: The same of the largest child.
        files: Open files of the parent.
        threads: Threads of the parent.
        segments: Pieces of shared memory that the parent has mapped.
    """

    parent: int
    workers: int
    files: int
    threads: int
    segments: int


@dataclass
class Soaked:
    """One stage of a soak.

    Attributes:
        name: The stage.
        rows: Rows that it had.
        failed: Rows without values.
        early: Figures after a fifth of the run.
        late: Figures of the last fifth.
        left: Figures after the run.
        values: Bytes of its output.
        grows: What grows that should not.
    """

    name: str
    rows: int
    failed: int
    early: Use
    late: Use
    left: Use
    values: int
    grows: list[str] = field(default_factory=list)


def make_table(folder: Path, rows: int) -> Path:
    """A table with so many rows, each with a file of its own name."""
    video, image, damaged = (folder / name for name in ("a.mp4", "b.jpg", "c.mp4"))
    make_video(video, 12)
    Image.new("RGB", (64, 48), (9, 120, 200)).save(image)
    damaged.write_bytes(video.read_bytes()[:700])
    links = folder / "files"
    links.mkdir()
    paths = []
    for number in range(rows):
        source = damaged if number % 20 == 7 else image if number % 4 == 1 else video
        paths.append(str(links / f"{number:06}{source.suffix}"))
        os.link(source, paths[-1])
    table = folder / "meta.csv"
    pl.DataFrame({"path": paths}).write_csv(table)
    return table


def use_now() -> Use:
    """What this process and its children use."""
    children = [
        int(pid) for pid in Path("/proc/self/task").glob("*/children") for pid in pid.read_text().split()
    ]
    return Use(
        parent=_own_memory(os.getpid()),
        workers=max(map(_own_memory, children), default=0),
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208  (no Path for each)
        threads=threading.active_count(),
        segments=_segments(),
    )


def _segments() -> int:
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum("/memfd:" in line or "/dev/shm/" in line for line in maps)


def _own_memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon")), 0)


class Watch:
    """Figures of this process while a block runs, ten times a second."""

    def __init__(self) -> None:
        self.figures: list[Use] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.figures.append(use_now())

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def _median(figures: list[Use]) -> Use:
    return Use(
        *(int(statistics.median(getattr(use, name) for use in figures)) for name in Use.__annotations__)
    )


def soak(folder: Path, rows: int, workers: int) -> Iterator[Soaked]:
    """Run the stages; what each of them used."""
    table = make_table(folder, rows)
    before: Use | None = None  # after the first stage: some files stay open once anything has run
    for kind in STAGES:
        with Watch() as watch:
            result = run_stage(kind(), table, options=RunOptions(num_workers=workers, progress=False))
        fifth = max(1, len(watch.figures) // 5)
        early, late = (
            _median(watch.figures[fifth : 2 * fifth] or watch.figures),
            _median(watch.figures[-fifth:]),
        )
        values = result.output.stat().st_size
        done = Soaked(result.output.name, result.rows, result.failed, early, late, use_now(), values)
        before = before or done.left
        done.grows = _what_is_left(done, before)
        if len(watch.figures) >= _STEADY:
            done.grows += _what_grows(done)
        yield done


def _what_grows(done: Soaked) -> list[str]:
    """Figures that are larger at the end of a stage than near its beginning."""
    early, late = done.early, done.late
    found = []
    if late.parent - early.parent > PER_ROW * done.rows + done.values + SLACK:
        found.append("memory of the parent")
    if late.workers > early.workers + SLACK:
        found.append("memory of a worker")
    found += [name for name in ("files", "threads", "segments") if getattr(late, name) > getattr(early, name)]
    return found


def _what_is_left(done: Soaked, before: Use) -> list[str]:
    """What a stage has not given back, beside one that ran before."""
    names = ("files", "threads", "segments")
    return [f"{name}, after the run" for name in names if getattr(done.left, name) > getattr(before, name)]


def main() -> int:
    """Run, print the figures, and say by the exit code whether one grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the files are made; by default a temporary folder")
    args = parser.parse_args()
    grown = False
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        begun = time.monotonic()
        for done in soak(Path(folder), args.rows, args.workers):
            print(
                f"{done.name}: {done.rows} rows, {done.failed} failed, after {time.monotonic() - begun:.0f} s"
            )
            for name in Use.__annotations__:
                values = [getattr(use, name) for use in (done.early, done.late, done.left)]
                unit = " MiB" if name in ("parent", "workers") else ""
                shown = [f"{value / 2**20:.1f}" if unit else str(value) for value in values]
                print(f"  {name}{unit}: early {shown[0]}, late {shown[1]}, after {shown[2]}")
            print(f"  grows: {', '.join(done.grows) or 'nothing'}", flush=True)
            grown |= bool(done.grows)
    return int(grown)


if __name__ == "__main__":
    sys.exit(main())
