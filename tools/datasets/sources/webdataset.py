"""WebDataset: .tar shards whose members belong together by their names (https://github.com/webdataset/webdataset).

The key of a member is its path up to the first dot of its file name, the rest is what it is: ``a/007.mp4``,
``a/007.txt`` and ``a/007.meta.json`` are the video, caption and fields of sample ``a/007``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tools.base.disk import system_message
from tools.datasets.sources import Found, SourceOptions
from tools.datasets.sources.extracting import Extraction
from tools.datasets.sources.records import TEXT_KEYS, RowTable, caption_of, file_id, renamed
from tools.datasets.sources.shards import DAMAGED, Shard, find_shards, read_members
from tools.datasets.sources.videofolder import split_of
from tools.errors import MediaError, UserError

_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")
_CAPTIONS = ("txt", "caption", "text", "cap")
"""Members that are the caption, the more telling first; other members of these kinds are columns."""
_LABELS = ("cls", "id", "index")
_LARGEST_TEXT = 1 << 24  # bytes of a caption or of the fields of one sample
_COLUMNS = ("path", "id", "relpath", "text", "shard", "key")
_NAMED = 5  # keys that a note names
_SECONDS = 30.0  # from one line about the progress to the next


def read(places: Sequence[str], options: SourceOptions) -> Found:
    """Extract the videos of shards, and make a row of each.

    Shards are read one after the other, from front to end, and only captions and fields of one shard are held
    in memory. A video ``a/007.mp4`` of ``train/003.tar`` is written to ``DIR/train/003/a/007.mp4`` (below the
    folder that all shards have in common); a file that is there with the same content is kept, so that an
    interrupted run goes on, and another file is never replaced. Members are regular files whose names stay
    inside the folder; links, devices and others are failures.

    Columns of a row: path, id (file name without its extension), relpath (below DIR), text (the member .txt,
    .caption, .text or .cap, else the field text, caption, prompt or description; or the field
    ``options.text_column``), split (of folders called train, val, test …), shard, key, and the fields of
    .json members but for one that repeats the caption. A field called like another column gets ``json_``
    before its name.
    ``options.exts`` chooses other members than videos.

    Raises:
        UserError: No shard or no such member is found, or no folder to extract to is named.
    """
    from tools.media.reading.extensions import VIDEO_EXTENSIONS

    shards = find_shards(places)
    reader = _Reader(
        Extraction(options.extract, "webdataset"), tuple(options.exts) or VIDEO_EXTENSIONS, options
    )
    reader.read_all(shards)
    if not reader.count and not reader.failures:
        kinds = ", ".join(f".{kind}" for kind, _ in reader.others.most_common(8)) or "none"
        raise UserError(
            f"{places[0]}: no member of the shards ends in {' '.join(reader.exts)} (there are: {kinds}); "
            "--exts names the ones to take"
        )
    table = reader.rows.table()
    return Found(table, reader.failures, reader.notes(len(shards)), [s.path for s in shards], "row")


@dataclass
class _Sample:
    """What belongs to one key of a shard."""

    media: list[tuple[str, str]] = field(default_factory=list)  # path and relpath
    texts: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)


class _Reader:
    """Reads shards into rows.

    Attributes:
        rows: The rows.
        count: How many there are.
        failures: Members and shards that could not be used.
        others: Kinds of members that were not looked at, with their number.
    """

    def __init__(self, extraction: Extraction, exts: tuple[str, ...], options: SourceOptions) -> None:
        self.exts = exts
        self.rows = RowTable(("path", "id", "relpath"))
        self.count = 0
        self.failures: list[MediaError] = []
        self.others: Counter[str] = Counter()
        self._extraction = extraction
        self._text_column = options.text_column
        self._keys: Counter[str] = Counter()
        self._without = 0

    def read_all(self, shards: Sequence[Shard]) -> None:
        """Read the shards, with a bar of the bytes read, or a line every 30 s where there is no terminal."""
        from tqdm import tqdm

        total = sum(os.path.getsize(shard.path) for shard in shards)  # noqa: PTH202
        said = time.monotonic()
        with tqdm(total=total, desc="shards", unit="B", unit_scale=True, disable=None) as bar:
            for number, shard in enumerate(shards):
                if time.monotonic() - said > _SECONDS and not sys.stderr.isatty():
                    said = time.monotonic()
                    print(f"{number} of {len(shards)} shards, {self.count} rows", file=sys.stderr)
                samples: dict[str, _Sample] = {}
                try:
                    with shard.path.open("rb") as stream:
                        self._read(shard, stream, samples)
                except MediaError as error:
                    self.failures.append(error)
                except OSError as error:
                    message = f"cannot be read: {system_message(error)}"
                    self.failures.append(MediaError("unreadable", shard.path, message))
                self._add(shard, samples)
                bar.update(os.path.getsize(shard.path))  # noqa: PTH202

    def _read(self, shard: Shard, stream: BinaryIO, samples: dict[str, _Sample]) -> None:
        """Read one shard; what was read is in ``samples`` also where it turns out to be damaged."""
        for member, content in read_members(shard.path, stream):
            if member.isdir():
                continue
            name = _without_dot(member.name)
            found = _MEMBER.fullmatch(name)
            if found is None:
                self.others[name.rpartition("/")[2][:20]] += 1
                continue
            key, kind = found[1], found[2].lower()
            try:
                if content is None or member.issparse():
                    raise MediaError("not_a_file", shard.path, f"{name!a} is {_kind_of(member)}")
                sample = samples.setdefault(key, _Sample())
                if kind in sample.members:
                    raise MediaError("bad_value", shard.path, f"key {key} has two members .{kind}")
                sample.members.add(kind)
                self._take(shard, sample, name, kind, content, member.size)
            except MediaError as error:
                self.failures.append(error)
            except DAMAGED as error:
                message = f"the shard is damaged inside {name!a}: {error}"
                raise MediaError("unreadable", shard.path, message) from None

    def _take(
        self, shard: Shard, sample: _Sample, name: str, kind: str, content: BinaryIO, size: int
    ) -> None:
        last = kind.rpartition(".")[2]
        if f".{last}" in self.exts:
            inside = f"{shard.name}/{name}"
            path = self._extraction.put(content, size, inside, shard.path)
            sample.media.append((str(path), inside))
        elif last == "json":
            sample.fields.update(_fields(_text(content, size, name, shard), name, shard))
        elif last in _CAPTIONS or last in _LABELS:
            sample.texts[kind] = _text(content, size, name, shard)
        else:
            self.others[kind] += 1

    def _add(self, shard: Shard, samples: dict[str, _Sample]) -> None:
        for key, sample in samples.items():
            if not sample.media:
                self._without += 1
                continue
            self._keys[key] += 1
            record, texts = dict(sample.fields), dict(sample.texts)
            if record.get("key") in (key, key.rpartition("/")[2]):
                del record["key"]  # as img2dataset and video2dataset write it
            kind = next((kind for kind in _CAPTIONS if kind in texts), None)
            if self._text_column:
                text = caption_of(record, self._text_column)
            else:
                text = texts.pop(kind).strip() if kind else caption_of(record)
                # Others, and tools.export, write it into the fields as well.
                record = {
                    name: value for name, value in record.items() if name not in TEXT_KEYS or value != text
                }
            for path, relpath in sample.media:
                cells: dict[str, Any] = {"path": path, "id": file_id(relpath), "relpath": relpath}
                if text is not None:
                    cells["text"] = text
                split = split_of(relpath)
                if split and "split" not in record:
                    cells["split"] = split
                cells |= {"shard": str(shard.path), "key": key}
                cells |= renamed(texts, _COLUMNS, "member_")
                cells |= renamed(record, {*_COLUMNS, *cells}, "json_")
                self.rows.add(cells)
                self.count += 1

    def notes(self, shards: int) -> list[str]:
        """Lines for the user: what was read, written and left out."""
        lines = [f"{shards} shards read", *self._extraction.notes()]
        if self._without:
            lines.append(f"{self._without} keys have no member that ends in {' '.join(self.exts)}: no rows")
        if self.others:
            kinds = ", ".join(f"{kind} {count}" for kind, count in self.others.most_common(8))
            lines.append(f"members that were not used: {kinds}")
        if twice := [key for key, count in self._keys.items() if count > 1]:
            shown = ", ".join(twice[:_NAMED]) + (", ..." if len(twice) > _NAMED else "")
            lines.append(f"{len(twice)} keys are in more than one shard ({shown}); relpath tells them apart")
        return lines


def _without_dot(name: str) -> str:
    """A member's name without the ``./`` that ``tar -C DIR .`` begins all names with."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _kind_of(member: Any) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!a}; shards are read with the files themselves in them"
    return "a sparse file" if member.issparse() else "a device or a pipe"


def _text(content: BinaryIO, size: int, name: str, shard: Shard) -> str:
    if size > _LARGEST_TEXT:
        raise MediaError("too_large", shard.path, f"{name} has {size:,} bytes")
    try:
        return content.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MediaError("bad_value", shard.path, f"{name} is not UTF-8 text") from None


def _fields(text: str, name: str, shard: Shard) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise MediaError("bad_value", shard.path, f"{name} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise MediaError("bad_value", shard.path, f"{name} holds no JSON object")
    return value
