"""Stages that misbehave, or that note what is done to them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import polars as pl

from tools.errors import MediaError, UserError
from tools.stage.stage import Stage


@dataclasses.dataclass
class NotingStage(Stage):
    """Length of the file; each preparation leaves a line in a log, as do set-up and each batch's size."""

    name = "size"
    suffix = "_size"
    output_columns = {"size": pl.Int64}

    log: str
    weights: bool = True

    def config(self):
        return {}

    def setup(self):
        self.note("setup")
        if not self.weights:
            raise UserError("weights are missing")

    def prepare(self, row, frames):
        self.note(f"prepare {Path(row['path']).name}")
        return Path(row["path"]).stat().st_size

    def score(self, batch):
        self.note(f"score {len(batch)}")
        return [{"size": size} for size in batch]

    def note(self, line):
        with Path(self.log).open("a") as file:
            file.write(line + "\n")


@dataclasses.dataclass
class LastDigitStage(Stage):
    """Fails for files whose last digit is among those given."""

    name = "digit"
    suffix = "_digit"
    output_columns = {"digit": pl.Int64}

    bad: str = ""

    def prepare(self, row, frames):
        digit = row["path"][-1]
        if digit in self.bad:
            raise MediaError("decode", row["path"], "a bad digit")
        return {"digit": int(digit)}


@dataclasses.dataclass
class TextStage(Stage):
    """Reads no file at all: the length of a text."""

    name = "length"
    suffix = "_length"
    required_columns = ("text",)
    output_columns = {"length": pl.Int64}

    def prepare(self, row, frames):
        return {"length": len(row["text"])}


@dataclasses.dataclass
class EchoStage(Stage):
    """Gives back whatever it is told to."""

    name = "echo"
    suffix = "_echo"
    output_columns = {"number": pl.Float64, "words": pl.String, "list": pl.List(pl.Float64)}

    values: list = dataclasses.field(default_factory=list)

    def config(self):
        return {}

    def prepare(self, row, frames):
        return self.values[int(row["path"])]


@dataclasses.dataclass
class DeviceStage(Stage):
    """A device with room for so many rows, which fails for good at a certain row."""

    name = "device"
    suffix = "_device"
    output_columns = {"double": pl.Int64}

    room: int = 1000
    fatal: int = -1
    spoiled: tuple = ()

    def __post_init__(self):
        self._sizes = []

    def config(self):
        return {}

    def prepare(self, row, frames):
        return int(row["path"])

    def score(self, batch):
        import torch

        self._sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if self.fatal in batch:
            raise RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")
        results = [{"double": 2 * number} for number in batch]
        for number in set(self.spoiled) & set(batch) - {5}:
            results[batch.index(number)] = {
                0: {"twice": 0},
                1: {"double": 0.5},
                2: {"double": os},
                3: None,
                4: {"double": "8"},
            }[number]
        return results[:-1] if 5 in self.spoiled and 5 in batch else results
