"""The provenance of a clip, in the comment of the file: fingerprints of how it was cut, and of its source."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from av.error import FFmpegError

from tools.base.addresses import scheme
from tools.media.reading.container import open_container

COMMENT_PREFIX = "vidsieve cut "
"""What the comment of a clip begins with."""
COMMENT = "comment"
"""Metadata key of a clip's provenance."""


class ClipProvenance(NamedTuple):
    """What the comment of a clip says: ``vidsieve cut <made> <source>``.

    Attributes:
        made: Fingerprint of the cut: size and time of the source, frames, options.
        source: Fingerprint of the source's absolute path or address; empty in clips of early versions.
    """

    made: str
    source: str

    def __str__(self) -> str:
        return f"{COMMENT_PREFIX}{self.made} {self.source}".rstrip()


def source_fingerprint(path: str | Path) -> str:
    """Fingerprint of a source: of its absolute path, links not followed, or of its address."""
    absolute = str(path) if scheme(str(path)) is not None else os.path.abspath(path)  # noqa: PTH100  the name of the file counts
    return hashlib.sha256(absolute.encode(errors="surrogatepass")).hexdigest()[:16]


def read_provenance(path: Path) -> ClipProvenance | None:
    """The provenance of a clip; None for a file that was not cut by this tool."""
    try:
        with open_container(path) as container:
            comment = container.metadata.get(COMMENT) or container.metadata.get(COMMENT.upper()) or ""
    except (FFmpegError, OSError, ValueError):  # no video, or a name that is none
        return None
    if not comment.startswith(COMMENT_PREFIX):
        return None
    made, _, source = comment.removeprefix(COMMENT_PREFIX).partition(" ")
    return ClipProvenance(made, source)


def same_clip(one: Path, other: Path) -> bool:
    """Whether two clips were cut from the same source in the same way."""
    first, second = read_provenance(one), read_provenance(other)
    return first is not None and second is not None and first.made == second.made
