"""What one row of a table is: image or video, and how long."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from tools.media.reading.extensions import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS
from tools.table import numeric

KINDS: dict[str, str] = {
    "video": "num_frames is 2 or more, or the file name is that of a video",
    "image": "num_frames is 1, or the file name is that of an image",
    "broken": "num_frames is 0: the file could not be read",
    "unknown": "neither num_frames nor the file name tells",
}
"""The kinds of rows; every row is of exactly one."""

HEADINGS: dict[str, str] = {
    "video": "videos",
    "image": "images",
    "broken": "broken files",
    "unknown": "rows of unknown kind",
}
"""What rows of each kind are called."""

_LONGEST_EXTENSION = max(map(len, (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS)))


def kind(columns: Collection[str]) -> pl.Expr:
    """One of `KINDS` for each row, from ``num_frames`` and, where that is empty, the extension of ``path``.

    Args:
        columns: The columns that the table has.

    Returns:
        A String expression named ``kind``.
    """
    frames = numeric("num_frames") if "num_frames" in columns else pl.lit(None, pl.Float64)
    path = pl.col("path").cast(pl.String) if "path" in columns else pl.lit(None, pl.String)
    # The end alone, as paths are long and patterns are slow.
    extension = path.str.tail(_LONGEST_EXTENSION).str.to_lowercase().str.extract(r"(\.[^./]+)$")
    return (
        pl.when(frames >= 2)
        .then(pl.lit("video"))
        .when(frames == 1)
        .then(pl.lit("image"))
        .when(frames.is_not_null())
        .then(pl.lit("broken"))
        .when(extension.is_in(IMAGE_EXTENSIONS))
        .then(pl.lit("image"))
        .when(extension.is_in(VIDEO_EXTENSIONS))
        .then(pl.lit("video"))
        .otherwise(pl.lit("unknown"))
        .alias("kind")
    )


def seconds(columns: Collection[str]) -> pl.Expr:
    """Length of each row's video: ``duration`` where it is known, else ``num_frames`` / ``fps``.

    A length of 0 or less is no length.

    Args:
        columns: The columns that the table has.

    Returns:
        A Float64 expression named ``seconds``; null where neither is known.
    """
    length = pl.lit(None, pl.Float64)
    if "duration" in columns:
        length = _positive(numeric("duration"))
    if "num_frames" in columns and "fps" in columns:
        length = pl.coalesce(length, _positive(numeric("num_frames")) / _positive(numeric("fps")))
    return length.alias("seconds")


def _positive(number: pl.Expr) -> pl.Expr:
    return pl.when((number > 0) & number.is_finite()).then(number)
