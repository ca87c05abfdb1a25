"""Download a file over HTTP: interrupted transfers are resumed, incomplete files detected."""

from __future__ import annotations

import http.client
import io
import os
import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from tools.base.addresses import request_address
from tools.base.redirects import RedirectError, opener
from tools.base.retry_after import retry_after
from tools.base.versions import HEADERS, OnVersion, Version

PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds before each further attempt that follows one without a new byte."""

_BLOCK = 1 << 18  # bytes
_LONGEST_PAUSE = 60.0  # seconds, whatever Retry-After says
_AGAIN = (408, 425, 429)  # and 5xx: the same request may succeed later

Trouble = Literal["refused", "unreachable", "broken", "too_large", "too_slow", "cancelled"]


class TransferError(Exception):
    """The download failed for good.

    Args:
        trouble: ``refused`` by the server; ``unreachable``; ``broken``: interrupted too often; ``too_large``;
            ``too_slow``; ``cancelled``.
        reason: What happened, in a few words, without the address.
        status: HTTP status of the response, if there was one.
    """

    def __init__(self, trouble: Trouble, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.trouble = trouble
        self.reason = reason
        self.status = status


class _BrokenError(Exception):
    """This attempt failed; another one may succeed."""

    def __init__(self, reason: str, *, unreachable: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.unreachable = unreachable
        self.wait = wait


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes:
        pauses: Seconds before each further attempt; after an attempt with new bytes they start again.
        timeout: Seconds without a byte after which an attempt is aborted.
        time_limit: Seconds for the whole file; None for no limit.
        max_bytes: Largest file; None for no limit.
    """

    pauses: tuple[float, ...] = PAUSES
    timeout: float = 60.0
    time_limit: float | None = None
    max_bytes: int | None = None


def fetch(
    url: str,
    file: BinaryIO,
    *,
    limits: Limits | None = None,
    patient: bool = True,
    progress: Callable[[int], object] | None = None,
    cancelled: threading.Event | None = None,
    known: Version | None = None,
    on_version: OnVersion | None = None,
) -> None:
    """Download a URL to a file, continuing after the bytes that it has.

    If the server sends the length of the file (all but very old ones do), fewer bytes are never taken for the
    whole file. If the file changes on the server between two attempts, the download starts again. Proxies are
    taken from ``http_proxy``, ``https_proxy`` and ``no_proxy`` by the standard library.
    Redirects are followed as described in `tools.base.redirects`.

    Args:
        url: ``http://`` or ``https://`` address; letters other than ASCII are escaped. A user name and
            password in it (``https://user:password@host/``) are sent to that host only (RFC 7617).
        file: Open for appending (``ab``); its content is taken for the beginning of the file.
        limits: See `Limits`.
        patient: Whether to retry if the server cannot be reached at all.
        progress: Called with the number of bytes received.
        cancelled: Ends the transfer when set.
        known: Of which version the bytes in the file are, if that is known.
        on_version: Called with the version whose bytes follow, each time that the server tells it.

    Raises:
        TransferError: See there. The bytes received stay in the file.
        OSError: The file cannot be written.
    """
    address, authorization = _address(url)
    transfer = _Transfer(
        address, authorization, file, limits or Limits(), patient, progress, cancelled, on_version
    )
    if known is not None:
        transfer.total, transfer.version = known.size, known.for_range
    transfer.run()


def file_version(url: str, *, limits: Limits | None = None) -> Version:
    """The version of a file, its size among it, from one small request; tried as often as a download is.

    Args:
        url: See `fetch`.
        limits: See `Limits`; bytes are not limited.

    Raises:
        TransferError: See there; ``status`` 404 says that there is no such file.
    """
    address, authorization = _address(url)
    question = _Question(address, authorization, io.BytesIO(), limits or Limits(), True, None, None)
    question.run()
    return question.found


def _address(url: str) -> tuple[str, str | None]:
    try:
        return request_address(url)
    except ValueError as error:
        raise TransferError("refused", f"not an address ({error})") from error


@dataclass
class _Transfer:
    url: str
    authorization: str | None
    file: BinaryIO
    limits: Limits
    patient: bool
    progress: Callable[[int], object] | None
    cancelled: threading.Event | None
    on_version: OnVersion | None = None
    total: int | None = None  # bytes of the whole file, once known
    version: str | None = None  # validator of the file's version
    most: int = 0  # most bytes that the file had at any time
    started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        failures = 0
        self.most = self.file.seek(0, os.SEEK_END)
        while True:
            before = self.most
            try:
                return self._attempt()
            except _BrokenError as error:
                # Only bytes beyond all earlier attempts are progress: a server without Range may break off
                # at another place each time.
                failures = 0 if self.most > before else failures + 1
                if error.unreachable and not self.patient and not self.file.tell():
                    raise TransferError("unreachable", str(error)) from error
                if failures > len(self.limits.pauses):
                    trouble = "unreachable" if error.unreachable else "broken"
                    raise TransferError(trouble, str(error)) from error
                self._pause(failures, error.wait)
            self._report_progress()

    def _pause(self, failures: int, requested: float | None) -> None:
        """Wait as long as the server requests, or longer each time."""
        pauses = self.limits.pauses
        usual = pauses[max(0, failures - 1)] * random.uniform(0.5, 1.0) if pauses else 0.0
        seconds = usual if requested is None else min(requested, _LONGEST_PAUSE)
        if self.limits.time_limit is not None:
            seconds = min(seconds, max(0.0, self._left()))
        if self.cancelled is None:
            time.sleep(seconds)
        else:
            self.cancelled.wait(seconds)
        self._check()

    def _left(self) -> float:
        return self.started + (self.limits.time_limit or 0.0) - time.monotonic()

    def _check(self) -> None:
        """Raise if the transfer is cancelled or exceeds a limit."""
        if self.cancelled is not None and self.cancelled.is_set():
            raise TransferError("cancelled", "the run has ended")
        here = self.file.tell()
        if self.limits.time_limit is not None and self._left() <= 0:
            size = f" of {self.total}" if self.total else ""
            raise TransferError(
                "too_slow", f"{here}{size} bytes received in {self.limits.time_limit:g} s, which is the limit"
            )
        size = max(here, self.total or 0)
        if self.limits.max_bytes is not None and size > self.limits.max_bytes:
            raise TransferError(
                "too_large", f"has {size} bytes or more, the limit is {self.limits.max_bytes}"
            )

    def _report_progress(self) -> None:
        self.most = max(self.most, self.file.tell())
        if self.progress is not None:
            self.progress(self.file.tell())

    def _attempt(self) -> None:
        """Request the rest of the file; returns when it is complete."""
        self._check()
        offset = self.file.seek(0, os.SEEK_END)
        with self._open(offset) as response:
            if response.status == 416:  # nothing after offset: the file is complete
                return
            if response.status == 206:
                self._check_range(response, offset)
            else:  # the server does not support Range, or has another version
                self._restart()
                length = response.headers.get("Content-Length")
                self.total = int(length) if length is not None and length.isdecimal() else None
            version = Version.from_headers(response.headers, response.status)
            self.version = version.for_range
            if self.on_version is not None:
                self.on_version(version)
            self._check()
            self._copy(response)
        self.file.flush()
        here = self.file.tell()
        if self.total is not None and here != self.total:  # http.client does not report an early end
            if here > self.total:
                self._restart()
            raise _BrokenError(f"{here} of {self.total} bytes received")

    def _open(self, offset: int, wanted: str = "") -> Any:
        """Ask for the file from an offset on, or for another range."""
        request = urllib.request.Request(self.url, headers=HEADERS)  # noqa: S310 (opened by `opener`)
        if self.authorization is not None:
            request.add_header("Authorization", self.authorization)
        if offset or wanted:
            request.add_header("Range", wanted or f"bytes={offset}-")
            if self.version:
                request.add_header("If-Range", self.version)
        try:
            return opener(self.url).open(request, timeout=self._timeout())
        except RedirectError as error:
            raise TransferError("refused", str(error)) from error
        except urllib.error.HTTPError as error:
            if error.code == 416 and self._is_whole(error, offset):
                return error
            error.close()
            raise self._judge(error) from error
        except urllib.error.URLError as error:
            raise _BrokenError(str(error.reason), unreachable=True) from error
        except (http.client.InvalidURL, ValueError) as error:
            raise TransferError("refused", f"not an address ({error})") from error
        except (http.client.HTTPException, OSError) as error:
            raise _BrokenError(str(error) or type(error).__name__) from error

    def _timeout(self) -> float:
        if self.limits.time_limit is None:
            return self.limits.timeout
        return max(0.05, min(self.limits.timeout, self._left()))

    def _judge(self, error: urllib.error.HTTPError) -> Exception:
        status = f"HTTP {error.code} {error.reason}"
        if error.code == 416:  # our file is longer, or another one
            here, total = self.file.tell(), self.total
            self._restart()
            if total is not None:
                return _BrokenError(f"{here} of {total} bytes received, and the server has no more")
            return _BrokenError("the local part did not match the file and was discarded")
        if error.code in _AGAIN or error.code >= 500:
            return _BrokenError(status, wait=retry_after(error.headers))
        return TransferError("refused", f"{error.code} {error.reason}", error.code)

    def _is_whole(self, error: urllib.error.HTTPError, offset: int) -> bool:
        """Whether the file ends at the offset, and no other length was given before."""
        ends = (error.headers.get("Content-Range") or "").endswith(f"/{offset}")
        return ends and self.total in (None, offset)

    def _check_range(self, response: http.client.HTTPResponse, offset: int) -> None:
        """Make sure that the response is the requested range of the same file as before."""
        stated = response.headers.get("Content-Range") or ""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", stated.strip())
        theirs = Version.from_headers(response.headers).for_range
        other = self.version and theirs and theirs != self.version
        if found is None or int(found[1]) != offset or other:
            self._restart()
            raise _BrokenError(
                f"the server sent another range than requested ({stated or 'no Content-Range'})"
            )
        total = None if found[2] == "*" else int(found[2])
        if None not in (self.total, total) and total != self.total:
            self._restart()
            raise _BrokenError("the file changed on the server")
        self.total = self.total if total is None else total

    def _restart(self) -> None:
        self.file.truncate(0)
        self.file.seek(0, os.SEEK_END)
        self.total = self.version = None

    def _copy(self, response: http.client.HTTPResponse) -> None:
        while True:
            try:
                block = response.read1(_BLOCK)
            except (http.client.HTTPException, OSError) as error:
                raise _BrokenError(str(error) or type(error).__name__) from error
            if not block:
                return
            self.file.write(block)
            self._report_progress()
            self._check()


@dataclass
class _Question(_Transfer):
    """A request for the first byte, which tells the size of all."""

    found: Version = Version()

    def _attempt(self) -> None:
        self._check()
        # An address that was signed for downloads allows no HEAD.
        with self._open(0, "bytes=0-0") as response:
            self.found = Version.from_headers(response.headers, response.status)
