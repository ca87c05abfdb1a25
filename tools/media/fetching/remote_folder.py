"""A folder of objects in a storage of fsspec: listed, compared, and written, each object as a whole."""

from __future__ import annotations

import hashlib
import inspect
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tools.base.addresses import scheme
from tools.base.versions import Version
from tools.errors import DiskError, MediaError, UserError
from tools.media.fetching.storage import error_line, is_refusal, require_storage, storage_of

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt of a request."""

_BLOCK = 1 << 20  # bytes
_LARGE = 32 << 20  # bytes; such a file is written with no other large one at the same time
_NOT_WRITTEN = ("file", "http", "https", "data")


class RemoteFolder:
    """Objects whose addresses begin with that of a folder.

    Requests that fail are repeated with growing pauses. Several threads may use it.

    Args:
        address: Of a storage that fsspec knows, such as ``s3://bucket/folder``.
        pauses: Seconds before each further attempt; None for `PAUSES`.

    Raises:
        UserError: The package of the storage is not installed; there is no such storage, or nothing can be
            written to it.
    """

    def __init__(self, address: str, *, pauses: Collection[float] | None = None) -> None:
        if scheme(address) in (None, *_NOT_WRITTEN):
            raise UserError(f"{address}: nothing can be written there; s3://bucket/folder, for example")
        if not address.partition("://")[2].strip("/"):
            raise UserError(f"{address}: the bucket is missing, as in s3://bucket/folder")
        require_storage(address)
        self.address = address.rstrip("/")
        self._large = threading.Lock()
        self._pauses = tuple(PAUSES if pauses is None else pauses)
        try:
            self._storage = storage_of(address, {})
        except MediaError as error:
            raise UserError(f"{address}: {error.message}") from None
        self._root = str(self._storage._strip_protocol(self.address)).rstrip("/")

    def __truediv__(self, name: str) -> str:
        """The address of an object."""
        return f"{self.address}/{name}"

    def listed(self) -> dict[str, Version]:
        """All objects below the folder: name, with ``/``, and version.

        Raises:
            UserError: The storage refuses, or there is no such bucket.
            DiskError: The storage cannot be reached.
        """

        def find() -> Mapping[str, Mapping[str, Any]]:
            self._storage.invalidate_cache()
            return self._storage.find(self._root, detail=True)

        try:
            found = self._tried(find, self.address)
        except FileNotFoundError as error:
            raise UserError(f"{self.address}: {error_line(error)}") from None
        begin = f"{self._root}/"
        return {
            path.removeprefix(begin): _version(info)
            for path, info in sorted(found.items())
            if path.startswith(begin) and not path.endswith("/") and info.get("type") != "directory"
        }

    def version(self, name: str) -> Version | None:
        """The version of an object; None if there is none."""

        def info() -> Mapping[str, Any]:
            self._storage.invalidate_cache(self._path(name).rpartition("/")[0])
            return self._storage.info(self._path(name))

        try:
            found = self._tried(info, self / name)
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else _version(found)

    def read(self, name: str) -> bytes | None:
        """The bytes of a small object; None if there is none."""
        try:
            return self._tried(lambda: self._storage.cat_file(self._path(name)), self / name)
        except FileNotFoundError:
            return None

    def digest(self, name: str) -> str | None:
        """The SHA-256 of what is in an object, which is read for it; None if there is none."""

        def digest() -> str:
            found = hashlib.sha256()
            with self._storage.open(self._path(name), "rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
            return found.hexdigest()

        try:
            return self._tried(digest, self / name)
        except FileNotFoundError:
            return None

    def put(self, source: Path | bytes, name: str, *, replace: bool = False) -> Version:
        """Write an object: there is the whole of it in the end, or nothing.

        Args:
            source: A file, or what to write.
            name: Its name below the folder.
            replace: Replace an object that is there. Otherwise one that comes into being at the same time is
                not replaced either, where the storage can tell.

        Returns:
            The version that was written.

        Raises:
            FileExistsError: There is one that must not be replaced.
            UserError: The storage refuses, or there is no such bucket.
            DiskError: The storage cannot be reached.
        """
        path = self._path(name)
        write = self._storage.pipe_file if isinstance(source, bytes) else self._storage.put_file
        given = source if isinstance(source, bytes) else str(source)
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        arguments = (path, given) if isinstance(source, bytes) else (given, path)
        options = {} if replace or not _can_create(write) else {"mode": "create"}

        def put() -> None:
            nonlocal options
            try:
                write(*arguments, **options)
            except Exception as error:
                if not options or "not implemented" not in str(error).lower():
                    raise
                options = {}  # an S3 of others that knows no If-None-Match
                write(*arguments)

        # Storages keep much of a large file in memory, parts of it side by side.
        alone = self._large if size > _LARGE else nullcontext()
        try:
            with alone:
                self._tried(put, self / name, "cannot be written")
        except FileNotFoundError as error:
            raise UserError(f"{self / name}: cannot be written: {error_line(error)}") from None
        version = self.version(name)
        if version is None or version.size not in (None, size):
            there = "it is not there" if version is None else f"{version.size} of {size} bytes are there"
            raise DiskError(f"{self / name}: cannot be written: {there}; run the same command again")
        return version

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        with suppress(FileNotFoundError):
            self._tried(lambda: self._storage.rm_file(self._path(name)), self / name, "cannot be removed")

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a file.

        Raises:
            UserError: There is no such object, or the storage refuses.
            DiskError: The storage cannot be reached.
        """
        try:
            self._tried(lambda: self._storage.get_file(self._path(name), str(path)), self / name)
        except FileNotFoundError:
            raise UserError(f"{self / name}: there is no such object") from None

    def end_open_uploads(self, names: Collection[str]) -> int:
        """End uploads in parts which a killed process has left open: they take room, and nobody sees them.

        Args:
            names: Objects which no other process is writing; uploads of other objects stay.

        Returns:
            How many there were. Only of S3: other storages drop what was not finished by themselves.
        """
        ask = getattr(self._storage, "call_s3", None)
        if ask is None or not names:
            return 0
        bucket, key, *_ = self._storage.split_path(f"{self._root}/")
        wanted, marker, ended = set(names), {}, 0
        # A storage without this request, or that does not allow it, has nothing that could be ended.
        with suppress(OSError, NotImplementedError):
            while True:
                answer = ask("list_multipart_uploads", Bucket=bucket, Prefix=key, **marker)
                for upload in answer.get("Uploads") or ():
                    if upload["Key"].removeprefix(key) in wanted:
                        which = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                        ask("abort_multipart_upload", Bucket=bucket, **which)
                        ended += 1
                if not answer.get("IsTruncated"):
                    break
                marker = {
                    "KeyMarker": answer["NextKeyMarker"],
                    "UploadIdMarker": answer["NextUploadIdMarker"],
                }
        return ended

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _tried(self, work: Callable[[], T], what: str, fault: str = "cannot be read") -> T:
        """The result of a request, after several attempts."""
        for pause in (*self._pauses, None):
            try:
                return work()
            except (FileNotFoundError, FileExistsError):
                raise
            except Exception as error:  # each storage has other exceptions
                if is_refusal(error):
                    text = f"{what}: {fault}: the storage refuses: {error_line(error)}"
                    raise UserError(f"{text}; check its credentials and rights") from None
                if pause is None:
                    text = f"{what}: {fault}: {error_line(error)}"
                    raise DiskError(f"{text}; run the same command again when the storage answers") from None
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _version(info: Mapping[str, Any]) -> Version:
    """A version that is the same from a list and from a request for one object, also without an ETag."""
    return Version.from_info(
        {name: value.timestamp() if isinstance(value, datetime) else value for name, value in info.items()}
    )


def _can_create(write: Callable[..., Any]) -> bool:
    """Whether a storage can write an object only if there is none of its name."""
    try:
        return "mode" in inspect.signature(write).parameters
    except (TypeError, ValueError):
        return False
