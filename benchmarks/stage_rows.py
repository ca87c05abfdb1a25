"""Stages that do next to nothing, and a run over made rows: what `benchmarks/stage.py` measures."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measuring import peak_bytes
from tools.media.reading.frames import Frame
from tools.stage.runner import RunOptions, run_stage
from tools.stage.stage import Row, Stage


@dataclasses.dataclass
class NothingStage(Stage):
    """One number for each row; its file is not opened."""

    name = "nothing"
    suffix = "_nothing"
    output_columns = {"number": pl.Float64}

    def prepare(self, row: Row, frames: Sequence[Frame]) -> dict[str, float]:
        """Half a point."""
        return {"number": 0.5}


@dataclasses.dataclass
class PicturesStage(Stage):
    """Hands over three pictures of 224 px, as a stage with CLIP does."""

    name = "pictures"
    suffix = "_pictures"
    output_columns = {"number": pl.Float64}

    def prepare(self, row: Row, frames: Sequence[Frame]) -> np.ndarray:
        """White pictures, almost."""
        return np.ones((3, 224, 224, 3), np.uint8)

    def score(self, batch: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """One of their pixels."""
        return [{"number": float(pictures[0, 0, 0, 0])} for pictures in batch]


STAGES = {"nothing": NothingStage, "pictures": PicturesStage}


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run(stage: str, rows: int, workers: int) -> dict[str, float]:
    """Run a stage over made rows; give CPU seconds and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        meta = Path(folder) / "meta.csv"
        meta.write_text("path\n" + "".join(f"/videos/clip_{i:08}.mp4\n" for i in range(rows)))
        before = cpu_seconds()
        run_stage(STAGES[stage](), meta, options=RunOptions(num_workers=workers, progress=False))
        return {"cpu": cpu_seconds() - before, "peak": peak_bytes()}


def run_executor(stage: str, rows: int, workers: int) -> dict[str, float]:
    """The same by the standard library, without a table: one task per row."""
    made = STAGES[stage]()
    before = cpu_seconds()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        paths = [{"path": f"/videos/clip_{i:08}.mp4"} for i in range(rows)]
        for prepared in executor.map(made.prepare, paths, repeat(())):
            made.score([prepared])
    return {"cpu": cpu_seconds() - before, "peak": peak_bytes()}


if __name__ == "__main__":
    from benchmarks import stage_rows as importable  # so that workers need not run this as their script

    run_rows = importable.run if sys.argv[1] == "run" else importable.run_executor
    print(json.dumps(run_rows(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
