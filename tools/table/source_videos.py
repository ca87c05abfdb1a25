"""The video that a clip was cut from."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl


def source_video(columns: Collection[str]) -> pl.Expr:
    """The video that a clip was cut from: its column, or else derived from the name of the clip."""
    if "source" in columns:
        return pl.coalesce("source", "path") if "path" in columns else pl.col("source")
    return source_by_name(pl.col("path"))


def source_by_name(path: pl.Expr) -> pl.Expr:
    """The video that the name of a clip tells: ``films/a_scene-3.mp4`` is of ``films/a``.

    A name of another form is a video of its own.
    """
    return path.str.replace(r"_scene-\d+\.[^./]*$", "")
