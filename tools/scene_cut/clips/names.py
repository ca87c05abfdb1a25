"""What clips are called and where they stand: never two under one name, never outside the folder."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from tools.media.writing.output_files import place_in
from tools.table import name_bytes, shorten


def clip_name(stem: str, scene: int, extension: str = ".mp4") -> str:
    """``<stem>_scene-<scene>.mp4``."""
    return f"{stem}_scene-{scene}{extension}"


def clip_source(name: str) -> str:
    """The stem that a clip's name begins with; empty for a name that is none of a clip."""
    stem, _, scene = PurePosixPath(name).stem.rpartition("_scene-")
    return stem if scene.isdecimal() else ""


def clip_stems(paths: Sequence[str | None], relpaths: Sequence[str | None] | None = None) -> list[str]:
    """Choose the stem of the clips of each row of a table.

    It is the stem of the source. Where several rows would give the same clip names in the same folder, all
    of them get their source's extension (``a_mkv``, ``a_mp4``) or, where that is not enough, the beginning of
    the SHA-256 of their path. Only the rows count, not their order (but for rows with the same path).

    Args:
        paths: Sources.
        relpaths: Cells of the column relpath, if there is one.

    Returns:
        One stem for each row; empty where there is no path.
    """
    folders = [str(PurePosixPath(r or "x").parent) for r in relpaths] if relpaths else ["."] * len(paths)
    texts = [path or "" for path in paths]
    times: dict[tuple[str, str], int] = defaultdict(int)
    again = []
    for folder, text in zip(folders, texts, strict=True):
        again.append(times[folder, text])
        times[folder, text] += 1

    def plain(row: int) -> str:
        return PurePosixPath(texts[row]).stem

    def with_extension(row: int) -> str:
        return f"{plain(row)}_{PurePosixPath(texts[row]).suffix[1:].lower()}"

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


def clip_place(save_dir: str | Path, relpath: str | None, name: str, source: str | Path) -> Path:
    """Where a clip stands: in the folder of its source's relpath, mirrored under `save_dir`.

    Args:
        save_dir: The folder of all clips.
        relpath: The source's cell of the column relpath.
        name: The clip's name.
        source: The source, for the error.

    Raises:
        MediaError: bad_value: it would stand outside `save_dir`, or cannot be a path; see `place_in`.
    """
    return place_in(save_dir, str(PurePosixPath(relpath or "").parent / name), source)


def clip_folder(
    save_dir: str | Path, relpath: str | None, source: str | Path = "", *, make: bool = False
) -> Path:
    """The folder for the clips of one source.

    Args:
        save_dir: The folder of all clips.
        relpath: The source's cell of the column relpath.
        source: The source, for the error.
        make: Make it.

    Raises:
        MediaError: As `clip_place`; encode when it cannot be made.
    """
    inside = str(PurePosixPath(relpath or "").parent / "clip")
    return place_in(save_dir, inside, source, make=make).parent
