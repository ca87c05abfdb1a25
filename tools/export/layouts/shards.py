"""Formats that hold many clips in one file: WebDataset, MDS, LitData, Lance.

The clips are made in ``clips/`` first and packed into ``shards/`` when all of them are there, which comes
into being as a whole. What is packed may then be removed; while it is there, making the same folder again
goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import shutil
import tarfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.base.disk import make_folder, write_whole, writing
from tools.base.packages import missing_package, not_installed
from tools.errors import UserError
from tools.export.items import Item
from tools.export.layouts.base import Layout, by_split, check, join
from tools.export.layouts.formats import json_text
from tools.export.layouts.tables import facts
from tools.export.trainers.base import Setup

SIZE = 1_000_000_000
"""Bytes of a shard, about."""

SHARDS = "shards"
_MARK = ".shards.json"
"""Beside the folder of shards: that it was made here, so that it may be replaced."""


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
            self._replace(folder / split, folder, group, size)
            made.append(join(split, SHARDS))
        return made

    @abstractmethod
    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """Write the shards of one split into `target`, whose parent exists, and which does not yet."""

    def _replace(self, parent: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        target, mark, temporary = parent / SHARDS, parent / _MARK, parent / f".{SHARDS}.tmp"
        if target.exists() and not mark.exists():
            raise UserError(f"{target}: was not made by this command: move it, or choose another folder")
        make_folder(parent)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with writing(target):
                self.pack(temporary, folder, items, size)
                write_whole(mark, json_text({"format": self.trainer.name, "clips": len(items)}).encode())
                if target.exists():
                    shutil.rmtree(target)
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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
        entry.size = path.stat().st_size
        with path.open("rb") as file:
            tar.addfile(entry, file)
        for suffix, text in ((".txt", item.caption), (".json", json.dumps(facts(item)))):
            entry = tarfile.TarInfo(f"{item.key}{suffix}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))


class MDS(Shards):
    """Shards of MosaicML Streaming, with the video in column ``video`` as bytes."""

    needs = "streaming"

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """Each shard has its checksum in ``index.json``."""
        streaming = _imported(self.needs)
        columns = {"video": "bytes", "caption": "str", "key": "str", "source_path": "str", "fps": "float64"}
        columns |= dict.fromkeys(("width", "height", "num_frames", "source_row", "has_audio"), "int")
        limit = min(size, 2**32 - 1)  # offsets in a shard have 32 bits
        with streaming.MDSWriter(
            out=str(target), columns=columns, size_limit=limit, hashes=["sha256"]
        ) as writer:
            for item in items:
                row = facts(item)
                writer.write({**row, "has_audio": int(item.has_audio), "video": _bytes(folder, item)})


class LitData(Shards):
    """Chunks of LitData; each sample is a dictionary with the video in ``video`` as bytes."""

    needs = "litdata"

    def pack(self, target: Path, folder: Path, items: Sequence[Item], size: int) -> None:
        """By the writer below `litdata.optimize`, in this process."""
        _imported(self.needs)
        module = importlib.import_module("litdata.streaming.writer")
        target.mkdir()
        writer = module.BinaryWriter(str(target), chunk_bytes=size)
        for number, item in enumerate(items):
            writer[number] = {**facts(item), "video": _bytes(folder, item)}
        writer.done()
        writer.merge(num_workers=1)


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
                row = {**facts(item), "video": _bytes(folder, item)}
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


def _bytes(folder: Path, item: Item) -> bytes:
    return (folder / item.file).read_bytes()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _imported(package: str, what: str = "") -> Any | ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise not_installed(package, what) from None
        raise missing_package(error) or error from None
