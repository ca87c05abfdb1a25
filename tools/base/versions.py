"""The version of a file on a server, as far as the server says: ETag, time of the last change, size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tools.base.addresses import request_address

HEADERS = {"User-Agent": "vidsieve"}


class Version(NamedTuple):
    """What a server says of the version of a file; None for what it does not say.

    Attributes:
        etag: The ETag (RFC 9110, 8.8.3).
        modified: Time of the last change, as the server writes it.
        size: Bytes.
    """

    etag: str | None = None
    modified: str | None = None
    size: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether two versions can be told apart by more than their size."""
        return bool(self.etag or self.modified)

    @property
    def for_range(self) -> str | None:
        """A validator for If-Range: a strong ETag, or else the time of the last change (RFC 9110, 13.1.5)."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return None if self.etag else self.modified

    @property
    def time_ns(self) -> int:
        """A number for the time of the last change of a local copy: the same for each copy of a version.

        Whoever knows files by path, size and time so sees which version a copy is of. 0 if nothing is known.
        """
        name = self.etag.removeprefix("W/") if self.etag else self.modified
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") if name else 0

    def differs(self, other: Version) -> bool:
        """Whether both are certainly versions of different content: never only because one says less."""
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") != other.etag.removeprefix("W/")
        if self.modified and other.modified and self.modified != other.modified:
            return True
        return None not in (self.size, other.size) and self.size != other.size

    def is_same(self, other: Version) -> bool:
        """Whether both are certainly the same version: the size alone does not say so."""
        both = (self.etag and other.etag) or (self.modified and other.modified)
        return bool(both) and not self.differs(other)

    @classmethod
    def from_headers(cls, headers: Any, status: int = 200) -> Version:
        """The version in the headers of a response with this status: to a range it gives the whole size."""
        if status in (206, 416):
            size = (headers.get("Content-Range") or "").rpartition("/")[2].strip()
        else:
            size = headers.get("Content-Length") or ""
        return cls(
            headers.get("ETag") or None,
            headers.get("Last-Modified") or None,
            int(size) if size.isascii() and size.isdecimal() else None,
        )

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Version:
        """The version in what a storage of fsspec says of an object; each storage has names of its own."""
        facts = {str(name).lower().replace("_", ""): value for name, value in info.items()}
        names = ("lastmodified", "updated", "mtime", "modified", "created")
        modified = next((facts[name] for name in names if facts.get(name) is not None), None)
        etag = facts.get("etag") or facts.get("md5hash") or facts.get("versionid")
        size = facts.get("size")
        return cls(
            None if etag is None else str(etag),
            None if modified is None else str(modified),
            size if isinstance(size, int) else None,
        )

    @classmethod
    def from_json(cls, value: Any) -> Version:
        """The version in a list that was read from a file.

        Raises:
            ValueError: It is none.
        """
        if isinstance(value, (list, tuple)) and len(value) == len(cls._fields):
            etag, modified, size = value
            texts = all(text is None or isinstance(text, str) for text in (etag, modified))
            if texts and (size is None or type(size) is int):
                return cls(etag, modified, size)
        raise ValueError(f"{value!r}: not the version of a file")


def server_version(url: str, *, known: Version | None = None, timeout: float = 10.0) -> Version | None:
    """Ask a server for the version that a file has now, with one request for one byte.

    The request is a GET: an address that was signed for that (of object storage) allows no HEAD.

    Args:
        url: ``http://`` or ``https://`` address, see `request_address`.
        known: A version that is here: the server need not send anything if it still has that (RFC 9110, 13).
        timeout: Seconds without an answer.

    Returns:
        The version; None if the server does not answer, or with an error.
    """
    import http.client  # most runs ask no server
    import urllib.error
    import urllib.request

    from tools.base.redirects import RedirectError, opener

    try:
        address, authorization = request_address(url)
    except ValueError:
        return None
    headers = {**HEADERS, "Range": "bytes=0-0"}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 (opened by `opener`)
    if authorization is not None:
        request.add_header("Authorization", authorization)
    if known and known.etag:
        request.add_header("If-None-Match", known.etag)
    elif known and known.modified:
        request.add_header("If-Modified-Since", known.modified)
    try:
        with opener(address).open(request, timeout=timeout) as response:
            return Version.from_headers(response.headers, response.status)
    except RedirectError:
        return None
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 304:
            return known
        return Version.from_headers(error.headers, 416) if error.code == 416 else None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        return None


OnVersion = Callable[[Version], object]
"""Called with the version of a file, before its bytes are written."""
