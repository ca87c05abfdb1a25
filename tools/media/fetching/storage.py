"""Copy files from storage supported by fsspec: S3 and compatible, Google Cloud, Azure, and others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from tools.base.packages import not_installed, require_package
from tools.base.versions import OnVersion, Version
from tools.errors import MediaError, UserError

if TYPE_CHECKING:
    from tools.base.transfer import Limits

_BLOCK = 1 << 20  # bytes
PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "tos": "tosfs",
    "oss": "ossfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}
"""Scheme of an address, and the package that implements its storage for fsspec."""


def require_storage(address: str) -> None:
    """Make sure that the package for the storage of an address is installed, before any work.

    Raises:
        UserError: It is not; a storage that is not in `PACKAGES` is the business of its row.
    """
    package = PACKAGES.get(address.partition("://")[0].lower())
    if package is not None:
        require_package(package, address)


def copy_from_storage(
    url: str,
    file: BinaryIO,
    *,
    limits: Limits,
    options: Mapping[str, Any],
    cancelled: threading.Event | None = None,
    known: Version | None = None,
    on_version: OnVersion | None = None,
) -> None:
    """Append the rest of an object to a file, with as many attempts as for HTTP.

    Args:
        url: Address of the object, with its scheme.
        file: Open for appending.
        limits: Attempts, seconds and bytes; ``timeout`` is left to the storage.
        options: Options of the storage in fsspec (``endpoint_url``, ``key``, ``secret``, ``anon`` ...).
        cancelled: Ends the copying when set.
        known: Of which version the bytes in the file are, if that is known.
        on_version: Called with the version of the object, before its bytes are copied.

    Raises:
        MediaError: ``missing``, ``network``, ``too_large``, ``timeout``; ``bad_value``: unknown storage.
        UserError: fsspec, or the package of an object storage (`PACKAGES`), is not installed; options are
            invalid.
        OSError: The file cannot be written.
    """
    copy = _Copy(
        storage_of(url, options), url, file, limits, cancelled or threading.Event(), on_version, known
    )
    failures = 0
    while True:
        before = file.tell()
        try:
            return copy.run()
        except MediaError:
            raise
        except FileNotFoundError as error:
            raise MediaError("missing", url, "there is no such object") from error
        except _LocalError as error:
            raise error.cause from error
        except Exception as error:  # each storage has other exceptions
            if is_refusal(error):
                raise MediaError("network", url, f"the storage refuses: {error_line(error)}") from error
            failures = 0 if file.tell() > before else failures + 1
            if failures > len(limits.pauses):
                raise MediaError(
                    "network", url, f"the transfer failed too often: {error_line(error)}"
                ) from error
        seconds = limits.pauses[max(0, failures - 1)] if limits.pauses else 0.0
        copy.cancelled.wait(seconds)


def object_version(url: str, options: Mapping[str, Any], limits: Limits) -> Version:
    """The version of an object, its size among it, with as many attempts as for a copy.

    Raises:
        MediaError: ``missing``, ``network``; ``bad_value``: unknown storage.
        UserError: See `copy_from_storage`.
    """
    storage = storage_of(url, options)
    for pause in (*limits.pauses, None):
        try:
            return Version.from_info(storage.info(url))
        except FileNotFoundError as error:
            raise MediaError("missing", url, "there is no such object") from error
        except Exception as error:  # each storage has other exceptions
            if is_refusal(error) or pause is None:
                what = "refuses" if is_refusal(error) else "does not answer"
                raise MediaError("network", url, f"the storage {what}: {error_line(error)}") from error
        time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def storage_version(url: str, options: Mapping[str, Any]) -> Version | None:
    """The version of an object that the storage has now; None if it cannot be asked."""
    try:
        return Version.from_info(storage_of(url, options).info(url))
    except Exception:  # each storage has other exceptions
        return None


def is_refusal(error: Exception) -> bool:
    """Whether trying again is useless, by an exception of a storage."""
    kinds = (PermissionError, ValueError, TypeError)
    return isinstance(error, kinds) or any(
        word in type(error).__name__ for word in ("Credential", "Validation")
    )


class _LocalError(Exception):
    """An error of the local file, not of the storage."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass
class _Copy:
    storage: Any
    url: str
    file: BinaryIO
    limits: Limits
    cancelled: threading.Event
    on_version: OnVersion | None = None
    version: Version | None = None
    started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Append what is missing, and check the size that the storage reports."""
        info = self.storage.info(self.url)
        size, version = info["size"], Version.from_info(info)
        largest = self.limits.max_bytes
        if largest is not None and (size or 0) > largest:
            raise MediaError("too_large", self.url, f"has {size} bytes, the limit is {largest}")
        if self.version is not None and version.differs(self.version):  # the object was replaced
            self.file.truncate(0)
            self.file.seek(0, os.SEEK_END)
        self.version = version
        if self.on_version is not None:
            self.on_version(version)
        with self.storage.open(self.url, "rb") as remote:
            remote.seek(self.file.tell())
            while block := remote.read(_BLOCK):
                try:
                    self.file.write(block)
                except OSError as error:
                    raise _LocalError(error) from error
                self._check()
        if size is not None and self.file.tell() != size:
            raise EOFError(f"{self.file.tell()} of {size} bytes received")

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise MediaError("network", self.url, "the run has ended")
        longest = self.limits.time_limit
        if longest is not None and time.monotonic() - self.started > longest:
            raise MediaError("timeout", self.url, f"took longer than {longest:g} s, which is the limit")


def storage_of(url: str, options: Mapping[str, Any]) -> Any:
    """The file system of fsspec for an address.

    Raises:
        UserError: fsspec or the package of an object storage (`PACKAGES`) is not installed; options are
            invalid.
        MediaError: bad_value: there is no such storage.
    """
    scheme = url.partition("://")[0].lower()
    require_package("fsspec", url)
    import fsspec

    try:
        return fsspec.filesystem(scheme, **options)
    except Exception as error:  # each storage has its own kinds of errors
        package = PACKAGES.get(scheme)
        if package is not None and isinstance(error, (ImportError, ValueError)):
            raise not_installed(package, url) from None
        if package is not None:
            raise UserError(f"{url}: the options of the storage are invalid: {error_line(error)}") from None
        # Only this row fails: the storage is unknown, or needs more than an address.
        if scheme not in fsspec.available_protocols():
            raise MediaError("bad_value", url, f"there is no storage called {scheme}") from None
        raise MediaError("bad_value", url, f"this storage cannot be read: {error_line(error)}") from None


def error_line(error: BaseException) -> str:
    """Kind and text of an exception of a storage, in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
