"""Output files: which paths they may have, how they are written, and what a killed run left of them.

`safe_join` builds every path from a cell, a file name or an id: whatever these say, it is inside the folder.
`unfinished_file` gives a temporary name that no other process has, `move_finished` renames the file without
replacing one that another process has written meanwhile.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from tools.base.disk import disk_error, sync, system_message
from tools.base.temporary_files import locked_file, remove_unlocked
from tools.errors import MediaError

PART_SUFFIX = ".part"
"""What the name of a file that is being written ends in."""

_DEEPEST = 100  # folders below each other; what makes and removes them does so by recursion
_LONGEST_NAME = 255  # bytes; what Linux, macOS and Windows file systems allow
_TEMPORARY = 2 * len(".12345678.part")  # what a name gets while its file is being written
_UNFINISHED = re.compile(r"(\.[0-9a-f]{8}\.part)+$")
_NO_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ}


def safe_join(folder: str | Path, inside: str, source: str | Path, *, create: bool = False) -> Path:
    """The path of a new file inside a folder.

    Args:
        folder: The folder.
        inside: Path of the file below it, from cells and names that are not validated.
        source: The file that it is made from, for the error.
        create: Create its parent folders.

    Returns:
        ``folder / inside``.

    Raises:
        MediaError: bad_value: it would be outside the folder (by ``..``, as an absolute path, by a link), or
            no file can have this path; encode: the folders cannot have these names.
        DiskError: The folders cannot be created.
    """
    parts = PurePosixPath(inside).parts
    if inside.startswith("/") or ".." in parts:
        raise MediaError("bad_value", source, f"{_shown(inside)} leads out of {folder}")
    if not parts or {"", "."} & set(inside.split("/")) or "\0" in inside:
        raise MediaError("bad_value", source, f"{_shown(inside)} cannot be the name of a file")
    if len(parts) > _DEEPEST:
        raise MediaError("bad_value", source, f"{_shown(inside)} lies {len(parts)} folders deep")
    path = Path(folder, *parts)
    try:
        too_long = [part for part in parts if len(os.fsencode(part)) > _LONGEST_NAME - _TEMPORARY]
        leads_out = not path.parent.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, RuntimeError, ValueError) as error:  # too long, links in a ring, half a character
        message = f"{_shown(inside)} cannot be the name of a file: {system_message(error)}"
        raise MediaError("bad_value", source, message) from None
    if too_long:
        limit = _LONGEST_NAME - _TEMPORARY
        raise MediaError("bad_value", source, f"a name has more than {limit} bytes: {_shown(too_long[0])}")
    if leads_out:
        raise MediaError("bad_value", source, f"{_shown(inside)} leads out of {folder} by a link")
    if create:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if (fault := disk_error(folder, error)) is not None:
                raise fault from None
            kind = "bad_value" if error.errno in _NO_PATH else "encode"
            raise MediaError(kind, source, f"cannot create {path.parent}: {system_message(error)}") from None
    return path


def _shown(name: str) -> str:
    text = ascii(name) if any(not c.isprintable() for c in name) else repr(name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside a path to write to. What is left of the file in the end is removed.

    The file exists already, empty, and is locked as long as this process lives: so `remove_unfinished` of
    another run sees that it is being written.

    Yields:
        ``<name>.<8 digits>.part``.

    Raises:
        OSError: No file can be created there.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    file = locked_file(part)
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        os.close(file)


def finished_name(name: str) -> str | None:
    """The final name of a file that is being written; None for a name that `unfinished_file` did not give."""
    found = _UNFINISHED.search(name)
    return name[: found.start()] if found else None


def move_finished(part: Path, path: Path, *, replace: bool) -> None:
    """Rename a finished file, whose content is on the disk by then.

    Args:
        part: The file.
        path: Its final path.
        replace: Replace a file that exists there.

    Raises:
        FileExistsError: A file exists there and is not to be replaced.
        OSError: The disk refuses.
    """
    sync(part)
    if replace:
        part.replace(path)
        return
    try:
        os.link(part, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "another file is there") from None
        part.replace(path)
    else:
        part.unlink(missing_ok=True)


def remove_unfinished(folder: Path, is_own: Callable[[str], bool], *, patience: float = 0.0) -> None:
    """Remove unfinished files that killed runs left in a folder.

    Args:
        folder: The folder; it may be missing.
        is_own: Whether a file of this name is one that the caller writes.
        patience: Seconds to wait for locks of writers that were killed a moment ago: a program that one of
            them was starting keeps its lock until it notices that its parent is gone.
    """
    until = time.monotonic() + patience
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(PART_SUFFIX)]
    except OSError:
        return
    for name in names:
        target = finished_name(name)
        if target is not None and is_own(target):
            while not remove_unlocked(folder / name) and time.monotonic() < until:
                time.sleep(0.02)
