"""Local files for media given as a path, an address or bytes: fetched where needed."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tools.base.addresses import scheme
from tools.base.disk import cannot_write
from tools.base.versions import OnVersion, Version
from tools.errors import MediaError
from tools.media.fetching.sources import Content, FetchOptions, Source, as_source, content_bytes
from tools.media.reading.extensions import image_extension

if TYPE_CHECKING:
    from tools.base.transfer import TransferError

_GONE = (404, 410)

# the module that speaks HTTP is imported where addresses are opened: most runs open none


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
    if options.cache is not None and isinstance(content, str) and not source.is_encoded:
        named = source.named_suffix is not None
        with options.cache.file(content, source.suffix, options, cancelled, on_version, named=named) as path:
            yield path
        return
    path = _temporary(source, options)
    try:
        _write(source, path, options, cancelled, on_version)
        if isinstance(content, str) and not source.is_encoded and source.named_suffix is None:
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
            if not isinstance(content, str) or source.is_encoded:
                file.write(content_bytes(source))
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
        from tools.base.versions import server_version

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
