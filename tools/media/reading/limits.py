"""The most pixels that a picture may have, checked before it is decoded.

A file of a few kilobytes can state a picture of many gigabytes. The default is where Pillow refuses, and more
than 16K video has (15360 × 8640 = 132 710 400).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from tools.errors import MediaError
from tools.options.values import Whole

MAX_PIXELS = 178_956_970
"""Pixels of a picture by default: 512 MiB of RGB."""
VARIABLE = "VIDSIEVE_MAX_PIXELS"
"""The environment variable that gives another default."""

_limit: ContextVar[int | None] = ContextVar("max_pixels", default=None)


def max_pixels() -> int:
    """The limit that is in force: of `limited_pixels`, of the environment variable, or `MAX_PIXELS`.

    Raises:
        UserError: The variable has no such number.
    """
    limit = _limit.get()
    if limit is not None:
        return limit
    given = os.environ.get(VARIABLE)
    return Whole(1).check(VARIABLE, given) if given else MAX_PIXELS


@contextmanager
def limited_pixels(limit: int | None) -> Iterator[None]:
    """Set the limit for what is read in a block.

    Args:
        limit: Pixels; None for the default.
    """
    before = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(before)


def check_pixels(path: str | Path, width: int, height: int, what: str = "its pictures have") -> None:
    """Refuse a picture that has more pixels than the limit.

    Args:
        path: Its file.
        width: Pixels.
        height: Pixels.
        what: What has them, for the message.

    Raises:
        MediaError: too_large.
    """
    limit = max_pixels()
    if width * height > limit:
        size = f"{width} x {height} = {width * height} pixels"
        raise MediaError("too_large", path, f"{what} {size}, more than the {limit} of --max-pixels")
