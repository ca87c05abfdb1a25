"""Ask servers about many files at addresses: whether they are there, how large, and what is in small ones."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar
from urllib.parse import urlsplit

from tools.base.addresses import scheme
from tools.base.side_by_side import side_by_side
from tools.base.transfer import Limits, TransferError, file_version
from tools.errors import MediaError
from tools.media.fetching.local_files import judged, local_file
from tools.media.fetching.sources import FetchOptions
from tools.media.fetching.storage import object_version

T = TypeVar("T")

_AT_ONCE = 16
_TIMEOUT = 10.0  # seconds
_TRIES = 3  # after the first
_PATIENCE = 3  # files of a server that does not answer; it is asked no more


def file_size(address: str, options: FetchOptions | None = None) -> int:
    """Bytes of the file at an address, from one small request.

    Where the server does not tell, the file is fetched.

    Args:
        address: ``http(s)://``, or of a storage supported by fsspec.
        options: Options for fetching.

    Raises:
        MediaError: ``missing`` if the server says that there is none; ``network`` if it does not say so, as
            it refuses or cannot be reached; others as `tools.media.fetching.local_files.local_file`.
        UserError: A package for this kind of storage is not installed.
    """
    options = options or FetchOptions()
    limits = _short(options.limits)
    if scheme(address) in ("http", "https"):
        try:
            version = file_version(address, limits=limits)
        except TransferError as error:
            raise MediaError(*judged(address, error)) from error
    else:
        version = object_version(address, options.storage, limits)
    if version.size is not None:
        return version.size
    return len(small_file(address, options))


def small_file(address: str, options: FetchOptions | None = None) -> bytes:
    """What is in the file at an address, also if that is nothing.

    Raises:
        MediaError: As `tools.media.fetching.local_files.local_file`.
        UserError: Likewise.
    """
    options = options or FetchOptions()
    options = dataclasses.replace(options, limits=_short(options.limits))
    try:
        with local_file(address, options=options) as path:
            return path.read_bytes()
    except MediaError as error:
        if error.kind == "empty":
            return b""
        raise


def ask_all(
    ask: Callable[[str], T],
    addresses: Iterable[str],
    finished: Callable[[T | MediaError], object] | None = None,
) -> dict[str, T | MediaError]:
    """Ask for each address, several at a time, once.

    A server that does not answer for the first few is not waited for at each of the others.

    Args:
        ask: What to ask, such as `file_size`.
        addresses: The addresses.
        finished: Called with each answer, in the order of the addresses.

    Returns:
        For each address the answer, or why there is none.

    Raises:
        UserError: As `ask` raises it.
    """
    silent: dict[str, int] = {}
    lock = threading.Lock()

    def asked(address: str) -> T | MediaError:
        server = "://".join(urlsplit(address)[:2])
        with lock:
            if silent.get(server, 0) >= _PATIENCE:
                return MediaError("network", address, "its server did not answer for other files")
        try:
            answer = ask(address)
        except MediaError as error:
            cause = error.__cause__
            if isinstance(cause, TransferError) and cause.trouble in ("unreachable", "broken"):
                with lock:
                    silent[server] = silent.get(server, 0) + 1
            return error
        with lock:
            silent.pop(server, None)
        return answer

    found: dict[str, T | MediaError] = {}
    wanted = list(dict.fromkeys(addresses))
    for address, answer in zip(wanted, side_by_side(asked, wanted, _AT_ONCE), strict=True):
        found[address] = answer
        if finished is not None:
            finished(answer)
    return found


def _short(limits: Limits) -> Limits:
    """Limits for requests that are answered at once, or hardly ever."""
    return dataclasses.replace(limits, pauses=limits.pauses[:_TRIES], timeout=min(limits.timeout, _TIMEOUT))
