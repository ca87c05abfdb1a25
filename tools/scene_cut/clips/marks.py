"""The mark of a clip: a fingerprint of what it was made of, in the comment of the file."""

from __future__ import annotations

from pathlib import Path

import av

from tools.media.container import open_container

MARK = "vidsieve cut "
"""What the comment of a clip begins with."""
COMMENT = "comment"
"""Metadata key of a clip's mark."""


def read_mark(place: Path) -> str | None:
    """The mark of a clip; None for a file that was not cut here."""
    try:
        with open_container(place) as container:
            comment = container.metadata.get(COMMENT) or container.metadata.get(COMMENT.upper()) or ""
    except (av.error.FFmpegError, OSError, UnicodeError):
        return None
    return comment if comment.startswith(MARK) else None
