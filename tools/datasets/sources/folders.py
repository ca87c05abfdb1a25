"""The videos, or the images, below a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.datasets.scan import find_files
from tools.datasets.sources import Found, SourceOptions

if TYPE_CHECKING:
    import polars as pl


def convert_video(root: str | Path, *, exts: Sequence[str] | None = None) -> pl.DataFrame:
    """List the videos below a folder.

    Args:
        root: The folder; paths in the table begin with it as it is given.
        exts: Extensions instead of `tools.media.reading.extensions.VIDEO_EXTENSIONS`.

    Returns:
        Columns path, id (file name without its last extension) and relpath (below the folder), sorted by
        relpath.

    Raises:
        UserError: There is no such folder, or no such file in it.
    """
    from tools.media.reading.extensions import VIDEO_EXTENSIONS

    return _listing(root, exts or VIDEO_EXTENSIONS)


def convert_image(root: str | Path, *, exts: Sequence[str] | None = None) -> pl.DataFrame:
    """List the images below a folder; otherwise as `convert_video`."""
    from tools.media.reading.extensions import IMAGE_EXTENSIONS

    return _listing(root, exts or IMAGE_EXTENSIONS)


def _listing(root: str | Path, exts: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    files = find_files(root, exts)
    relative = [str(file.relative_to(root)) for file in files]
    return pl.DataFrame({"path": [str(f) for f in files], "id": [f.stem for f in files], "relpath": relative})


def read_videos(places: Sequence[str], options: SourceOptions) -> Found:
    """Source ``video``, see `convert_video`."""
    return Found(convert_video(places[0], exts=options.exts))


def read_images(places: Sequence[str], options: SourceOptions) -> Found:
    """Source ``image``, see `convert_image`."""
    return Found(convert_image(places[0], exts=options.exts))
