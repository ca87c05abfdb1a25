"""Addresses (``https://host/a.mp4``, ``s3://bucket/meta.csv``) apart from paths of this machine."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

from tools.errors import UserError

_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:)/(?!/)")  # what pathlib makes of an address

ADDRESS = r"^[A-Za-z][A-Za-z0-9+.-]+://"
"""What an address begins with, as a regular expression."""
ELSEWHERE = (
    "is an address, not a path of this machine: fetch it first, or mount its storage "
    "(scores read and write addresses with --engine daft, see docs/daft.md)"
)
"""What is said of an address where only a path will do."""


def scheme(text: str) -> str | None:
    """The scheme of an address, in small letters; None for a path."""
    if "://" not in text or re.match(ADDRESS, text) is None:
        return None
    return text.partition("://")[0].lower()


def is_address(place: str | Path) -> bool:
    """Whether a place is an address, as text or as what `pathlib` makes of one (``s3:/bucket/meta.csv``).

    A path that begins with a folder called ``s3:`` is none.
    """
    if isinstance(place, str):
        return scheme(place) is not None
    found = _COLLAPSED.match(os.fspath(place))
    return found is not None and not Path(found[1]).exists()


def local_path(text: str) -> str:
    """The path that a ``file://`` address of this machine names (RFC 8089); other text stays as it is."""
    if scheme(text) != "file":
        return text
    host, slash, path = text.partition("://")[2].partition("/")
    if host not in ("", "localhost") or not slash:
        return text
    return urllib.parse.unquote(f"/{path}")


def refuse_address(place: str | Path) -> None:
    """Make sure that a place is a path, so that no folder called ``s3:`` is made.

    Raises:
        UserError: It is an address.
    """
    if is_address(place):
        text = str(place) if isinstance(place, str) else os.fspath(place).replace(":/", "://", 1)
        raise UserError(f"{text}: {ELSEWHERE}")
