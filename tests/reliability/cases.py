"""What the crash test runs: each command of the registry that works row by row, and all others that write."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from tests.reliability.object_storage import SOURCE, TARGET
from tests.reliability.payments import CONCURRENCY
from tools.commands import COMMANDS
from tools.datasets.transform import METHODS
from tools.stage.command import StageCommand

META = "meta.csv"
WEIGHTS = "weights"
"""Folder of the weights among the inputs."""
ENVIRONMENT = "environment.json"
"""File in it with the environment variables that say where which ones are."""
STORED = "stored"
"""Folder of what is in object storage among them."""
REMOTE = "remote.csv"
"""A table of files that are there."""
STATE = ".vidsieve"
"""Folder of ledgers and receipts beside an output."""

_ASKING = ("--concurrency", str(CONCURRENCY), "--bs", "8")  # far more answers in a batch than under way
_OPTIONS: dict[str, tuple[str, ...]] = {
    "aesthetic": ("--save-embeddings", "vectors.npy"),
    "caption_api": ("--model", "m", "--num-frames", "1", *_ASKING),
    "caption_llava": ("--model-path", "weights/qwen2_vl", "--num-frames", "1", "--max-tokens", "8"),
    "cut": ("--save-dir", "clips"),
    "flow": ("--method", "dis"),
    "ocr": ("--num-frames", "1"),
    "quality": ("--save-embeddings", "vectors.parquet"),
    "save_first_frame": ("--output-dir", "frames"),
    "tag": ("--model", "m", *_ASKING),
    "technical": ("--measures", "sharpness,static_ratio,black_bars"),
}
"""Options that commands of the registry need here; a new one needs none, unless it has required options."""

NOT_KILLED = {
    "doctor": "writes nothing",
    "failures": "writes nothing; --retry starts the command of a table, --bundle writes one file at the end",
    "operators": "runs a script of others",
    "show": "writes nothing",
    "weights": "downloads; tests/models/test_download.py has its kills",
}
"""Commands of the registry that are no case, and why."""

SERVED = frozenset(("caption_api", "tag"))
"""Commands that ask the server."""

_HEAVY = frozenset(("aesthetic", "caption_llava", "match", "emscore", "audio", "quality", "flow", "ocr"))
"""Commands that import PyTorch, or as much."""

_END_ALONE = frozenset(("check_integrity", "dedup"))
"""Commands that write further tables, which need the rows of all ranks, when they run without ranks."""

_PACKAGES = {"ocr": ("rapidocr",)}
_STORAGE = ("boto3", "moto", "s3fs")


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
        needs: Packages that need not be installed.
        encodes: Whether the bytes of its files depend on the number of workers with which a run was begun.
        forks: Whether it can be a fork of the process that tests.
        stored: Whether it reads from object storage, or writes there.
        on_ray: Whether it runs on a Ray cluster; only if it is named, since that takes minutes.
    """

    name: str
    words: tuple[str, ...]
    ranks: bool = True
    workers: bool = True
    ends_alone: bool = False
    heavy: bool = False
    needs: tuple[str, ...] = ()
    encodes: bool = False
    forks: bool = True
    stored: bool = False
    on_ray: bool = False


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
                    needs=_PACKAGES.get(name, ()),
                    encodes=name == "cut",
                )
            )
    return found


def transform_cases() -> list[Case]:
    """The methods of ``transform``, each under its first name."""
    sizes = {"size": "32x32", "length": "32"}  # the first that it has
    cases = {}
    for name, method in METHODS.items():
        if not any(method is METHODS[other] for other in cases):
            option = next((option for option in sizes if option in method.options()), None)
            flags = (f"--{option}", sizes[option]) if option else ()
            words = ("tools.datasets.transform", name, META, *_PLACES.get(name[:3], _PLACES["vid"]), *flags)
            cases[name] = Case(f"transform {name}", words, encodes=name in ("vid_resize", "vid_crop_center"))
    return list(cases.values())


_PLACES = {"vid": ("videos", "made"), "img": (".", "made")}  # folders read and written, by the kind of files


def other_cases() -> list[Case]:
    """Commands that run stages in other ways, or none, but write tables and files."""
    datautil, convert = "tools.datasets.datautil", "tools.datasets.convert"
    return [
        Case("scoring", ("tools.scoring", META, "--scores", "technical,quality"), heavy=True),
        Case(
            "emscore_idf",
            ("tools.scoring.emscore.idf", META, "--output", "idf.json"),
            ranks=False,
            workers=False,
            heavy=True,
        ),
        Case("export", ("tools.export", "large.csv", *_WAN, "-o", "data/wan"), ranks=False, encodes=True),
        Case(
            "export webdataset",
            ("tools.export", "large.csv", "--for", "webdataset", "-o", "data/shards"),
            ranks=False,
            encodes=True,
        ),
        *(
            Case(name, words, ranks=False, workers=False)
            for name, words in {
                "datautil info": (datautil, META, "--info", "--fmin", "1"),
                "datautil sort": (datautil, META, *_SORT, "--output", "sorted.parquet"),
                "datautil shard": (datautil, META, "--shard", "3"),
                "convert video": (convert, "video", "videos", "--output", "found.csv"),
                "convert webdataset": (convert, "webdataset", "shards", "--extract", "clips", *_FOUND),
                "split": ("tools.datasets.split", "large.csv", *_BUCKETS),
                "analyze": ("tools.datasets.analyze", META, "--json", "summary.json"),
                "diff": ("tools.datasets.diff", META, "large.csv", "-o", "changes.csv"),
                "rate": ("tools.datasets.rate", "scores.csv", *_RATE),
                "report": ("tools.report", META, "-o", "page.html"),
                "pipeline": ("tools.pipeline", "chain.toml"),
            }.items()
        ),
    ]


_WAN = ("--for", "wan2.1@diffusion-pipe", "--frames", "17", "--sizes", "256x160", "--windows")
_SORT = ("--sort", "aes", "--clean-caption")
_FOUND = ("--output", "found.csv")
_RATE = ("--ratings", "ratings.jsonl", "--next-out", "next.csv")
_BUCKETS = ("-c", "buckets.json", "-l", "3", "--per-bucket")


def storage_cases() -> list[Case]:
    """Commands that read from object storage, or write there; what they write is in a bucket, or here."""
    technical = ("tools.scoring.technical.inference", "--measures", "sharpness")
    daft = ("--engine", "daft", "--part-rows", "2", "--output", f"s3://{TARGET}/scored.parquet")
    exports = {
        "export": _WAN,
        "export webdataset": ("--for", "webdataset"),
        "export videofolder": ("--for", "videofolder", "--keep-source"),
    }
    tables = dict.fromkeys(exports, "large.csv") | {"export videofolder": "enormous.csv"}
    reads = {
        "technical": (*technical, REMOTE),
        "scene_detect": ("tools.scene_cut.scene_detect", REMOTE, "--cache", "cache"),
        "cut": ("tools.scene_cut.cut", REMOTE, "--save-dir", "clips", "--cache", "cache"),
    }
    return [
        *(
            Case(f"s3 {name}", words, encodes=name == "cut", stored=True, needs=_STORAGE)
            for name, words in reads.items()
        ),
        *(
            Case(
                f"s3 {name}",
                ("tools.export", tables[name], *words, "-o", f"s3://{TARGET}/data/{name[7:] or 'wan'}"),
                ranks=False,
                encodes=True,
                stored=True,
                needs=_STORAGE,
            )
            for name, words in exports.items()
        ),
        Case(
            "s3 technical on daft",
            (*technical, f"s3://{SOURCE}/{REMOTE}", *daft),
            ranks=False,
            workers=False,
            heavy=True,
            forks=False,
            stored=True,
            needs=(*_STORAGE, "daft"),
        ),
    ]


def ray_cases() -> list[Case]:
    """Commands on Daft with two Ray nodes."""
    words = ("tools.scoring.technical.inference", META, "--measures", "sharpness", "--quiet")
    daft = ("--engine", "daft", "--ray", "auto", "--concurrency", "2", "--cpus", "1", "--num-workers", "1")
    parts = ("--part-rows", "1", "--output", "scored.parquet")
    return [Case("ray technical", (*words, *daft, *parts), needs=("daft", "ray"), on_ray=True)]


def all_cases() -> list[Case]:
    """All of them."""
    return [*row_cases(), *transform_cases(), *other_cases(), *storage_cases(), *ray_cases()]
