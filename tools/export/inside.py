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
from tools.base.packages import require_package
from tools.export.layouts.sample_files import read_samples
from tools.export.layouts.samples import INDEX, indexed
from tools.media.reading.extensions import VIDEO_EXTENSIONS

_MEMBER = re.compile(r"((?:.*/)?[^./]+)(\.[^/]*)", re.DOTALL)
"""Key of a member up to the first dot of its name, and what follows."""


_ARROW = b"LDARW01\0"
_CAPTIONS = ("caption", "text", "prompt")
"""What captions are called in data sets of others, the more telling first."""


class Unreadable(Exception):
    """A shard cannot be read; ``args`` are its name and why."""


@dataclass(frozen=True)
class Sample:
    """One sample of a shard.

    Attributes:
        shard: The shard.
        key: Its key; of data sets of others without keys its number.
        caption: None where it has none.
        size: Bytes of its video; None where it has none.
        others: Kinds of its other members, in tar files.
        twice: A kind of member that it has twice; "" for none.
    """

    shard: str
    key: str
    caption: str | None
    size: int | None
    others: tuple[str, ...] = ()
    twice: str = ""


def samples(trainer: str, shards: Path, name: str) -> Iterator[Sample]:
    """The samples of one folder of shards, in their order.

    Args:
        trainer: webdataset, mds, litdata or lance.
        shards: The folder.
        name: What it is called in names of shards.

    Raises:
        Unreadable: A shard or the index is missing or damaged; samples before it were given.
        UserError: The package that reads them is not installed.
    """
    try:
        yield from _READERS[trainer](shards, f"{name}/" if name else "")
    except (OSError, ValueError, RuntimeError) as error:  # Lance raises all of them
        raise Unreadable(name or str(shards), f"cannot be read: {system_message(error)}") from None


def _webdataset(shards: Path, begin: str) -> Iterator[Sample]:
    """As `webdataset` reads tar files: members of one key follow one another."""
    for path in sorted(shards.glob("*.tar")):
        name = f"{begin}{path.name}"
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
            elif kind in VIDEO_EXTENSIONS:
                size = member.size
        known = (".txt", ".json", *VIDEO_EXTENSIONS)
        others = tuple(kind for kind in dict.fromkeys(kinds) if kind not in known)
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), "")
        yield Sample(name, key, caption, size, others, twice)


def _indexed(shards: Path, begin: str) -> Iterator[Sample]:
    """MDS and LitData, whose index names the shards."""
    form, listed = indexed(json.loads((shards / INDEX).read_bytes()))
    total = 0
    for file, count in listed:
        name, found = f"{begin}{file}", 0
        try:
            for values in _rows_of_arrow(shards / file) or read_samples(shards / file, form):
                video = next((values[field] for field, kind in form.fields.items() if kind == "bytes"), None)
                yield _sample(name, values, total + found, video)
                found += 1
        except (OSError, ValueError) as error:
            raise Unreadable(name, f"cannot be read: {system_message(error)}") from None
        if found != count:
            raise Unreadable(name, f"has {found} samples, {count} in its index")
        total += found


def _rows_of_arrow(path: Path) -> Iterator[dict[str, Any]] | None:
    """Rows of a chunk that litdata 0.2.76 writes of flat samples: an Arrow file, its length, a mark.

    Of bytes how many there are. None if it is no such chunk.
    """
    size, end = path.stat().st_size, 4 + len(_ARROW)
    with path.open("rb") as file:
        file.seek(max(0, size - end))
        tail = file.read()
    length = int.from_bytes(tail[:4], "little")
    return _arrow_rows(path, size - end - length, length) if tail[4:] == _ARROW else None


def _arrow_rows(path: Path, begin: int, length: int) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    with pa.memory_map(str(path)) as mapped:
        mapped.seek(begin)
        batches = pa.ipc.open_file(pa.BufferReader(mapped.read_buffer(length)))
        for number in range(batches.num_record_batches):
            batch = batches.get_batch(number)
            columns = {
                name: pc.call_function("binary_length", [column]) if "binary" in str(column.type) else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }
            yield from pa.table(columns).to_pylist()


def _lance(shards: Path, begin: str) -> Iterator[Sample]:
    require_package("lance")
    lance: Any = importlib.import_module("lance")
    data = lance.dataset(str(shards))
    bytes_like = [
        field.name for field in data.schema if "binary" in str(field.type) or "blob" in str(field.type)
    ]
    video = next((name for name in ("video", *bytes_like) if name in bytes_like), None)
    texts = [field.name for field in data.schema if str(field.type) in ("string", "large_string")]
    columns = [name for name in ("key", *_CAPTIONS) if name in texts] + ([video] if video else [])
    number = 0
    for batch in data.to_batches(columns=columns):
        for row in batch.to_pylist():
            blob = row.get(video)  # where it lies, and its size
            size = blob["size"] if isinstance(blob, dict) else None if blob is None else len(blob)
            yield _sample(begin.rstrip("/"), row, number, size)
            number += 1


def _sample(shard: str, values: dict[str, Any], number: int, size: int | None) -> Sample:
    caption = next((values[name] for name in _CAPTIONS if isinstance(values.get(name), str)), None)
    return Sample(shard, str(values.get("key", number)), caption, size)


_READERS: dict[str, Callable[[Path, str], Iterator[Sample]]] = {
    "webdataset": _webdataset,
    "mds": _indexed,
    "litdata": _indexed,
    "lance": _lance,
}
