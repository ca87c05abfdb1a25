"""What the crash test runs: each command of the registry that works row by row, and others that write."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from tools.commands import COMMANDS
from tools.stage.command import StageCommand

META = "meta.csv"
WEIGHTS = "weights"
"""Folder of the weights among the inputs."""
ENVIRONMENT = "environment.json"
"""File in it with the environment variables that say where which ones are."""
STATE = ".vidsieve"
"""Folder of ledgers and receipts beside an output."""

_OPTIONS: dict[str, tuple[str, ...]] = {
    "aesthetic": ("--save-embeddings", "vectors.npy"),
    "caption_api": ("--model", "m", "--num-frames", "1", "--concurrency", "4", "--bs", "4"),
    "caption_llava": ("--model-path", "weights/qwen2_vl", "--num-frames", "1", "--max-tokens", "8"),
    "cut": ("--save-dir", "clips"),
    "flow": ("--method", "dis"),
    "ocr": ("--num-frames", "1"),
    "quality": ("--save-embeddings", "vectors.parquet"),
    "save_first_frame": ("--output-dir", "frames"),
    "tag": ("--model", "m", "--concurrency", "4", "--bs", "4"),
    "technical": ("--measures", "sharpness,static_ratio,black_bars"),
}
"""Options that commands of the registry need here; a new one needs none, unless it has required options."""

SERVED = frozenset(("caption_api", "tag"))
"""Commands that ask the server."""

_HEAVY = frozenset(("aesthetic", "caption_llava", "match", "emscore", "audio", "quality", "flow", "ocr"))
"""Commands that import PyTorch, or as much."""

_END_ALONE = frozenset(("check_integrity", "dedup"))
"""Commands that write further tables, which need the rows of all ranks, when they run without ranks."""

_PACKAGES = {"ocr": "rapidocr"}


@dataclass(frozen=True)
class Case:
    """A command to be killed.

    Attributes:
        name: What it is called in reports.
        words: What is typed after ``python -m``; the current folder is a copy of the inputs.
        ranks: Whether it can run as several ranks.
        workers: Whether it has ``--num-workers``.
        ends_alone: After several ranks, the same command without ranks finishes the work.
        heavy: Whether it takes seconds to start.
        needs: A package that need not be installed.
        encodes: Whether the bytes of its files depend on the number of workers with which a run was begun.
    """

    name: str
    words: tuple[str, ...]
    ranks: bool = True
    workers: bool = True
    ends_alone: bool = False
    heavy: bool = False
    needs: str = ""
    encodes: bool = False


def row_cases() -> list[Case]:
    """The commands of the registry that work row by row: those with a `StageCommand`."""
    found = []
    for command in COMMANDS:
        module = importlib.import_module(command.module)
        if isinstance(getattr(module, "COMMAND", None), StageCommand):
            words = (command.typed, META, *_OPTIONS.get(command.name, ()))
            name = command.name
            found.append(
                Case(
                    name,
                    words,
                    ends_alone=name in _END_ALONE,
                    heavy=name in _HEAVY,
                    needs=_PACKAGES.get(name, ""),
                    encodes=name == "cut",
                )
            )
    return found


def other_cases() -> list[Case]:
    """Commands that run stages in other ways, or none, but write tables and files."""
    transform, datautil = "tools.datasets.transform", "tools.datasets.datautil"
    wan = ("--for", "wan2.1@diffusion-pipe", "--frames", "17", "--sizes", "256x160", "--windows")
    return [
        Case("scoring", ("tools.scoring", META, "--scores", "technical,quality"), heavy=True),
        Case(
            "transform vid_resize",
            (transform, "vid_resize", META, "videos", "small", "--length", "32"),
            encodes=True,
        ),
        Case("transform img_resize", (transform, "img_resize", META, ".", "small", "--length", "32")),
        Case("transform vid_frame_extract", (transform, "vid_frame_extract", META, "videos", "frames")),
        Case("transform vid_remux", (transform, "vid_remux", META, "videos", "remuxed")),
        Case("export", ("tools.export", "large.csv", *wan, "-o", "data/wan"), ranks=False, encodes=True),
        Case(
            "export webdataset",
            ("tools.export", "large.csv", "--for", "webdataset", "-o", "data/shards"),
            ranks=False,
        ),
        Case("datautil info", (datautil, META, "--info", "--fmin", "1"), ranks=False, workers=False),
        Case(
            "datautil sort",
            (datautil, META, "--sort", "aes", "--clean-caption", "--output", "sorted.parquet"),
            ranks=False,
            workers=False,
        ),
        Case("datautil shard", (datautil, META, "--shard", "3"), ranks=False, workers=False),
        Case(
            "convert video",
            ("tools.datasets.convert", "video", "videos", "--output", "found.csv"),
            ranks=False,
            workers=False,
        ),
        Case(
            "convert webdataset",
            ("tools.datasets.convert", "webdataset", "shards", "--extract", "clips", "--output", "found.csv"),
            ranks=False,
            workers=False,
        ),
        Case(
            "split",
            ("tools.datasets.split", "large.csv", "-c", "buckets.json", "-l", "3", "--per-bucket"),
            ranks=False,
            workers=False,
        ),
        Case("pipeline", ("tools.pipeline", "chain.toml"), ranks=False, workers=False),
    ]


def all_cases() -> list[Case]:
    """All of them."""
    return [*row_cases(), *other_cases()]
