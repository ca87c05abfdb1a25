"""What is inside of existing shards, of this toolkit or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import UserError
from tools.export.inside import Sample, Unreadable, samples
from tools.export.layouts.samples import INDEX
from tools.export.layouts.shard_folder import SHARDS
from tools.export.verify import Fault

_MARKS = {"webdataset": "*.tar", "mds": INDEX, "litdata": INDEX, "lance": "_versions"}
"""By what a folder of shards of each format is known."""


@dataclass
class ShardCheck:
    """What one folder of shards has.

    Attributes:
        folder: The folder.
        samples: Its samples.
        used: Those with a video.
        bytes: Of videos.
        faults: What a reader would stumble over, by its kind.
    """

    folder: Path
    samples: int = 0
    used: int = 0
    bytes: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)

    def add(self, kind: str, text: str) -> None:
        """Counts one sample."""
        self.faults.setdefault(kind, Fault()).add(text)


def check_shards(folder: Path, trainer: str) -> list[ShardCheck]:
    """Look at every sample of the shards in a folder.

    Args:
        folder: A folder of shards, an export, or a folder with one folder of shards for each split.
        trainer: webdataset, mds, litdata or lance.

    Raises:
        UserError: There are no shards of this format, or the package that reads them is not installed.
    """
    places = (folder, folder / SHARDS, *sorted(folder.glob(f"*/{SHARDS}")), *sorted(folder.glob("*/")))
    found = [place for place in places if place.is_dir() and any(place.glob(_MARKS[trainer]))]
    if not found:
        raise UserError(f"--check {folder}: has no shards of {trainer} ({_MARKS[trainer]})")
    return [_checked(place, trainer) for place in dict.fromkeys(found)]


def _checked(folder: Path, trainer: str) -> ShardCheck:
    made = ShardCheck(folder)
    seen: set[str] = set()
    try:
        for sample in samples(trainer, folder, ""):
            made.samples += 1
            made.used += bool(sample.size)
            made.bytes += sample.size or 0
            name = f"{sample.shard}: {sample.key}" if sample.shard else sample.key
            for kind, why in _faults(sample, seen):
                made.add(kind, f"{name}{why and f': {why}'}")
            seen.add(sample.key)
    except Unreadable as error:
        made.add("cannot be read", f"{error.args[0]}: {error.args[1]}")
    return made


def _faults(sample: Sample, seen: set[str]) -> Iterator[tuple[str, str]]:
    if sample.size is None:
        dotted = f"a key ends at its first dot; it has {', '.join(sample.others)}" if sample.others else ""
        yield "no video", dotted
    elif not sample.size:
        yield "empty video", ""
    if not (sample.caption or "").strip():
        yield "no caption", ""
    elif len((sample.caption or "").splitlines()) > 1:
        yield "caption of several lines", ""
    if sample.key in seen:
        yield "key of another sample", ""
    if sample.twice:
        yield "two members of one kind", sample.twice
