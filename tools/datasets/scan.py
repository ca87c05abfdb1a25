"""Find the files below a folder, by extension, in a fixed order, whatever links there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection
from pathlib import Path

from tools.base.addresses import refuse_address
from tools.base.disk import system_message
from tools.base.log import LOG
from tools.errors import UserError


def find_files(root: str | Path, exts: Collection[str] | None) -> list[Path]:
    """Files below a folder.

    Links to folders are followed, but each folder is searched once, so that cycles end and nothing is listed
    under two names; folders that are there in their own right come before links to them. Names that begin
    with a dot are left out (half-written clips, Apple's ``._`` files), and so are names that are not UTF-8,
    with a warning.

    Args:
        root: The folder.
        exts: Extensions with their dot, in lower case; upper-case file names match too. None for all files.

    Returns:
        Paths that begin with ``root`` as it was given, sorted by the text of the path below it.

    Raises:
        UserError: ``root`` is not a folder that can be read, or has no such file.
    """
    refuse_address(root)
    root = Path(root)
    if not root.exists():
        raise UserError(f"{root}: there is no such folder")
    if not root.is_dir():
        raise UserError(f"{root}: is not a folder")
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    here, linked = deque([str(root)]), deque[str]()
    while here or linked:
        folder = (here or linked).popleft()
        try:
            status = os.stat(folder)  # noqa: PTH116  (millions of calls; a Path for each costs more)
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
            _search(folder, exts, found, here, linked)
        except OSError as error:
            if folder == str(root):
                raise UserError(f"{root}: cannot read the folder: {system_message(error)}") from None
            LOG.warning("%s: left out, cannot read the folder: %s", folder, system_message(error))
    files = [Path(path) for path in found if _is_utf8(path)]
    if not files:
        ending = "" if exts is None else f" that ends in {' '.join(exts)}"
        raise UserError(f"{root}: has no file{ending}")
    return sorted(files, key=lambda path: str(path.relative_to(root)))


def _search(
    folder: str, exts: Collection[str] | None, found: list[str], here: deque[str], linked: deque[str]
) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                (linked if entry.is_symlink() else here).append(entry.path)
            elif exts is None or os.path.splitext(entry.name)[1].lower() in exts:  # noqa: PTH122  (as above)
                found.append(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that cannot be read: not that of the others
        return False


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="replace")
        LOG.warning("%s: left out, its name is not UTF-8; rename it", shown)
        return False
    return True
