"""Tell addresses (``https://host/a.mp4``, ``s3://bucket/meta.csv``) from paths on this machine."""

from __future__ import annotations

import base64
import os
import re
import urllib.parse
from pathlib import Path

from tools.errors import UserError

_USER = re.compile(r"(?<=://)[^/@\s]+@")
_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:)/(?!/)")  # what pathlib makes of an address

ADDRESS = r"^[A-Za-z][A-Za-z0-9+.-]+://"
"""The beginning of an address, as a regular expression."""
ELSEWHERE = (
    "is an address, not a path on this machine: copy what is there to this machine, or what is written here "
    "to there, or mount its storage (scores with --engine daft read and write tables there, tools.export -o "
    "writes data sets: docs/addresses.md)"
)
"""The message for an address where only a path is supported."""


def scheme(text: str) -> str | None:
    """The scheme of an address, in small letters; None for a path."""
    if "://" not in text or re.match(ADDRESS, text) is None:
        return None
    return text.partition("://")[0].lower()


def is_address(path: str | Path) -> bool:
    """Whether something is an address, as text or as `pathlib` writes one (``s3:/bucket/meta.csv``).

    A path that begins with an existing folder called ``s3:`` is not.
    """
    if isinstance(path, str):
        return scheme(path) is not None
    found = _COLLAPSED.match(os.fspath(path))
    return found is not None and not Path(found[1]).exists()


def without_query(text: str) -> str:
    """An HTTP address without what follows ``?`` or ``#``, for the name of its file; other text unchanged."""
    return re.split("[?#]", text, maxsplit=1)[0] if scheme(text) in ("http", "https") else text


def without_secrets(text: str) -> str:
    """A text in which addresses have no user, password and query: what may be shown to others."""
    text = re.sub(r"\b[a-z][\w+.-]*://\S+", lambda found: without_query(found[0]), text)
    return _USER.sub("", text)


def local_path(text: str) -> str:
    """The path of a ``file://`` address on this machine (RFC 8089); other text is returned unchanged."""
    if scheme(text) != "file":
        return text
    host, slash, path = text.partition("://")[2].partition("/")
    if host not in ("", "localhost") or not slash:
        return text
    return urllib.parse.unquote(f"/{path}")


def absolute(source: str) -> str:
    """The absolute path of a source, or its address; links are not followed."""
    source = local_path(source)
    return source if "://" in source else os.path.abspath(source)  # noqa: PTH100  a path would lose //


def refuse_address(path: str | Path) -> None:
    """Make sure that something is a path, so that no folder called ``s3:`` is created.

    Raises:
        UserError: It is an address.
    """
    if is_address(path):
        text = str(path) if isinstance(path, str) else os.fspath(path).replace(":/", "://", 1)
        raise UserError(f"{text}: {ELSEWHERE}")


def request_address(url: str) -> tuple[str, str | None]:
    """Escape an address for a request; what is escaped already stays as it is.

    Returns:
        The address without user name and password, and the header Authorization for these.

    Raises:
        ValueError: It is not an HTTP address.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it must begin with http:// or https://")
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        host = host.encode("idna").decode()
    path, query = (urllib.parse.quote(text, safe="%/:=&?~+!$,;'@()*[]") for text in (parts.path, parts.query))
    address = urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))
    token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    return address, f"Basic {token}" if at else None
