"""Local files for media given as a path, an address or bytes."""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from tools.base.addresses import local_path, scheme
from tools.base.disk import cannot_write
from tools.base.versions import OnVersion, Version
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, image_extension

if TYPE_CHECKING:
    from tools.base.transfer import Limits, TransferError
    from tools.media.fetching.cache import Cache

Content = str | os.PathLike[str] | bytes | bytearray | memoryview
"""Types of the content of a source."""

BASE64 = "base64"
"""Format of bytes or text encoded in base64."""

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]*?(;base64)?,", re.IGNORECASE)
_GONE = (404, 410)

# the module that speaks HTTP is imported where addresses are opened: most runs open none


def _default_limits() -> Limits:
    from tools.base.transfer import Limits

    return Limits(pauses=(0.5, 1.0, 2.0, 4.0), timeout=30.0, time_limit=1800.0)


@dataclass(frozen=True)
class FetchOptions:
    """Options for fetching files.

    Attributes:
        folder: Where temporary files go; None for the system's folder (``$TMPDIR``).
        limits: Attempts, seconds and bytes for one file.
        ahead: Maximum number of temporary files: being fetched, waiting, or in use.
        storage: Options of fsspec for storage that is not HTTP: ``{"endpoint_url": ..., "key": ...}``.
        cache: Where files from addresses are kept for later; None to remove each after its use.
    """

    folder: str | Path | None = None
    limits: Limits = field(default_factory=_default_limits)
    ahead: int = 8
    storage: Mapping[str, Any] = field(default_factory=dict)
    cache: Cache | None = None

    def __post_init__(self) -> None:
        if self.ahead < 1:
            raise UserError(f"Invalid ahead ({self.ahead}). It must be 1 or more.")


@dataclass(frozen=True)
class Source:
    """A file given as a path, an address or bytes.

    Attributes:
        content: A path, absolute or relative to the current folder; an address: ``file://``, ``http://``,
            ``https://``, ``data:``, or of a storage that fsspec supports (``s3://``, ``gs://``,
            ``tos://`` …); or the bytes themselves.
        format: Format of bytes, and of files without a known extension: ``mp4``, ``.mkv``, ``video/webm``.
            With ``base64``, or ``base64:mkv``, the content is in base64, as text or as ASCII.
    """

    content: Content
    format: str = "mp4"

    @property
    def name(self) -> str:
        """Name of the source in messages."""
        content = self.content
        if isinstance(content, os.PathLike) or (isinstance(content, str) and not self._is_encoded):
            return os.fspath(content)
        return f"({len(content)} bytes)"

    @property
    def local(self) -> Path | None:
        """The file itself if it is on this machine; None for content that must be fetched or written.

        Raises:
            MediaError: The path is empty, or a ``file://`` address of another machine.
        """
        if not isinstance(self.content, (str, os.PathLike)) or self._is_encoded:
            return None
        text = os.fspath(self.content)
        if not text.strip():
            raise MediaError("bad_value", "", "the path is empty")
        if scheme(text) is None:
            return Path(text)
        if scheme(text) != "file":
            return None
        path = local_path(text)
        if path == text:
            raise MediaError("bad_value", text, "names a file on another machine")
        return Path(path)

    @property
    def suffix(self) -> str:
        """File extension of a local copy, with the dot.

        A file from an address without a known one gets another when its bytes are those of an image.
        """
        if isinstance(self.content, str) and (found := _DATA_URI.match(self.content)):
            return _suffix(found[1] or self.format)
        return self._named_suffix or _suffix(self.format)

    @property
    def _named_suffix(self) -> str | None:
        """The extension in a path or an address, if it is a known one."""
        if isinstance(self.content, str) and not self._is_encoded:
            suffix = PurePosixPath(re.split("[?#]", self.content)[0]).suffix.lower()
            if suffix in VIDEO_EXTENSIONS or suffix in IMAGE_EXTENSIONS:
                return suffix
        return None

    @property
    def _is_encoded(self) -> bool:
        """Whether the content is not a path or an address but bytes in base64."""
        if isinstance(self.content, os.PathLike):
            return False
        if isinstance(self.content, str) and _DATA_URI.match(self.content):
            return True
        return self.format.lower().partition(":")[0] == BASE64


def as_source(content: Content | Source, format: str = "mp4") -> Source:
    """Create a source from a path, an address or bytes; a `Source` is returned as it is.

    Raises:
        MediaError: ``bad_value``: the content is none of these.
    """
    if isinstance(content, Source):
        return content
    if not isinstance(content, (str, os.PathLike, bytes, bytearray, memoryview)):
        raise MediaError("bad_value", "", f"a {type(content).__name__} is not a path, address or bytes")
    return Source(content, format)


def source_name(content: Any) -> str:
    """Name of a file in messages, given as a path, an address or bytes; empty for None."""
    if content is None or isinstance(content, str):
        return content or ""
    try:
        return as_source(content).name
    except MediaError:
        return str(content)


@contextmanager
def local_file(
    source: Content | Source,
    *,
    format: str = "mp4",
    options: FetchOptions | None = None,
    cancelled: threading.Event | None = None,
    on_version: OnVersion | None = None,
) -> Iterator[Path]:
    """Provide a source as a local file.

    A file on this machine is used as it is, whether it exists or not. Anything else becomes a temporary file,
    which is removed when the block ends, also after an exception; a file from an address stays in
    `FetchOptions.cache`, if there is one.

    Args:
        source: See `Source`.
        format: See `Source`; for content that is not a `Source`.
        options: Options for fetching.
        cancelled: Ends a transfer when set.
        on_version: Called with the version of the file, as its server tells it; the last call counts.

    Yields:
        The path.

    Raises:
        MediaError: ``missing`` if there is no such file; ``network`` if the server cannot be reached, refuses
            or interrupts the transfer too often; ``too_large`` and ``timeout`` beyond the limits; ``empty``
            for no bytes; ``bad_value`` for an invalid source.
        UserError: A package for this kind of storage is not installed; the temporary file cannot be written.
    """
    source = as_source(source, format)
    if (path := source.local) is not None:
        yield path
        return
    options = options or FetchOptions()
    content = source.content
    if options.cache is not None and isinstance(content, str) and not source._is_encoded:
        named = source._named_suffix is not None
        with options.cache.file(content, source.suffix, options, cancelled, on_version, named=named) as path:
            yield path
        return
    path = _temporary(source, options)
    try:
        _write(source, path, options, cancelled, on_version)
        if isinstance(content, str) and not source._is_encoded and source._named_suffix is None:
            path = path.rename(path.with_suffix(suffix_by_content(path, path.suffix)))
        yield path
    finally:
        path.unlink(missing_ok=True)


def suffix_by_content(path: Path, suffix: str) -> str:
    """The extension of an image if a file is one, by its first bytes; otherwise the one that it would get."""
    with path.open("rb") as file:
        return image_extension(file.read(16)) or suffix


def _temporary(source: Source, options: FetchOptions) -> Path:
    try:
        handle, name = tempfile.mkstemp(source.suffix, "source-", options.folder)
    except OSError as error:
        raise cannot_write(options.folder or "a temporary folder", error) from error
    os.close(handle)
    return Path(name)


def _write(
    source: Source,
    path: Path,
    options: FetchOptions,
    cancelled: threading.Event | None,
    on_version: OnVersion | None,
) -> None:
    """Write the bytes of a source to a file."""
    content = source.content
    try:
        with path.open("ab") as file:
            if not isinstance(content, str) or source._is_encoded:
                file.write(_content_bytes(source))
            else:
                version = Version()

                def take(found: Version) -> None:
                    nonlocal version
                    version = found
                    if on_version is not None:
                        on_version(found)

                copy_from_address(content, file, options, cancelled, on_version=take)
                file.flush()
                os.utime(path, ns=(time.time_ns(), version.time_ns))
    except OSError as error:
        raise cannot_write(path, error) from error
    if path.stat().st_size == 0:
        raise MediaError("empty", source.name, "has no bytes")


def copy_from_address(
    address: str,
    file: BinaryIO,
    options: FetchOptions,
    cancelled: threading.Event | None = None,
    *,
    known: Version | None = None,
    on_version: OnVersion | None = None,
) -> None:
    """Append the content of an address to a file: ``http(s)://``, or a storage supported by fsspec.

    Args:
        address: The address.
        file: Open for appending; what it has is taken for the beginning of the content.
        options: Options for fetching.
        cancelled: Ends the transfer when set.
        known: Of which version the bytes in the file are, if that is known.
        on_version: Called with the version whose bytes follow.

    Raises:
        MediaError: As `local_file`.
        UserError: A package for this kind of storage is not installed.
        OSError: The file cannot be written.
    """
    if scheme(address) in ("http", "https"):
        from tools.base.transfer import TransferError, fetch

        try:
            fetch(
                address, file, limits=options.limits, cancelled=cancelled, known=known, on_version=on_version
            )
        except TransferError as error:
            raise MediaError(*judged(address, error)) from error
        return
    from tools.media.fetching.storage import copy_from_storage

    how = {"limits": options.limits, "options": options.storage, "cancelled": cancelled}
    copy_from_storage(address, file, known=known, on_version=on_version, **how)


def version_at(
    address: str, options: FetchOptions | None = None, known: Version | None = None
) -> Version | None:
    """The version of the file that an address has now, from one small request.

    Args:
        address: ``http(s)://``, or of a storage supported by fsspec.
        options: Options for fetching.
        known: A version that is here, which the server need not send again.

    Returns:
        The version; None if the server does not answer, or with an error.
    """
    options = options or FetchOptions()
    if scheme(address) in ("http", "https"):
        from tools.base.transfer import server_version

        return server_version(address, known=known, timeout=min(10.0, options.limits.timeout))
    from tools.media.fetching.storage import storage_version

    return storage_version(address, options.storage)


def judged(url: str, error: TransferError) -> tuple[str, str, str]:
    """Kind, path and message of the failure of a row, for that of a transfer."""
    if error.status in _GONE:
        return "missing", url, f"the server answers {error.reason}"
    kind = {"too_large": "too_large", "too_slow": "timeout"}.get(error.trouble, "network")
    text = {
        "refused": "the server refuses",
        "unreachable": "the server cannot be reached",
        "broken": "the transfer was interrupted too often",
    }.get(error.trouble)
    return kind, url, f"{text}: {error.reason}" if text else error.reason


def _content_bytes(source: Source) -> bytes | bytearray | memoryview:
    content = source.content
    assert not isinstance(content, os.PathLike), "it is on this machine already"
    if isinstance(content, str):
        head = _DATA_URI.match(content)
        text = content[head.end() if head else 0 :].encode()
        if head and not head[2]:
            return urllib.parse.unquote_to_bytes(text)
    elif source._is_encoded:
        text = bytes(content)
    else:
        return content
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError("bad_value", source.name, f"is not base64 ({error})") from error


def _suffix(format: str) -> str:
    """File extension of a format: ``mp4``, ``.mp4``, ``video/mp4`` and ``base64:mp4`` are the same."""
    name = format.lower().rpartition(":")[2].rpartition("/")[2].strip().lstrip(".")
    name = {"quicktime": "mov", "x-matroska": "mkv", "x-msvideo": "avi", BASE64: "mp4"}.get(name, name)
    suffix = f".{name}"
    if suffix not in VIDEO_EXTENSIONS and suffix not in IMAGE_EXTENSIONS:
        known = ", ".join(s.lstrip(".") for s in (*VIDEO_EXTENSIONS, *IMAGE_EXTENSIONS))
        raise MediaError("bad_value", "", f"Invalid format ({format}). Supported values are {known}.")
    return suffix
