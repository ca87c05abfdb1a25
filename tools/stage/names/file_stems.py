"""Names of the files that a stage makes: a distinct stem for each row of a table, and stems with digits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from tools.base.addresses import without_query
from tools.table import name_bytes, shorten


def file_stems(paths: Sequence[str | None], relpaths: Sequence[str | None] | None = None) -> list[str]:
    """Choose the stem of the files that are made for each row of a table.

    It is the stem of the source. Where several rows would have the same file names in the same folder, all
    of them get their source's extension (``a_mkv``, ``a_mp4``) or, where that is not enough, the beginning of
    the SHA-256 of their path. The order of the rows does not matter, except among rows with the same path.

    Args:
        paths: Sources.
        relpaths: Cells of the column relpath, if there is one.

    Returns:
        One stem for each row; empty where there is no path.
    """
    folders = [str(PurePosixPath(r or "x").parent) for r in relpaths] if relpaths else ["."] * len(paths)
    texts = [path or "" for path in paths]
    names = [PurePosixPath(without_query(text)) for text in texts]
    times: dict[tuple[str, str], int] = defaultdict(int)
    again = []
    for folder, text in zip(folders, texts, strict=True):
        again.append(times[folder, text])
        times[folder, text] += 1

    def plain(row: int) -> str:
        return names[row].stem

    def with_extension(row: int) -> str:
        return f"{plain(row)}_{names[row].suffix[1:].lower()}"

    def with_digest(row: int) -> str:
        digest = hashlib.sha256(name_bytes(texts[row])).hexdigest()[:10]
        return f"{plain(row)}_{digest}" + (f"_{again[row] + 1}" if again[row] else "")

    ways: list[Callable[[int], str]] = [plain, with_extension, with_digest]
    level = [0] * len(texts)
    while True:
        stems = [shorten(ways[level[row]](row)) if texts[row] else "" for row in range(len(texts))]
        taken: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, stem in enumerate(stems):
            if stem:
                taken[folders[row], stem].append(row)
        crowded = [row for rows in taken.values() if len(rows) > 1 for row in rows]
        raised = [row for row in crowded if level[row] < len(ways) - 1]
        if not raised:
            return stems
        for row in raised:
            level[row] += 1


def with_digits(name: str, digits: str) -> str:
    """A path with digits before its extension."""
    return with_stem(name, lambda stem: tell_apart(stem, digits)) if digits else name


def with_stem(path: str, change: Callable[[str], str]) -> str:
    """A path with another stem; a text that is no path is no error."""
    below, slash, name = path.rpartition("/")
    suffix = PurePosixPath(name).suffix
    return f"{below}{slash}{change(name.removesuffix(suffix))}{suffix}"


def tell_apart(stem: str, digits: str) -> str:
    """A stem with digits behind it, short enough for a file's name."""
    return shorten(f"{stem}_{digits}") if digits else stem
