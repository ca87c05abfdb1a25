"""Media given as a path, an address or bytes, and the options for fetching it."""

from __future__ import annotations

import base64
import binascii
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tools.base.addresses import local_path, scheme
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS

if TYPE_CHECKING:
    from tools.base.transfer import Limits
    from tools.media.fetching.cache import Cache

Content = str | os.PathLike[str] | bytes | bytearray | memoryview
"""Types of the content of a source."""

BASE64 = "base64"
"""Format of bytes or text encoded in base64."""

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]*?(;base64)?,", re.IGNORECASE)


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
        if isinstance(content, os.PathLike) or (isinstance(content, str) and not self.is_encoded):
            return os.fspath(content)
        return f"({len(content)} bytes)"

    @property
    def local(self) -> Path | None:
        """The file itself if it is on this machine; None for content that must be fetched or written.

        Raises:
            MediaError: The path is empty, or a ``file://`` address of another machine.
        """
        if not isinstance(self.content, (str, os.PathLike)) or self.is_encoded:
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
        return self.named_suffix or _suffix(self.format)

    @property
    def named_suffix(self) -> str | None:
        """The extension in a path or an address, if it is a known one."""
        if isinstance(self.content, str) and not self.is_encoded:
            suffix = PurePosixPath(re.split("[?#]", self.content)[0]).suffix.lower()
            if suffix in VIDEO_EXTENSIONS or suffix in IMAGE_EXTENSIONS:
                return suffix
        return None

    @property
    def is_encoded(self) -> bool:
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


def content_bytes(source: Source) -> bytes | bytearray | memoryview:
    """The bytes of a source that is given by them, or in base64.

    Raises:
        MediaError: ``bad_value``: it is not base64.
    """
    content = source.content
    assert not isinstance(content, os.PathLike), "it is on this machine already"
    if isinstance(content, str):
        head = _DATA_URI.match(content)
        text = content[head.end() if head else 0 :].encode()
        if head and not head[2]:
            return urllib.parse.unquote_to_bytes(text)
    elif source.is_encoded:
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
