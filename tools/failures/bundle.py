"""A small reproduction of failures: the files that failed, or their beginnings and ends, and the command.

It is made to be given to others: paths become numbers, addresses lose user, password and query, options that
name a key or a password lose their value, and columns of text (captions) are left out.
"""

from __future__ import annotations

import json
import platform
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import polars as pl

from tools import __version__
from tools.base.addresses import is_address, without_secrets
from tools.base.disk import publish, writing
from tools.base.packages import versions_of
from tools.base.temporary_files import temporary_file
from tools.errors import UserError
from tools.failures.reading import Failed
from tools.failures.retry import recorded_command

PER_KIND = 2
"""Files of each kind that are packed."""

WHOLE = 512 << 20
"""Bytes of a file up to which a gap is filled with zeros, so that what is at its end is where it was."""

_PACKAGES = ("torch", "av", "opencv-python-headless", "polars", "numpy", "pillow", "scenedetect-headless")
_SECRET = re.compile(r"key|token|secret|password|credential|auth", re.IGNORECASE)
_KEPT_TEXT = ("timestamp", "codec", "pixel_format", "container", "audio_codec")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Packed:
    """A file of the bundle.

    Attributes:
        path: As in the table.
        name: In the bundle; empty where only its row is.
        said: How much of it is there.
    """

    path: str
    name: str
    said: str


def write_bundle(
    failed: Sequence[Failed], target: Path, *, head: int, overwrite: bool = False
) -> list[Packed]:
    """Write a bundle.

    Args:
        failed: Tables and their failures.
        target: A ``.zip`` file.
        head: Bytes of a file that are taken from its beginning, and a quarter as many from its end; a file
            of no more is taken whole.
        overwrite: Replace a file that is there.

    Returns:
        What is in it.

    Raises:
        UserError: There is nothing to pack, or a file is in the way.
    """
    if target.suffix != ".zip":
        raise UserError(f"--bundle {target}: must end in .zip")
    if target.exists() and not overwrite:
        raise UserError(f"{target}: is in the way; --overwrite replaces it")
    chosen = [one for one in failed if one.failures.height]
    if not chosen:
        raise UserError("there are no failures to pack")
    packed: list[Packed] = []
    with writing(target, "the bundle"), temporary_file(target) as unfinished:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number, one in enumerate(chosen, 1):
                packed += _pack(archive, one, f"{number}/" if len(chosen) > 1 else "", head)
            archive.writestr("versions.json", json.dumps(versions(), indent=1) + "\n")
        publish(unfinished, target)
    return packed


def _pack(archive: zipfile.ZipFile, failed: Failed, folder: str, head: int) -> list[Packed]:
    some = (
        failed.failures.group_by("kind", maintain_order=True).head(PER_KIND).select("path", "kind", "message")
    )
    packed = [
        _pack_file(archive, path, f"files/{number}", folder, head)
        for number, path in enumerate(some["path"].unique(maintain_order=True), 1)
    ]
    names = {one.path: one.name or f"files/{number}" for number, one in enumerate(packed, 1)}
    lines = [(names[path], kind, _renamed(message, names)) for path, kind, message in some.rows()]
    listed = pl.DataFrame(lines, schema=["path", "kind", "message"], orient="row")
    archive.writestr(f"{folder}failures.csv", listed.write_csv())
    archive.writestr(f"{folder}table.csv", _rows(failed, names).write_csv())
    command = failed.table and recorded_command(failed.table)
    typed = " ".join(redacted_words(command.words)) if command else "not recorded"
    said = "".join(f"{one.name or 'its row alone'}: {one.said}\n" for one in packed)
    archive.writestr(
        f"{folder}README.txt",
        f"Command: {_renamed(typed, names)}\n"
        f"To reproduce: run it in this folder with table.csv as its table.\n\n{said}",
    )
    return packed


def _pack_file(archive: zipfile.ZipFile, path: str, name: str, folder: str, head: int) -> Packed:
    """The file whole, or its beginning and end; what cannot be read is said."""
    if is_address(path):
        return Packed(path, "", "is at an address and was not fetched")
    name += PurePosixPath(path).suffix
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            return Packed(path, "", "is no file, or is not there")
        size = Path(path).stat().st_size
        with (
            Path(path).open("rb") as source,
            archive.open(f"{folder}{name}", "w", force_zip64=True) as target,
        ):
            said = _copy(source, target, size, head)
    except OSError as error:
        return Packed(path, "", f"cannot be read: {error.strerror}")
    return Packed(path, name, said)


def _copy(source: IO[bytes], target: IO[bytes], size: int, head: int) -> str:
    tail = head // 4
    if size <= head + tail:
        _copy_bytes(source, target, size)
        return f"whole, {size:,} bytes"
    _copy_bytes(source, target, head)
    if size > WHOLE:
        return f"the first {head:,} of {size:,} bytes"
    for place in range(head, size - tail, _PIECE):
        target.write(bytes(min(_PIECE, size - tail - place)))
    source.seek(size - tail)
    _copy_bytes(source, target, tail)
    return f"the first {head:,} and the last {tail:,} of {size:,} bytes, zeros between them"


def _copy_bytes(source: IO[bytes], target: IO[bytes], count: int) -> None:
    while count and (piece := source.read(min(count, _PIECE))):
        target.write(piece)
        count -= len(piece)


def _rows(failed: Failed, names: dict[str, str]) -> pl.DataFrame:
    """The rows of the files, without columns of text."""
    if failed.table is None or "path" not in failed.table.columns:
        return pl.DataFrame({"path": list(names.values())})
    frame = failed.table.frame().filter(pl.col("path").cast(pl.String).is_in(list(names))).collect()
    kept = [
        name
        for name, kind in frame.schema.items()
        if name == "path" or name in _KEPT_TEXT or kind.is_numeric() or kind == pl.Boolean
    ]
    if not frame.height:
        return pl.DataFrame({"path": list(names.values())})
    return frame.select(kept).with_columns(pl.col("path").cast(pl.String).replace(names))


def _renamed(text: str, names: dict[str, str]) -> str:
    for path in sorted(names, key=len, reverse=True):
        text = text.replace(path, names[path])
    return redacted(text)


def redacted(text: str) -> str:
    """A text in which addresses have no user, password and query, and the home folder is ``~``."""
    return without_secrets(text).replace(str(Path.home()), "~")


def redacted_words(words: Sequence[str]) -> Iterator[str]:
    """A command line in which options that name a secret have no value."""
    hidden = False
    for word in words:
        flag, equals, _ = word.partition("=")
        secret = flag.startswith("-") and bool(_SECRET.search(flag))
        yield f"{flag}=***" if secret and equals else "***" if hidden else redacted(word)
        hidden = secret and not equals


def versions() -> dict[str, str]:
    """Versions of what takes part: the toolkit, Python, the system and packages."""
    found = {"vidsieve": __version__, "python": platform.python_version(), "system": platform.platform()}
    return {**found, **dict.fromkeys(_PACKAGES, "not installed"), **versions_of(_PACKAGES)}
