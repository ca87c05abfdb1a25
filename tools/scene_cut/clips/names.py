"""Names and paths of clips; never outside the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tools.media.writing.output_files import safe_join

TABLES = ".cut_tables"
"""File in a folder of clips that lists the tables which name them."""


def clip_name(stem: str, scene: int, extension: str = ".mp4") -> str:
    """``<stem>_scene-<scene>.mp4``."""
    return f"{stem}_scene-{scene}{extension}"


def clip_source(name: str) -> str:
    """The stem that a clip's name begins with; empty for a name that is none of a clip."""
    stem, _, scene = PurePosixPath(name).stem.rpartition("_scene-")
    return stem if scene.isdecimal() else ""


def clip_path(save_dir: str | Path, relpath: str | None, name: str, source: str | Path) -> Path:
    """The path of a clip: in the folder of its source's relpath, mirrored under `save_dir`.

    Args:
        save_dir: The folder of all clips.
        relpath: The source's cell of the column relpath.
        name: The clip's name.
        source: The source, for the error.

    Raises:
        MediaError: bad_value: it would be outside `save_dir`, or cannot be a path; see `safe_join`.
    """
    return safe_join(save_dir, str(PurePosixPath(relpath or "").parent / name), source)


def clip_folder(
    save_dir: str | Path, relpath: str | None, source: str | Path = "", *, create: bool = False
) -> Path:
    """The folder for the clips of one source.

    Args:
        save_dir: The folder of all clips.
        relpath: The source's cell of the column relpath.
        source: The source, for the error.
        create: Create it.

    Raises:
        MediaError: As `clip_path`; encode when it cannot be created.
    """
    inside = str(PurePosixPath(relpath or "").parent / "clip")
    return safe_join(save_dir, inside, source, create=create).parent
