"""Formats that hold many clips in one file: WebDataset and Lance; MDS and LitData are in `samples`.

The clips are made in ``clips/`` first and packed into ``shards/`` when all of them are there, which comes
into being as a whole, and is left alone when it is made again of the same. What is packed may then be
removed; while it is there, making the same folder again goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import tarfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from tools import __version__
from tools.base.packages import missing_package, require_package
from tools.errors import UserError
from tools.export.items import Item
from tools.export.layouts.base import Layout, by_split, check, join
from tools.export.layouts.clip_file import ClipFile
from tools.export.layouts.formats import json_text
from tools.export.layouts.shard_folder import SHARDS, ShardFolder
from tools.export.layouts.tables import facts
from tools.export.trainers.base import Setup

SIZE = 1_000_000_000
"""Bytes of a shard, about."""


class Shards(Layout):
    """Clips packed into ``shards/``."""

    sharded = True

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """None: all is in the shards."""
        del items, setup, split, folder
        yield from ()

    def write(self, folder: Path, items: Sequence[Item], size: int = SIZE) -> list[str]:
        """Pack the clips of a folder.

        Args:
            folder: Where the files of the items are.
            items: Clips, in the order in which they are packed.
            size: Bytes of a shard, about: a larger clip has a shard of its own.

        Returns:
            The folders of shards, one for each split, relative to `folder`.

        Raises:
            UserError: The package is not installed, `size` is not positive, a clip is missing, or there is
                a folder of this name which was not made here.
            DiskError: The disk is at fault.
        """
        if size < 1:
            raise UserError(f"shards of {size} bytes: choose a size of 1 byte or more")
        if self.needs:
            _imported(self.needs, f"--for {self.trainer.name}")
        made = []
        for split, group in by_split(items).items():
            check(group, self.root(split))
            for item in group:
                if not (folder / item.file).is_file():
                    raise UserError(f"{folder / item.file}: there is no such file: make the folder again")
            shards, digest = ShardFolder(folder / split), self._made_of(folder, group, size)
            clips = [folder / item.file for item in group]
            if not shards.is_made_of(digest, clips):
                shards.replace(digest, clips, partial(self.pack, folder=folder, items=group, size=size))
            made.append(join(split, SHARDS))
        return made

    def _made_of(self, folder: Path, items: Sequence[Item], size: int) -> str:
        """A digest of all that decides what is in the shards, but for the content of clips."""
        package = getattr(_imported(self.needs), "__version__", "") if self.needs else ""
        digest = hashlib.sha256(repr((self.trainer.name, package, __version__, size)).encode())
        for item in items:
            size = (folder / item.file).stat().st_size
            digest.update(json.dumps([facts(item), item.file, size]).encode())
        return digest.hexdigest()

    @staticmethod
    def stale(folder: Path, made: Sequence[str]) -> list[ShardFolder]:
        """Folders of shards in an exported folder that earlier runs made, of splits that are no more."""
        return [one for one in ShardFolder.below(folder) if one.path not in {folder / name for name in made}]

    @abstractmethod
    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """Write the shards of one split into `target`, whose parent exists, and which does not yet."""


class WebDataset(Shards):
    """``000000.tar`` … of ``KEY.mp4``, ``KEY.txt`` and ``KEY.json``, the same bytes each time.

    ``index.json`` has their checksums and numbers of clips; it is one of `wids`, which reads them at random.
    """

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """A new shard where the next clip would make it larger than `size`."""
        target.mkdir()
        shards = []
        for number, group in enumerate(_groups(folder, items, size)):
            path = target / f"{number:06}.tar"
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
                for item in group:
                    self._add(tar, folder, item)
            shards.append(
                {
                    "url": path.name,
                    "nsamples": len(group),
                    "filesize": path.stat().st_size,
                    "sha256": _digest(path),
                }
            )
        index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": shards}
        (target / "index.json").write_text(json_text(index))

    def _add(self, tar: tarfile.TarFile, folder: Path, item: Item) -> None:
        path = folder / item.file
        entry = tarfile.TarInfo(f"{item.key}{path.suffix.lower()}")
        with ClipFile(path) as clip:
            entry.size = clip.size
            tar.addfile(entry, clip)  # type: ignore[arg-type]
        for suffix, text in ((".txt", item.caption), (".json", json.dumps(facts(item)))):
            entry = tarfile.TarInfo(f"{item.key}{suffix}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))


class Lance(Shards):
    """A table of Lance, with the video in column ``video`` of blobs, which are read as files."""

    needs = "lance"

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """One clip in memory at a time."""
        import pyarrow as pa

        lance = _imported(self.needs)
        texts = [pa.field(name, pa.string()) for name in ("caption", "key", "source_path")]
        numbers = [pa.field(name, pa.int64()) for name in ("width", "height", "num_frames", "source_row")]
        rest = [pa.field("fps", pa.float64()), pa.field("has_audio", pa.bool_())]
        video = pa.field("video", pa.large_binary(), metadata={"lance-encoding:blob": "true"})
        schema = pa.schema([*texts, *numbers, *rest, video])

        def batches() -> Iterator[pa.RecordBatch]:
            for item in items:
                with ClipFile(folder / item.file) as clip:
                    row = {**facts(item), "video": clip.read()}
                yield pa.RecordBatch.from_pylist([row], schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        lance.write_dataset(reader, str(target), schema=schema, max_bytes_per_file=size)


def _groups(folder: Path, items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    total = 0
    for item in items:
        length = (folder / item.file).stat().st_size
        if group and total + length > size:
            yield group
            group, total = [], 0
        group.append(item)
        total += length
    if group:
        yield group


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _imported(package: str, what: str = "") -> Any | ModuleType:
    require_package(package, what)
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:  # of what it needs in turn
        raise missing_package(error) or error from None
