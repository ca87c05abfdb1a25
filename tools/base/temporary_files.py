"""Temporary files and folders that are locked while in use, so that those of killed processes are known.

A file is written under a hidden name beside its final one. A folder is in the system's folder of temporary
files. Both are locked as long as their process lives: what is not locked has been left by a process that was
killed, and the next one that writes there removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.base.disk import publish, refuse_special, remove_quietly, writing

_SUFFIX = ".tmp"
_PREFIX = "vidsieve-tmp-"  # not shorter: vidsieve-captions may be a folder of the user
_NEW_PREFIX = ".vidsieve-new-"
_OWN_FOLDER = re.compile(r"(\.vidsieve-new|vidsieve-tmp)-[a-z0-9_]{8}")  # as `tempfile.mkdtemp` makes names
_LOCKED_AFTER = 60  # seconds; a newer folder with the second prefix may not be locked yet
_NAME = 100  # bytes of a final name in a temporary one; file systems allow 255 in all


@contextmanager
def temporary_file(path: Path, extension: str = "") -> Iterator[Path]:
    """Give a hidden name beside a path to write to; what is left of the file in the end is removed.

    What killed processes have left of the same path is removed first.

    Args:
        path: The final path. Its folder exists.
        extension: What the name ends in.

    Yields:
        The path of an empty file, to be renamed by the caller.

    Raises:
        OSError: No file can be created there.
        UserError: A pipe or a device has its name.
    """
    refuse_special(path)
    begin = f".{_shortened(path.name)}."
    remove_strays(path.parent, lambda name: name.startswith(begin))
    temporary = path.with_name(f"{begin}{secrets.token_hex(4)}{_SUFFIX}{extension}")
    file = locked_file(temporary)
    try:
        yield temporary
    finally:
        remove_quietly(temporary)
        os.close(file)


@contextmanager
def rewriting(temporary: Path) -> Iterator[Path]:
    """Give a name for another version of a file of `temporary_file`, which replaces it in the end.

    It is locked, too: another process that writes to the same final path takes it for no leftover.

    Yields:
        The path of an empty file.
    """
    new = temporary.with_name(f"{temporary.name}.new")
    file = locked_file(new)
    try:
        yield new
        new.replace(temporary)
    finally:
        remove_quietly(new)
        os.close(file)


def _shortened(name: str) -> str:
    return os.fsencode(name)[:_NAME].decode(errors="ignore")


def locked_file(path: Path) -> int:
    """An open file of this name that is locked; it is made anew if it was removed before it was locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def write_whole(path: Path, content: bytes, what: str = "") -> None:
    """Write a small file atomically: under a hidden name beside it, then renamed.

    The hidden name is always the same, so killed processes leave at most one file.

    Raises:
        DiskError: The disk is at fault.
        UserError: The name is.
    """
    refuse_special(path)
    temporary = path.with_name(f".{_shortened(path.name)}{_SUFFIX}")
    with writing(path, what):
        file = locked_file(temporary)
    try:
        with writing(path, what):
            temporary.write_bytes(content)
            publish(temporary, path)
    except BaseException:  # else the hidden name may be another process's already
        remove_quietly(temporary)
        raise
    finally:
        os.close(file)


def remove_strays(folder: Path, is_stray: Callable[[str], bool]) -> None:
    """Remove hidden temporary files that killed processes left in a folder.

    Args:
        folder: The folder; it may be missing.
        is_stray: Whether a temporary file of this name may be removed unless it is being written.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.name.startswith(".") and _SUFFIX in entry.name]:
            if is_stray(name):
                remove_unlocked(folder / name)


def remove_unlocked(path: Path) -> bool:
    """Remove a file; False when a process has locked it."""
    with suppress(OSError):  # removed meanwhile, or without permission
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
            path.unlink()
        except BlockingIOError:
            return False
        finally:
            os.close(file)
    return True


class TemporaryFolder:
    """A folder of this process. Folders of killed processes are removed when the next one is created.

    Args:
        base: The folder to create it in.

    Attributes:
        path: The folder.

    Raises:
        DiskError: It cannot be created.
    """

    def __init__(self, base: str | Path) -> None:
        remove_left_folders(base)
        with writing(base):
            new = Path(tempfile.mkdtemp(prefix=_NEW_PREFIX, dir=base))
            self._lock = os.open(new / "lock", os.O_CREAT | os.O_RDWR)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            # Under its final name it has always been locked.
            self.path = new.rename(new.with_name(_PREFIX + new.name.removeprefix(_NEW_PREFIX)))

    def close(self) -> None:
        """Remove the folder and its contents."""
        _remove_locked(self.path)
        os.close(self._lock)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, removed with its contents when the block ends.

    Raises:
        DiskError: No such folder can be written.
    """
    with writing("a temporary folder"):
        base = tempfile.gettempdir()
    folder = TemporaryFolder(base)
    try:
        yield folder.path
    finally:
        folder.close()


def remove_left_folders(base: str | Path) -> None:
    """Remove the folders that killed processes have left.

    Args:
        base: The folder that they are in.
    """
    for folder in (*Path(base).glob(f"{_PREFIX}*"), *Path(base).glob(f"{_NEW_PREFIX}*")):
        with suppress(OSError):  # another user's, or removed by another process meanwhile
            if not _OWN_FOLDER.fullmatch(folder.name) or folder.is_symlink():
                continue
            if folder.name.startswith(_NEW_PREFIX) and time.time() - folder.stat().st_mtime < _LOCKED_AFTER:
                continue
            if not any(folder.iterdir()):  # killed before it was locked
                folder.rmdir()
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its owner lives
                _remove_locked(folder)
            finally:
                os.close(lock)


def _remove_locked(folder: Path) -> None:
    """Remove a folder, its lock last, so that it is known as ours if the process is killed meanwhile."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                remove_quietly(path)
    shutil.rmtree(folder, ignore_errors=True)
