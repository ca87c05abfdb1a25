"""Rows of a meta table as the clips that a trainer would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tools.errors import UserError
from tools.export.trainers.judgement import Clip
from tools.table import numeric, require_columns, require_single_values

INFO_COLUMNS = ("path", "width", "height", "num_frames", "fps")
"""Columns that every table must have; `datautil --info` measures all but the first."""


def clips(table: pl.DataFrame, source: str | Path, caption: str = "text") -> Iterator[Clip]:
    """Each row as a clip, in the order of the table.

    Args:
        table: With columns ``path``, ``width``, ``height``, ``num_frames``, ``fps``; ``has_audio`` and the
            column of captions if it has them.
        source: What the table is called in messages.
        caption: The column of captions. Without ``text`` there are no captions; an empty cell is none.

    Yields:
        Clips. A cell that is no finite number is 0, or not a number for fps, which no trainer can use.

    Raises:
        UserError: A column is missing, or has lists.
    """
    asked = [] if caption == "text" else [caption]
    require_columns(table, (*INFO_COLUMNS, *asked), source)
    require_single_values(table.schema, (*INFO_COLUMNS, "has_audio"), source)
    if caption in table.columns and (table.schema[caption].is_nested() or table.schema[caption] == pl.Binary):
        raise UserError(
            f"{source}: column {caption!r} holds lists, objects or bytes, where captions are texts"
        )
    columns = [
        pl.col("path").cast(pl.String).fill_null(""),
        *(_whole(name) for name in ("width", "height", "num_frames")),
        numeric("fps").fill_null(float("nan")),
        _text(caption) if caption in table.columns else pl.lit(None, pl.String).alias("caption"),
        _yes("has_audio") if "has_audio" in table.columns else pl.lit(False).alias("has_audio"),
    ]
    for row in table.select(columns).iter_rows():
        yield Clip(*row)


def _whole(name: str) -> pl.Expr:
    number = numeric(name)
    # Beyond what any file has, so that it fits the integer.
    return pl.when(number.is_between(0, 1e12)).then(number).otherwise(0).cast(pl.Int64).alias(name)


def _text(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    return pl.when(text != "").then(text).otherwise(None).alias("caption")


def _yes(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.to_lowercase().is_in(["true", "1"]).fill_null(False).alias(name)
