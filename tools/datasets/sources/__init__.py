"""What a first table can be made of: one module for each layout, and the one registry of them.

A source reads what a user names and returns the rows, what it could not use, and what else is worth a line.
To add a layout is a module with a function ``read(places, options)`` and one line in `SOURCES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from tools.errors import MediaError


@dataclass(frozen=True)
class SourceOptions:
    """What a user said about a source; `Source.reads` has which of it a source heeds.

    Attributes:
        exts: Extensions of the files that become rows, with their dot, in lower case; empty for the default.
        split: Only this split; None for all of them (imagenet and ucf101: train).
        info: VidProM's table of prompts.
        base: The folder in which relative paths of a list begin; None for the folder of the list.
        extract: The folder that videos are written to which lie in other files.
        path_column: The column, or JSON key, with paths or addresses (of `lance`: with the videos).
        text_column: The column, or JSON key, with captions.
    """

    exts: Sequence[str] = ()
    split: str | None = None
    info: str | None = None
    base: str | None = None
    extract: str | None = None
    path_column: str | None = None
    text_column: str | None = None


@dataclass
class Found:
    """What a source has given.

    Attributes:
        table: The rows.
        failures: What could not be used, for the failures file.
        notes: Lines for the user: counts, and what was left out.
        inputs: Files that were read; a table over one of them is refused.
        noun: What a row is called in the count.
    """

    table: pl.DataFrame
    failures: list[MediaError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inputs: list[Path] = field(default_factory=list)
    noun: str = "file"


Reader = Callable[[Sequence[str], SourceOptions], Found]


@dataclass(frozen=True)
class Source:
    """A layout.

    Attributes:
        module: Its module in this package.
        place: What is named on the command line.
        columns: The columns of its table, where they are known before it is read.
        output: Where the table goes without ``--output``; empty where that has to be said.
        reader: The function in the module.
        several: Whether several places may be named.
        reads: The fields of `SourceOptions` that it heeds.
    """

    module: str
    place: str
    columns: tuple[str, ...] = ()
    output: str = ""
    reader: str = "read"
    several: bool = False
    reads: tuple[str, ...] = ()

    def load(self) -> Reader:
        """The function that reads it."""
        return getattr(importlib.import_module(f"{__name__}.{self.module}"), self.reader)


_LISTING = ("path", "id", "relpath")

SOURCES: dict[str, Source] = {
    "video": Source("folders", "a folder", _LISTING, reader="read_videos", reads=("exts",)),
    "image": Source("folders", "a folder", _LISTING, reader="read_images", reads=("exts",)),
    "videofolder": Source("videofolder", "a folder", reads=("exts", "split", "path_column", "text_column")),
    "webdataset": Source(
        "webdataset",
        "a folder of shards, a pattern, or .tar files",
        several=True,
        reads=("exts", "extract", "text_column"),
    ),
    "lance": Source(
        "lance_data", "a Lance data set", reads=("extract", "base", "path_column", "text_column")
    ),
    "jsonl": Source("jsonl", "a file of JSON Lines", reads=("base", "path_column", "text_column")),
    "urls": Source("urls", "a text file", _LISTING, reads=("base",)),
    "imagenet": Source(
        "published",
        "a folder",
        ("path", "text"),
        "imagenet_{split}.csv",
        reader="read_imagenet",
        reads=("split",),
    ),
    "ucf101": Source(
        "published",
        "a folder",
        ("path", "text"),
        "ucf101_{split}.csv",
        reader="read_ucf101",
        reads=("split",),
    ),
    "vidprom": Source(
        "published", "a folder", ("path", "text"), "vidprom.csv", reader="read_vidprom", reads=("info",)
    ),
}
"""Each layout by the name that is typed. Default outputs are those of Open-Sora's command."""


def sources_that_read(option: str) -> str:
    """``jsonl, urls``: the layouts that an option of `SourceOptions` is for."""
    return ", ".join(name for name, source in SOURCES.items() if option in source.reads)
