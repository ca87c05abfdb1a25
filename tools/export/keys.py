"""Names of the files of an export, made of those of its sources."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import PurePosixPath

from tools.base.addresses import without_query

_WINDOW = re.compile(r".+_w\d{3,}")
"""What names of several files of one row look like."""

_LONGEST = 120
"""Characters of a key, so that names of files stay within what file systems take."""


def keys_of(paths: list[str | None]) -> list[str]:
    """A name for each row, made of its file's: without dots and slashes, stable, each once.

    Of names that would be the same all get the beginning of the SHA-256 of their path; rows of the same
    path are numbered in their order.
    """
    plain = [_plain(path or "") for path in paths]
    sharing: dict[str, set[str]] = {}
    for name, path in zip(plain, paths, strict=True):
        sharing.setdefault(name.casefold(), set()).add(path or "")
    times: Counter[str] = Counter()
    found, taken = [], set()
    for name, path in zip(plain, paths, strict=True):
        text = path or ""
        crowded = len(sharing[name.casefold()]) > 1 or bool(_WINDOW.fullmatch(name))
        digest = hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()
        key = f"{name}_{digest[:10]}" if crowded else name
        times[text] += 1
        if times[text] > 1:
            key = f"{key}_{times[text]}"
        while key.casefold() in taken:  # such as the second row of a and the first of a_2
            key = f"{key}_{digest[:10]}"
        taken.add(key.casefold())
        found.append(key)
    return found


def _plain(path: str) -> str:
    stem = PurePosixPath(without_query(path)).stem
    return re.sub(r"[^\w-]", "_", stem)[:_LONGEST].strip("_") or "clip"
