"""Files that are made: where they may stand, how they are written, and what a killed run left of them.

`place_in` gives every path that is made of a cell, of a file's name or of an id: whatever these say, it lies
inside the folder. `unfinished` gives a name to write to that no other process has, `put_in_place` moves what
was written without replacing what somebody else has put there meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from tools.base.disk import disk_error
from tools.errors import MediaError

PART_SUFFIX = ".part"
"""What the name of a file that is being written ends in."""

_DEEPEST = 100  # folders below each other; what makes and removes them does so by recursion
_LONGEST_NAME = 255  # bytes; what Linux, macOS and Windows file systems allow
_TEMPORARY = 2 * len(".12345678.part")  # what a name gets while its file is being written
_UNFINISHED = re.compile(r"(\.[0-9a-f]{8}\.part)+$")
_NO_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ}


def place_in(folder: str | Path, inside: str, source: str | Path, *, make: bool = False) -> Path:
    """The path of a file that is to be made inside a folder.

    Args:
        folder: The folder.
        inside: Path of the file below it, made of cells and names that nobody has checked.
        source: The file that it is made of, for the error.
        make: Make the folders that it stands in.

    Returns:
        ``folder / inside``.

    Raises:
        MediaError: bad_value: it would stand outside the folder (by ``..``, as an absolute path, by a link),
            or no file can have this path; encode: there can be no such folders.
        DiskError: The folders cannot be made.
    """
    parts = PurePosixPath(inside).parts
    if inside.startswith("/") or ".." in parts:
        raise MediaError("bad_value", source, f"{_shown(inside)} leads out of {folder}")
    if not parts or {"", "."} & set(inside.split("/")) or "\0" in inside:
        raise MediaError("bad_value", source, f"{_shown(inside)} cannot be the name of a file")
    if len(parts) > _DEEPEST:
        raise MediaError("bad_value", source, f"{_shown(inside)} lies {len(parts)} folders deep")
    place = Path(folder, *parts)
    try:
        too_long = [part for part in parts if len(os.fsencode(part)) > _LONGEST_NAME - _TEMPORARY]
        leads_out = not place.parent.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a ring, half a character
        message = f"{_shown(inside)} cannot be the name of a file: {_said(error)}"
        raise MediaError("bad_value", source, message) from None
    if too_long:
        limit = _LONGEST_NAME - _TEMPORARY
        raise MediaError("bad_value", source, f"a name has more than {limit} bytes: {_shown(too_long[0])}")
    if leads_out:
        raise MediaError("bad_value", source, f"{_shown(inside)} leads out of {folder} by a link")
    if make:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if (fault := disk_error(folder, error)) is not None:
                raise fault from None
            kind = "bad_value" if error.errno in _NO_PATH else "encode"
            raise MediaError(kind, source, f"cannot make {place.parent}: {_said(error)}") from None
    return place


def _shown(name: str) -> str:
    text = ascii(name) if any(not c.isprintable() for c in name) else repr(name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def unfinished(place: Path) -> Iterator[Path]:
    """Give a name beside a place to write to. What is left of the file in the end is removed.

    The file is there already, empty, and locked as long as this process lives: so `remove_unfinished` of
    another run knows that it is being written.

    Yields:
        ``<name>.<8 digits>.part``.

    Raises:
        OSError: No file can be made there.
    """
    part = place.with_name(f"{place.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        os.close(file)


def finished_name(name: str) -> str | None:
    """The name that a file will have which is being written; None for a name that is none of `unfinished`."""
    found = _UNFINISHED.search(name)
    return name[: found.start()] if found else None


def put_in_place(part: Path, place: Path, *, replace: bool) -> None:
    """Move a finished file to its place.

    Args:
        part: The file.
        place: Where to.
        replace: Whether a file that stands there may go.

    Raises:
        FileExistsError: A file stands there and may not go.
        OSError: The disk refuses.
    """
    if replace:
        part.replace(place)
        return
    try:
        os.link(part, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "another file is there") from None
        part.replace(place)
    else:
        part.unlink(missing_ok=True)


def remove_unfinished(folder: Path, is_own: Callable[[str], bool]) -> None:
    """Remove what killed runs left half-written in a folder.

    Args:
        folder: The folder; one that is not there is no error.
        is_own: Whether a file of this name is one that the caller makes.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(PART_SUFFIX)]
    except OSError:
        return
    for name in names:
        target = finished_name(name)
        if target is not None and is_own(target):
            _remove_if_abandoned(folder / name)


def _remove_if_abandoned(part: Path) -> None:
    """Remove a half-written file unless a process holds its lock."""
    with suppress(OSError):  # gone meanwhile, or not ours to open
        file = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
            part.unlink()
        finally:
            os.close(file)
