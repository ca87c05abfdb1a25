"""Paths of new files: mirrored under the output folder, never two of one name, never that of a source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tools.base.addresses import without_query
from tools.base.disk import make_folder
from tools.errors import MediaError
from tools.media.writing.output_files import safe_join
from tools.stage.names.file_stems import file_stems

TARGET = "_target"
"""Column that a stage plans for its rows: the new file's path below the output folder."""


def plan_targets(
    paths: Sequence[str | None],
    relpaths: Sequence[str | None] | None = None,
    *,
    input_dir: str | None = None,
    extension: str | None = None,
) -> list[str | None]:
    """Choose the path of the new file of each row of a table, below the output folder.

    It is that of the source below `input_dir`; without one that of the column relpath; without that the name
    of the source. If two sources would get the same path, both get the source's extension or the
    beginning of the SHA-256 of their path (``a_mkv.mp4``, ``a_0f3c….jpg``). Rows with the same path and
    relpath share their file.

    Args:
        paths: Sources.
        relpaths: Cells of the column relpath, if there is one.
        input_dir: The folder that is mirrored.
        extension: Extension of the new files; None keeps that of the source.

    Returns:
        A path for each row; None for a row without a path, or whose path lies outside `input_dir`.
    """
    cells = relpaths or [None] * len(paths)
    names = [_below(path, cell, input_dir) for path, cell in zip(paths, cells, strict=True)]
    pairs = sorted({(path, name) for path, name in zip(paths, names, strict=True) if path and name})

    def suffix(path: str) -> str:
        return extension or PurePosixPath(without_query(path)).suffix

    # Names with different extensions do not collide: so the extension counts as a part of the folder.
    folders = [f"{PurePosixPath(name).parent}/{suffix(path)}/-" for path, name in pairs]
    stems = file_stems([path for path, _ in pairs], folders)
    chosen = {
        (path, name): str(PurePosixPath(name).parent / (stem + suffix(path)))
        for (path, name), stem in zip(pairs, stems, strict=True)
    }
    return [chosen.get((path or "", name or "")) for path, name in zip(paths, names, strict=True)]


def _below(path: str | None, relpath: str | None, input_dir: str | None) -> str | None:
    if not path:
        return None
    if input_dir is None:
        return relpath or PurePosixPath(without_query(path)).name
    below = os.path.relpath(path, input_dir)
    return None if Path(below).parts[:1] == (os.pardir,) else below


def target_path(target: str | None, source: str, *, output_dir: str, input_dir: str | None) -> Path:
    """The full path of a planned target; its folder is created.

    Raises:
        MediaError: bad_value: the source lies outside `input_dir`, or the target outside `output_dir`;
            encode: the folder cannot be created.
    """
    if target is None:
        where = "has no name" if input_dir is None else f"lies outside --input-dir {input_dir}"
        raise MediaError("bad_value", source, where)
    return safe_join(output_dir, target, source, create=True)


def make_output_dir(output_dir: str) -> None:
    """Create the folder of new files, before any file is read.

    Raises:
        UserError: It cannot be created.
    """
    make_folder(output_dir, "--output-dir")
