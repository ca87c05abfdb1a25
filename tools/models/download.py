"""Fetching one file over HTTP: resumable, verified, and never half there under its final name."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tools.errors import UserError
from tools.models.digests import read_sha256

_BLOCK = 1 << 18  # bytes
_TIMEOUT = 60.0  # seconds without a byte
_PAUSES = (1.0, 2.0, 5.0, 10.0)  # seconds before each further attempt that follows a broken connection


class _Broken(Exception):
    """The connection ended early: what has arrived is kept, and another attempt goes on from there."""


def mirrored(url: str) -> str:
    """The address to fetch from: ``$VIDSIEVE_MIRROR/<file name>`` when that is set, else ``url``.

    Proxies are taken from ``http_proxy``, ``https_proxy`` and ``no_proxy`` by the standard library.
    """
    mirror = os.environ.get("VIDSIEVE_MIRROR")
    return f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[1]}" if mirror else url


def download_file(
    url: str,
    target: str | Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: bool = True,
    pauses: tuple[float, ...] = _PAUSES,
) -> Path:
    """Fetch ``url`` into ``target``.

    The bytes collect in ``<target>.part``; a later call goes on where an earlier one was interrupted
    (HTTP Range; a server that knows none starts over). Only verified bytes get the final name.

    Args:
        url: ``http://`` or ``https://`` address.
        target: The file to make; its folder is made too.
        sha256: Digest that the whole file must have.
        size: Expected size in bytes, for the progress bar.
        progress: Show a progress bar on stderr.
        pauses: Seconds to wait before each new attempt after a broken connection.

    Returns:
        ``target``.

    Raises:
        UserError: The server cannot be reached or refuses, the connection keeps breaking, the disk is full,
            or the bytes are not those expected.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url}: only http:// and https:// addresses can be downloaded")
    target = Path(target)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _lock(file, part)
            resumed = file.tell() > 0
            _fetch(url, target, file, size, progress, pauses)
            actual = read_sha256(part)
            if actual != sha256 and resumed:  # the part may stem from another file: once more from nothing
                file.truncate(0)
                _fetch(url, target, file, size, progress, pauses)
                actual = read_sha256(part)
            length = file.tell()
        if actual != sha256:
            part.unlink()
            raise UserError(
                f"{url}: the {length} bytes that came are not the published file (sha256 {actual}, "
                f"expected {sha256}); nothing was kept"
            )
        part.replace(target)
    except OSError as error:
        raise UserError(f"{part}: cannot be written ({error.strerror or error})") from error
    finally:
        if part.is_file() and part.stat().st_size == 0:
            part.unlink()
    return target


def _fetch(
    url: str, target: Path, file: BinaryIO, size: int | None, progress: bool, pauses: tuple[float, ...]
) -> None:
    """Append the bytes that are still missing, with as many attempts as there are pauses, plus one.

    An attempt that brought new bytes does not count: a slow line that breaks every minute still arrives.
    """
    from tqdm import tqdm

    failures = 0
    with tqdm(
        total=size,
        initial=file.tell(),
        unit="B",
        unit_scale=True,
        desc=target.name,
        disable=not progress,
        delay=1,
    ) as bar:
        while True:
            before = file.tell()
            try:
                _attempt(url, target, file, bar.update)
                return
            except _Broken as error:
                failures = 0 if file.tell() > before else failures + 1
                if failures > len(pauses):
                    raise UserError(
                        f"{url}: the connection broke after {file.tell()} bytes ({error}); "
                        f"they are kept, run the same command again to go on"
                    ) from error
            time.sleep(pauses[max(0, failures - 1)] if pauses else 0)
            bar.n = file.tell()


def _attempt(url: str, target: Path, file: BinaryIO, advance: Callable[[int], object]) -> None:
    """One request for the rest of the file; returns when the server has sent all it has."""
    offset = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"User-Agent": "vidsieve"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing after offset: the part is whole, or longer than the file
            if error.headers.get("Content-Range", "").endswith(f"/{offset}"):
                return
            file.truncate(0)
            raise _Broken("the part did not fit the file and was dropped") from error
        if error.code in (408, 429) or error.code >= 500:
            raise _Broken(f"HTTP {error.code} {error.reason}") from error
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; "
            f"get the file elsewhere and put it at {target}, or set VIDSIEVE_MIRROR"
        ) from error
    except urllib.error.URLError as error:
        if offset:
            raise _Broken(str(error.reason)) from error
        raise UserError(
            f"{url}: cannot be reached ({error.reason}); without a network, fetch it on another machine and "
            f"put it at {target}; https_proxy and VIDSIEVE_MIRROR are honoured"
        ) from error
    except (http.client.HTTPException, OSError) as error:
        raise _Broken(str(error) or type(error).__name__) from error
    with response:
        if offset and response.status != 206:  # a server without Range support sends everything
            file.truncate(0)
            advance(-offset)
        _copy(response, file, advance)


def _copy(response: http.client.HTTPResponse, file: BinaryIO, advance: Callable[[int], object]) -> None:
    expected, arrived = response.headers.get("Content-Length"), 0
    while True:
        try:
            block = response.read(_BLOCK)
        except (http.client.HTTPException, OSError) as error:
            raise _Broken(str(error) or type(error).__name__) from error
        if not block:
            break
        file.write(block)
        arrived += len(block)
        advance(len(block))
    file.flush()
    if expected is not None and arrived < int(expected):  # an early end is no error to http.client
        raise _Broken(f"{arrived} of {expected} bytes came")


def _lock(file: BinaryIO, part: Path) -> None:
    """Let one process at a time write the part."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"{part}: another process is downloading this file") from error
