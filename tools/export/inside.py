"""What is inside of shards: keys and captions of their samples, as the reader of each format finds them."""

from __future__ import annotations

import importlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tools.base.disk import system_message
from tools.base.packages import not_installed
from tools.export.layouts.sample_files import read_samples
from tools.export.layouts.samples import INDEX, indexed
from tools.export.layouts.shard_folder import SHARDS

_VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".gif", ".ts", ".flv", ".wmv", ".mpg")
_MEMBER = re.compile(r"((?:.*/)?[^./]+)(\.[^/]*)", re.DOTALL)
"""Key of a member up to the first dot of its name, and what follows."""


class Unreadable(Exception):
    """A shard cannot be read; ``args`` are its path and why."""


@dataclass(frozen=True)
class Sample:
    """One sample of a shard.

    Attributes:
        shard: The shard, below the folder that was asked for.
        key: Its key.
        caption: None where it has none.
        size: Bytes of its video; None where it has none.
        twice: A member that it has twice; "" for none.
    """

    shard: str
    key: str
    caption: str | None
    size: int | None
    twice: str = ""


def samples(trainer: str, folder: Path) -> Iterator[Sample]:
    """The samples of an exported data set of one split, in their order.

    Args:
        trainer: webdataset, mds, litdata or lance.
        folder: The folder with the folder of shards in it.

    Raises:
        Unreadable: A shard or the index is missing or damaged; samples before it were given.
        UserError: The package that reads them is not installed.
    """
    shards = folder / SHARDS
    try:
        yield from _READERS[trainer](shards)
    except (OSError, ValueError, RuntimeError) as error:  # Lance raises all of them
        raise Unreadable(SHARDS, f"cannot be read: {system_message(error)}") from None


def _webdataset(shards: Path) -> Iterator[Sample]:
    """As `webdataset` reads tar files: members of one key follow one another."""
    for path in sorted(shards.glob("*.tar")):
        name = f"{SHARDS}/{path.name}"
        try:
            with tarfile.open(path) as tar:
                yield from _of_tar(tar, name)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise Unreadable(name, f"cannot be read: {system_message(error)}") from None


def _of_tar(tar: tarfile.TarFile, name: str) -> Iterator[Sample]:
    members = ((_MEMBER.fullmatch(member.name), member) for member in tar if member.isreg())
    named = ((found[1], found[2].lower(), member) for found, member in members if found)
    for key, group in groupby(named, key=lambda one: one[0]):
        caption: str | None = None
        size: int | None = None
        kinds: list[str] = []
        for _, kind, member in group:
            kinds.append(kind)
            if kind == ".txt":
                content = tar.extractfile(member)
                caption = content.read().decode("utf-8", errors="replace") if content else None
            elif kind in _VIDEOS:
                size = member.size
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), "")
        yield Sample(name, key, caption, size, twice)


def _indexed(shards: Path) -> Iterator[Sample]:
    """MDS and LitData, whose index names the shards."""
    form, listed = indexed(json.loads((shards / INDEX).read_bytes()))
    for file, count in listed:
        name, found = f"{SHARDS}/{file}", 0
        try:
            for values in read_samples(shards / file, form):
                found += 1
                yield Sample(name, values["key"], values["caption"], values["video"])
        except (OSError, ValueError, KeyError) as error:
            raise Unreadable(name, f"cannot be read: {system_message(error)}") from None
        if found != count:
            raise Unreadable(name, f"has {found} samples, {count} in its index")


def _lance(shards: Path) -> Iterator[Sample]:
    try:
        lance: Any = importlib.import_module("lance")
    except ModuleNotFoundError:
        raise not_installed("lance") from None
    for batch in lance.dataset(str(shards)).to_batches(columns=["key", "caption", "video"]):
        for row in batch.to_pylist():
            video = row["video"]  # where it lies, and its size
            size = video["size"] if isinstance(video, dict) else None if video is None else len(video)
            yield Sample(SHARDS, row["key"], row["caption"], size)


_READERS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    "webdataset": _webdataset,
    "mds": _indexed,
    "litdata": _indexed,
    "lance": _lance,
}
