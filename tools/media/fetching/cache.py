"""A folder of bounded size with files from addresses, for later runs and for other processes.

Safe under several processes, and if they are killed at any time:

* ``<key>.part`` is a file that is being downloaded; its process has it locked (``flock``). A killed one
  leaves a part, which the next download of the address continues if the server still has the same version.
* It is renamed to ``<key>-<version><extension>`` when it is complete and its size is right. Who reads such a
  file has a shared lock on it, so that nobody removes it; locks end with their process.
* ``<key>.json`` says which version of which address is there. Without it, or where it is wrong, the file is
  downloaded again.
* Files of which the last use is the longest ago are removed when all together are larger than the limit;
  those in use, and parts that are being downloaded, never. Parts count once nobody downloads them.
* ``<key>-<version>.once<extension>`` is a file that is not kept: it is too large, or its version is unknown.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.base.addresses import refuse_address
from tools.base.disk import make_folder, writing
from tools.base.temporary_files import write_whole
from tools.base.versions import OnVersion, Version
from tools.errors import MediaError, UserError
from tools.media.fetching.file_locks import lock_alone, locked

if TYPE_CHECKING:
    from tools.media.fetching.sources import FetchOptions

FOLDER = "vidsieve-files"
"""The folder within the one that the user names: nothing outside it is ever removed."""

_OURS = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{12}(\.once)?(\.\w+)?|\.part)")
_COUNTED_FOR = 30.0  # seconds after which the folder is counted again: other processes use it, too

_ONCE = ".once"
_EMPTIED_TO = 0.95  # of the limit, so that not each further file makes the folder be counted


class _Entry(NamedTuple):
    path: Path
    version: Version


class Cache:
    """Files from addresses in a folder, shared by threads and processes of one machine.

    Args:
        folder: The folder; it is created when it is used.
        limit: Bytes that the files may have together. Files in use stay, even if that makes them more,
            and those being downloaded are not counted.

    Raises:
        UserError: The folder is a file, or an address.
    """

    def __init__(self, folder: str | Path, limit: int) -> None:
        refuse_address(folder)
        self._folder = Path(folder, FOLDER).absolute()
        for place in (Path(folder), self._folder):
            if place.exists() and not place.is_dir():
                raise UserError(f"--cache {place}: is a file, not a folder")
        self._limit = limit
        self._counting = threading.Lock()
        self._counted, self._bytes = float("-inf"), 0

    @contextmanager
    def file(
        self,
        address: str,
        suffix: str,
        options: FetchOptions,
        cancelled: threading.Event | None = None,
        on_version: OnVersion | None = None,
        *,
        named: bool = True,
    ) -> Iterator[Path]:
        """Provide the file of an address: the one in the folder if the server says that it is the same.

        A file without a version (the server gives neither ETag nor the time of the last change), or larger
        than the limit, is removed when the block ends.

        Args:
            address: The address.
            suffix: Extension of the file.
            options: Options for fetching.
            cancelled: Ends a transfer when set.
            on_version: Called with the version of the file.
            named: Whether the address says the extension; otherwise an image gets that of its content.

        Yields:
            The path; the file stays there until the block ends.

        Raises:
            MediaError: As `tools.media.fetching.local_files.local_file`.
            UserError: The folder cannot be created or written.
        """
        make_folder(self._folder, "--cache")
        key = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()[:32]
        with ExitStack() as stack:
            stack.callback(self._make_room)
            found = None
            while found is None:
                found = self._there(key, address, suffix, options, stack, cancelled, on_version, named=named)
            self._make_room()
            yield found

    def _there(
        self,
        key: str,
        address: str,
        suffix: str,
        options: FetchOptions,
        stack: ExitStack,
        cancelled: threading.Event | None,
        on_version: OnVersion | None,
        *,
        named: bool,
    ) -> Path | None:
        """The file, locked until the end of a stack; None if another process did something in between."""
        entry = self._entry(key, address)
        if entry is not None and (entry.path.suffix == suffix or not named):
            with locked(entry.path, address, cancelled) as lock:
                if lock.is_held and _is_current(entry, address, options, cancelled):
                    if on_version is not None:
                        on_version(entry.version)
                    with contextlib.suppress(OSError):  # a folder of which nothing is written is read
                        os.utime(entry.path, ns=(time.time_ns(), entry.version.time_ns))
                    stack.enter_context(lock.taken_over())
                    return entry.path
        part = self._folder / f"{key}.part"
        with locked(part, address, cancelled, alone=True) as lock:
            if self._entry(key, address) != entry:
                _remove_if_empty(part)
                return None
            path, kept = self._download(address, part, suffix, options, cancelled, on_version, named=named)
            if not kept:
                stack.callback(path.unlink, missing_ok=True)
            elif entry is not None:
                _remove(entry.path)  # of another version
            lock.share()
            if not path.exists():  # removed between the two locks
                return None
            stack.enter_context(lock.taken_over())
            return path

    def _entry(self, key: str, address: str) -> _Entry | None:
        """The file of an address that is in the folder, whole."""
        try:
            saved = json.loads((self._folder / f"{key}.json").read_bytes())
            version, path = Version.from_json(saved["version"]), self._folder / saved["file"]
            if saved["address"] != address or path.parent != self._folder or not _OURS.fullmatch(path.name):
                return None
            return _Entry(path, version) if path.stat().st_size == saved["size"] else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _download(
        self,
        address: str,
        part: Path,
        suffix: str,
        options: FetchOptions,
        cancelled: threading.Event | None,
        on_version: OnVersion | None,
        *,
        named: bool,
    ) -> tuple[Path, bool]:
        """Download to a part that is locked; the file, and whether it stays."""
        from tools.media.fetching.local_files import copy_from_address, suffix_by_content

        beside = part.with_suffix(".part.json")
        version = Version()

        def take(found: Version) -> None:
            nonlocal version
            version = found
            _write_json(beside, [address, found])
            if on_version is not None:
                on_version(found)

        with writing(part), part.open("ab") as file:
            known = _known_part(beside, address)
            if known is None:
                file.truncate(0)
            else:
                version = known
            try:
                copy_from_address(address, file, options, cancelled, known=known, on_version=take)
            except MediaError:
                if not file.tell() or not version.for_range:  # nothing that can be continued
                    part.unlink(missing_ok=True)
                    beside.unlink(missing_ok=True)
                raise
            file.flush()
            os.fsync(file.fileno())
            size = file.seek(0, os.SEEK_END)
        if not size:
            part.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)
            raise MediaError("empty", address, "has no bytes")
        kept = version.is_known and size <= self._limit
        suffix = suffix if named else suffix_by_content(part, suffix)
        key = part.name.removesuffix(".part")
        mark = hashlib.sha256(repr((version, time.time_ns())).encode()).hexdigest()[:12]
        path = part.with_name(f"{key}-{mark}{'' if kept else _ONCE}{suffix}")
        if kept:  # before the file has its name, so that nobody looks for it in between
            entry = {"address": address, "file": path.name, "size": size, "version": version}
            _write_json(self._folder / f"{key}.json", entry)
        with writing(part):
            os.utime(part, ns=(time.time_ns(), version.time_ns))
            part.rename(path)
            beside.unlink(missing_ok=True)
        if kept:
            with self._counting:
                self._bytes += size
        return path, kept

    def _make_room(self) -> None:
        """Remove the files that were not used for longest, if all together are too large."""
        with self._counting:
            if self._bytes <= self._limit and time.monotonic() - self._counted < _COUNTED_FOR:
                return
            files = []
            with contextlib.suppress(OSError), os.scandir(self._folder) as found:
                for file in found:
                    if _OURS.fullmatch(file.name) and not _is_passing(Path(file.path)):
                        with contextlib.suppress(OSError):  # another process has removed it
                            status = file.stat()
                            files.append((status.st_atime_ns, status.st_size, Path(file.path)))
            self._bytes = sum(size for _, size, _ in files)
            self._counted = time.monotonic()
            if self._bytes <= self._limit:
                return
            for _, size, path in sorted(files):
                if self._bytes <= self._limit * _EMPTIED_TO:
                    break
                if _remove(path):
                    self._bytes -= size


def _is_current(
    entry: _Entry, address: str, options: FetchOptions, cancelled: threading.Event | None
) -> bool:
    """Whether the server still has this version; one that does not answer is asked a few times."""
    from tools.media.fetching.local_files import version_at

    for pause in (*options.limits.pauses[:2], None):
        version = version_at(address, options, entry.version)
        if version is not None:
            return version.is_same(entry.version)
        if pause is not None:
            (cancelled or threading.Event()).wait(pause)
    return False  # the download says what is wrong


def _is_passing(path: Path) -> bool:
    """Whether a file is no part of the cache: it is being downloaded, or goes after this use.

    One of these of which the process was killed is removed.
    """
    if _ONCE in path.name:
        return _remove(path) or path.exists()
    if path.suffix != ".part":
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        return not lock_alone(file)
    finally:
        os.close(file)


def _remove(path: Path) -> bool:
    """Remove a file, and what says that it is there, unless it is in use."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        if not lock_alone(file):
            return False
        path.unlink()
        if path.suffix == ".part":
            path.with_suffix(".part.json").unlink(missing_ok=True)
            return True
        about = path.with_name(f"{path.name[:32]}.json")
        if json.loads(about.read_bytes())["file"] == path.name:
            about.unlink()
        return True
    except (OSError, ValueError, LookupError, TypeError):
        return not path.exists()
    finally:
        os.close(file)


def _remove_if_empty(part: Path) -> None:
    """Remove a part that was created to be locked."""
    with contextlib.suppress(OSError):
        if not part.stat().st_size:
            part.unlink()


def _known_part(beside: Path, address: str) -> Version | None:
    """The version that a part is of, if the server can be asked for the rest of it."""
    try:
        whose, found = json.loads(beside.read_bytes())
        version = Version.from_json(found)
    except (OSError, ValueError, TypeError):
        return None
    return version if whose == address and version.for_range else None


def _write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value).encode())
