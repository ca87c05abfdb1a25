"""Shards of a data set: which .tar files a user names, and their members, read in one pass."""

from __future__ import annotations

import glob
import gzip
import os
import re
import struct
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tools.base.disk import system_message
from tools.datasets.scan import find_files
from tools.errors import MediaError, UserError

SHARD_EXTENSIONS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
"""What the name of a shard ends in; whether it is compressed is told by its content."""

DAMAGED = (tarfile.TarError, EOFError, zlib.error, LZMAError)
"""What reading a damaged shard raises, also from the content of a member."""

_HEADERS = (ValueError, TypeError, LookupError, ArithmeticError, struct.error)
"""What ``tarfile`` raises, besides its own errors, at headers that make no sense."""

_BLOCK = 1 << 20  # bytes
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?")
_MOST = 1_000_000  # shards that a pattern may stand for


class Shard(NamedTuple):
    """A .tar file.

    Attributes:
        path: The file.
        name: Its path below the folder that was named, or that all shards have in common, without the
            extension: the folder of its members.
    """

    path: Path
    name: str


def find_shards(places: Sequence[str]) -> list[Shard]:
    """The shards that are meant by folders, patterns and names.

    Args:
        places: Each a folder (all .tar files below it, sorted), a name with braces, of which every file has
            to be there (``{000..009}``, ``{a,b}``, several of them), a pattern with ``*``, ``?`` or ``[…]``
            (sorted), or a file.

    Raises:
        UserError: One of them stands for no file.
    """
    paths = list(dict.fromkeys(path for place in places for path in _expanded(place)))
    common = os.path.commonpath([os.path.abspath(path.parent) for path in paths])  # noqa: PTH100
    if len(places) == 1 and os.path.isdir(places[0]):  # noqa: PTH112
        common = os.path.abspath(places[0])  # noqa: PTH100  (names stay when further shards come)
    names = [os.path.relpath(_without_extension(os.path.abspath(path)), common) for path in paths]  # noqa: PTH100
    count = Counter(names)
    for path, name in zip(paths, names, strict=True):
        if count[name] > 1:
            raise UserError(f"{path}: another shard has this name with another extension; read them apart")
    return [Shard(path, name) for path, name in zip(paths, names, strict=True)]


def _expanded(place: str) -> list[Path]:
    if os.path.isdir(place):  # noqa: PTH112
        found = find_files(place, (".tar", ".tgz", ".gz", ".bz2", ".xz"))
        shards = [path for path in found if path.name.lower().endswith(SHARD_EXTENSIONS)]
        if not shards:
            raise UserError(f"{place}: has no file that ends in {' '.join(SHARD_EXTENSIONS)}")
        return shards
    if os.path.exists(place):  # noqa: PTH110  (a name with braces or brackets in it)
        return [Path(place)]
    paths: list[Path] = []
    for name in expand_braces(place):
        if os.path.exists(name):  # noqa: PTH110
            paths.append(Path(name))
            continue
        matching = sorted(glob.glob(name)) if glob.has_magic(name) else []
        if not matching:
            kind = "no file matches" if glob.has_magic(name) else "there is no such shard"
            raise UserError(f"{name}: {kind}" + (f" (of {place})" if name != place else ""))
        paths.extend(map(Path, matching))
    return paths


def expand_braces(pattern: str) -> list[str]:
    """The names that a pattern with braces stands for, as in bash: ``a{1..3}``, ``{07..10..2}``, ``{x,y}``.

    Braces without a comma or a range stay as they are. Numbers have the digits of the longer end of their
    range where one of the ends begins with 0.

    Raises:
        UserError: They are too many.
    """
    match = next((m for m in _BRACES.finditer(pattern) if "," in m[1] or _RANGE.fullmatch(m[1])), None)
    if match is None:
        return [pattern]
    found = _RANGE.fullmatch(match[1])
    pieces = _range(found) if found else match[1].split(",")
    rests = expand_braces(pattern[match.end() :])
    if len(pieces) * len(rests) > _MOST:
        raise UserError(f"{pattern}: stands for more than {_MOST:,} shards")
    names = [pattern[: match.start()] + piece + rest for piece in pieces for rest in rests]
    # Braces within braces: the inner ones are expanded first.
    return [inner for name in names for inner in expand_braces(name)] if "{" in names[0] else names


def _range(found: re.Match[str]) -> list[str]:
    first, last, step = found[1], found[2], abs(int(found[3] or 1)) or 1
    padded = any(re.fullmatch(r"-?0\d+", end) for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    begin, end = int(first), int(last)
    if abs(end - begin) // step >= _MOST:
        raise UserError(f"{found[0]}: stands for more than {_MOST:,} shards")
    numbers = range(begin, end + 1, step) if begin <= end else range(begin, end - 1, -step)
    return [f"{number:0{width}d}" if width else str(number) for number in numbers]


def _without_extension(path: str) -> str:
    ending = next((ending for ending in SHARD_EXTENSIONS if path.lower().endswith(ending)), "")
    return path[: len(path) - len(ending)]


class _Tar(tarfile.TarFile):
    """A shard.

    Attributes:
        members: Those that were read.
        last_header: Why the last header was taken for the end.
    """

    members: list[tarfile.TarInfo]
    last_header: tarfile.HeaderError | None = None


class _Member(tarfile.TarInfo):
    """A member. ``tarfile`` takes a header that it cannot read for the end; this keeps the reason."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        """As in the base class, but keeps the error."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if isinstance(tarfile_, _Tar):
                tarfile_.last_header = error
            raise


def _unzipped(opened: BinaryIO) -> BinaryIO:
    """A file's bytes, unpacked by gzip, which verifies checksums (``tarfile`` does not)."""
    head = opened.read(2)
    opened.seek(0)
    return gzip.GzipFile(fileobj=opened) if head == b"\x1f\x8b" else opened  # type: ignore[return-value]


def read_members(shard: Path, opened: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """The members of a shard in their order, each with its content, which is to be read before the next.

    A member that is no regular file has None instead. The shard is read in one pass, a block at a time.

    Args:
        shard: The .tar file, perhaps compressed, for errors.
        opened: The same, open for reading.

    Raises:
        MediaError: unreadable: it is no .tar file; or, after the members before, it is damaged or cut off.
    """
    here = "its beginning"
    try:
        stream = _unzipped(opened)
        with _Tar.open(fileobj=stream, mode="r|*", bufsize=_BLOCK, tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                here = ascii(member.name)
                content = tar.extractfile(member) if member.isreg() else None
                yield member, content  # type: ignore[misc]
                tar.members.clear()  # of a long shard they would fill the memory
            ended = tar.last_header
        if type(ended).__name__ != "EOFHeaderError":
            raise tarfile.ReadError("has no end mark: cut off, or damaged")
        here = "its last member"
        while stream.read(_BLOCK):  # up to the checksum of a compressed one
            pass
    except (*DAMAGED, *_HEADERS, gzip.BadGzipFile) as error:
        raise MediaError("unreadable", shard, f"the shard is damaged after {here}: {error}") from None
    except OSError as error:
        raise MediaError("unreadable", shard, f"cannot be read: {system_message(error)}") from None
