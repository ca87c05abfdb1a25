"""Shards of MDS and of LitData: one file of many samples, each a few named values.

Both begin with the number of samples and the place of each of them (uint32, little-endian); a sample is the
lengths of its values and their bytes. MDS has a JSON text before the samples, its values in the order of
their names, and no lengths of those that are always as long. Sources: "Dataset format" of
docs.mosaicml.com and `streaming/base/format/mds` of mosaicml/streaming@0.13.0;
`litdata/streaming/writer.py` of Lightning-AI/litData@0.2.76.

They are written here and not by those packages: mosaicml-streaming cannot be installed beside a current
transformers, and the writer of LitData takes a text that is the path of a file for that file, waits for ever
under torchrun, and holds a shard in memory three times.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, BinaryIO

from tools.errors import UserError
from tools.export.layouts.clip_file import ClipFile

MOST = 2**32 - 1
"""Bytes of a shard: places have 32 bits."""

_MOST_OF_A_CLIP = MOST - (1 << 24)  # bytes; the rest is for its caption and the head of the shard

_BLOCK = 1 << 20  # bytes
FIXED = {"int": struct.Struct("<q"), "int64": struct.Struct("<q"), "float64": struct.Struct("<d")}
FIXED |= {"float": FIXED["float64"], "bool": struct.Struct("<?")}
"""Values that are always as long, by what MDS (int, float64) and LitData (int, float, bool) call them."""


@dataclass(frozen=True)
class Form:
    """What the samples of a shard have.

    Attributes:
        fields: Name of each value → its kind: a fixed one, ``str`` or ``bytes``. In the order in which they
            are written.
        all_lengths: Whether a sample has the lengths of fixed values, too.
        before: What stands between the places and the samples.
    """

    fields: Mapping[str, str]
    all_lengths: bool
    before: bytes = b""

    def head(self, samples: int) -> int:
        """Bytes before the first of so many samples."""
        return 4 + 4 * (samples + 1) + len(self.before)


@dataclass(frozen=True)
class Written:
    """A shard that was written: its name, samples, bytes, and the SHA-256 of them."""

    name: str
    samples: int
    size: int
    sha256: str


@dataclass(frozen=True)
class _Sample:
    """A sample without its file, which is between two texts."""

    before: bytes
    file: Path
    length: int
    after: bytes

    @property
    def size(self) -> int:
        return len(self.before) + self.length + len(self.after)


def write_shards(
    target: Path, name: str, form: Form, rows: Iterator[tuple[Mapping[str, Any], Path]], size: int
) -> Iterator[Written]:
    """Write samples into shards, each not larger than asked, but for one sample that is larger alone.

    Only texts and numbers of one shard are in memory, and a block of one file.

    Args:
        target: A folder that exists.
        name: Name of a shard, with ``{}`` for its number.
        form: What samples have; its one field of kind ``bytes`` is a file.
        rows: Values by the names of fields, and the file.
        size: Bytes of a shard.

    Raises:
        UserError: A file cannot be read, changes meanwhile, or is too large for the format.
        OSError: A shard cannot be written.
    """
    number, total = 0, form.head(0)
    group: list[_Sample] = []
    for values, file in rows:
        sample = _sample(form, values, file)
        if group and total + 4 + sample.size > min(size, MOST):
            yield _write(target / name.format(number), form, group)
            number, total, group = number + 1, form.head(0), []
        group.append(sample)
        total += 4 + sample.size
    if group:
        yield _write(target / name.format(number), form, group)


def _sample(form: Form, values: Mapping[str, Any], file: Path) -> _Sample:
    with ClipFile(file) as clip:
        length = clip.size
    if length > _MOST_OF_A_CLIP:
        raise UserError(
            f"{file}: has {length:,} bytes, and this format takes {_MOST_OF_A_CLIP:,} at most; "
            "webdataset takes larger ones"
        )
    parts: list[bytes] = [b"", b""]
    lengths, place = [], 0
    for name, kind in form.fields.items():
        if kind == "bytes":
            lengths.append(length)
            place = 1
            continue
        packed = FIXED[kind].pack(values[name]) if kind in FIXED else str(values[name]).encode()
        if form.all_lengths or kind not in FIXED:
            lengths.append(len(packed))
        parts[place] += packed
    return _Sample(struct.pack(f"<{len(lengths)}I", *lengths) + parts[0], file, length, parts[1])


def _write(path: Path, form: Form, samples: Sequence[_Sample]) -> Written:
    places = list(accumulate((sample.size for sample in samples), initial=form.head(len(samples))))
    digest = hashlib.sha256()
    with path.open("wb") as out:

        def put(data: bytes) -> None:
            digest.update(data)
            out.write(data)

        put(struct.pack(f"<{len(places) + 1}I", len(samples), *places) + form.before)
        for sample in samples:
            put(sample.before)
            with ClipFile(sample.file) as clip:
                if clip.size != sample.length:
                    raise UserError(f"{sample.file}: has changed while it was packed; run it again")
                while block := clip.read(_BLOCK):
                    put(block)
            put(sample.after)
    return Written(path.name, len(samples), places[-1], digest.hexdigest())


def read_samples(path: Path, form: Form) -> Iterator[dict[str, Any]]:
    """The samples of a shard: texts, numbers, and of bytes how many there are.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        try:
            (count,) = struct.unpack("<I", file.read(4))
            if 4 * (count + 2) > path.stat().st_size:
                raise ValueError("it is shorter than its list of samples")
            places = struct.unpack(f"<{count + 1}I", file.read(4 * (count + 1)))
            if places[-1] != path.stat().st_size:
                raise ValueError("it is not as long as it says")
            for begin, end in pairwise(places):
                file.seek(begin)
                yield _values(file, form, end - begin)
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"it is damaged: {error}") from None


def _values(file: BinaryIO, form: Form, size: int) -> dict[str, Any]:
    given = [name for name, kind in form.fields.items() if form.all_lengths or kind not in FIXED]
    lengths = dict(zip(given, struct.unpack(f"<{len(given)}I", file.read(4 * len(given))), strict=True))
    fixed = {name: FIXED[kind].size for name, kind in form.fields.items() if kind in FIXED}
    if {**lengths, **fixed} != {**fixed, **lengths} or 4 * len(given) + sum(
        {**lengths, **fixed}.values()
    ) != size:
        raise ValueError("a sample is not as long as its values")
    values: dict[str, Any] = {}
    for name, kind in form.fields.items():
        if kind in FIXED:
            (values[name],) = FIXED[kind].unpack(file.read(FIXED[kind].size))
        elif kind == "str":
            values[name] = file.read(lengths[name]).decode()
        else:
            values[name] = lengths[name]
            file.seek(lengths[name], 1)
    return values
