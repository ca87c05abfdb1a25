"""Small stages that workers can import."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import polars as pl

from tools.errors import MediaError
from tools.stage.stage import Stage


@dataclasses.dataclass
class SizeStage(Stage):
    """Bytes of a file, and a third of that; what is in it decides what goes wrong."""

    name = "size"
    suffix = "_size"
    optional_columns = ("id",)
    output_columns = {"size": pl.Int64, "third": pl.Float64, "remarks": pl.Object, "failures": pl.Object}

    delay: float = 0.0
    precision: str = "fp32"

    def config(self):
        return {"precision": self.precision}

    def prepare(self, row, frames):
        time.sleep(self.delay)
        path = Path(row["path"])
        if not path.exists():
            raise MediaError("missing", path, "no such file")
        data = path.read_bytes()
        if data == b"crash":
            os._exit(3)
        if data == b"killed" and not path.with_name("spare").exists():
            raise MediaError("killed", path, "as the pool says it")
        return data

    def score(self, batch):
        if any(data == b"bug" for data in batch):
            raise KeyError("bug")
        return [
            {
                "size": len(data),
                "third": len(data) / 3,
                "remarks": ["empty"] * (not data),
                "failures": [["decode", "half of it"]] if data == b"half" else [],
            }
            for data in batch
        ]


@dataclasses.dataclass
class ClockStage(Stage):
    """When a row was prepared and when it was scored: seconds since the epoch, from and to."""

    name = "clock"
    suffix = "_clock"
    output_columns = {"prepared": pl.List(pl.Float64), "scored": pl.List(pl.Float64), "process": pl.Int64}

    seconds: float = 0.02

    def prepare(self, row, frames):
        start = time.time()
        time.sleep(self.seconds)
        return [start, time.time()]

    def score(self, batch):
        values = []
        for prepared in batch:
            start = time.time()
            time.sleep(self.seconds)
            values.append({"prepared": prepared, "scored": [start, time.time()], "process": os.getpid()})
        return values


@dataclasses.dataclass
class WeightlessStage(SizeStage):
    """Lacks its weights on the machines that work."""

    def setup(self):
        from tools.errors import UserError

        raise UserError("weights of size: not found at /nowhere; download them")


@dataclasses.dataclass
class DyingStage(SizeStage):
    """Takes its actor down with it when it first meets `victim`, or whenever it does."""

    name = "dying"
    suffix = "_dying"

    victim: str = ""
    marker: str = ""

    def prepare(self, row, frames):
        return super().prepare(row, frames), Path(row["path"]).name

    def score(self, batch):
        if any(name == self.victim for _, name in batch) and not (self.marker and Path(self.marker).exists()):
            if self.marker:
                Path(self.marker).touch()
            os._exit(9)
        return [outcome for data, _ in batch for outcome in super(DyingStage, self).score([data])]
