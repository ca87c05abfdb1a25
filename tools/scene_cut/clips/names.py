"""What clips are called and where they stand: never two under one name, never outside the folder."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from tools.errors import MediaError
from tools.table import shorten

PART_SUFFIX = ".part"
"""What the name of a clip that is being written ends in."""


def clip_name(stem: str, scene: int, extension: str = ".mp4") -> str:
    """``<stem>_scene-<scene>.mp4``."""
    return f"{stem}_scene-{scene}{extension}"


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
        digest = hashlib.sha256(texts[row].encode(errors="surrogateescape")).hexdigest()[:10]
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


def clip_folder(save_dir: str | Path, relpath: str | None) -> Path:
    """The folder for the clips of one source: that of its relpath, mirrored under `save_dir`.

    Raises:
        MediaError: bad_value when relpath leads out of `save_dir`, also by a link, or cannot be a path.
    """
    if not relpath:
        return Path(save_dir)
    inside = PurePosixPath(relpath).parent
    if inside.is_absolute() or ".." in inside.parts or "\0" in relpath:
        raise MediaError("bad_value", relpath, f"relpath {relpath!r} leads out of the folder of clips")
    folder = Path(save_dir, inside)
    try:
        leads_out = not folder.resolve().is_relative_to(Path(save_dir).resolve())
    except (OSError, RuntimeError) as error:  # a name too long, or links that lead to each other
        raise MediaError("bad_value", relpath, f"relpath {relpath!r} is no path: {error}") from None
    if leads_out:
        raise MediaError("bad_value", relpath, f"relpath {relpath!r} leads out of the folder by a link")
    return folder


def make_folder(save_dir: str | Path, relpath: str | None, source: str | Path) -> Path:
    """Make the folder for the clips of one source.

    Args:
        save_dir: The folder of all clips.
        relpath: The source's cell of the column relpath.
        source: The source, for the error.

    Returns:
        The folder, inside `save_dir`.

    Raises:
        MediaError: bad_value as in `clip_folder`; encode when the folder cannot be made.
    """
    try:
        folder = clip_folder(save_dir, relpath)
        folder.mkdir(parents=True, exist_ok=True)
    except MediaError as error:
        raise MediaError(error.kind, source, error.message) from None
    except OSError as error:
        raise MediaError("encode", source, f"cannot make the folder for its clips: {error}") from None
    return folder
