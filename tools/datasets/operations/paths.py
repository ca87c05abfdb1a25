"""Operations on the column path: which rows stay, and how the path is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from tools.base.addresses import is_address
from tools.datasets.operations.base import Context, Operation, Phase, Split, split_by, split_rows

if TYPE_CHECKING:
    import polars as pl


def is_empty(column: str) -> pl.Expr:
    """Whether a text cell is missing or blank."""
    import polars as pl

    return pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")


def _remove_empty(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return split_by(frame, ~is_empty("path"))


def _remove_repeated(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return keep_first(frame, "path", context)


def keep_first(frame: pl.LazyFrame, column: str, context: Context) -> Split:
    """Of rows with the same value keep the first; a row without one is like no other."""
    import polars as pl

    from tools.table.external_join import first_rows

    if frame.collect_schema()[column] == pl.String:
        return split_rows(frame, first_rows(frame, column, context.scratch_folder))
    return split_by(frame, pl.col(column).is_first_distinct() | pl.col(column).is_null())


def _subset(frame: pl.LazyFrame, pattern: str, context: Context) -> Split:
    import polars as pl

    return split_by(frame, pl.col("path").str.contains(pattern))


def regular_expression(text: str) -> str:
    """A regular expression as Polars takes it: Rust's, without look-around and back-references.

    Raises:
        ValueError: It is not one.
    """
    import polars as pl

    try:
        pl.select(pl.lit("").str.contains(text))
    except pl.exceptions.PolarsError:
        raise ValueError(f"must be a regular expression, not {text}") from None
    return text


def _has_image_name() -> pl.Expr:
    import polars as pl

    from tools.media.reading.extensions import IMAGE_EXTENSIONS

    endings = "|".join(re.escape(ending) for ending in sorted(IMAGE_EXTENSIONS))
    return pl.col("path").str.contains(f"(?i)(?:{endings})$")


def _images(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return split_by(frame, _has_image_name())


def _videos(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return split_by(frame, ~_has_image_name())


def _rewrite(frame: pl.LazyFrame, function: Callable[[str], str]) -> pl.LazyFrame:
    """Change paths; addresses (``s3://bucket/a.mp4``) stay as they are."""
    import polars as pl

    def rewritten(paths: pl.Series) -> pl.Series:
        kept = [p if p is None or ("://" in p and is_address(p)) else function(p) for p in paths]
        return pl.Series(kept, dtype=pl.String)

    path = pl.col("path").map_batches(rewritten, return_dtype=pl.String, is_elementwise=True)
    return frame.with_columns(path.alias("path"))


def _relpath(frame: pl.LazyFrame, root: str, context: Context) -> pl.LazyFrame:
    import polars as pl

    if is_address(root):
        return frame.with_columns(pl.col("path").str.strip_prefix(root.rstrip("/") + "/"))
    folder = lru_cache(maxsize=4096)(lambda name: os.path.relpath(name or ".", root))

    def relative(path: str) -> str:
        parent, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.relpath(path or ".", root)
        return os.path.normpath(os.path.join(folder(parent), name))  # noqa: PTH118  (on millions of rows)

    return _rewrite(frame, relative)


def _abspath(frame: pl.LazyFrame, root: str, context: Context) -> pl.LazyFrame:
    return _rewrite(frame, lambda path: os.path.join(root, path))  # noqa: PTH118  (on millions of rows)


def _path_to_id(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    import polars as pl

    name = pl.col("path").str.strip_chars_end("/").str.extract(r"([^/]*)$")
    return frame.with_columns(name.str.replace(r"(.)\.[^.]*$", "$1").alias("id"))


OPERATIONS = (
    Operation(
        "remove_empty_path",
        "keep rows with a path",
        _remove_empty,
        Phase.EMPTY_CELLS,
        "_noemptypath",
        requires=("path",),
        aliases=("path_filter_empty",),
        everyday=False,
    ),
    Operation(
        "remove_path_duplication",
        "of rows with the same path, keep the first",
        _remove_repeated,
        Phase.REPEATED_PATHS,
        "_noduppath",
        requires=("path",),
        aliases=("path_dedup",),
        takes_lists=True,
    ),
    Operation(
        "path_subset",
        "keep rows whose path matches a regular expression somewhere",
        _subset,
        Phase.CELLS,
        "_subset",
        parse=regular_expression,
        metavar="REGEX",
        requires=("path",),
        aliases=("path_keep_substr",),
        everyday=False,
    ),
    Operation(
        "img_only",
        "keep images, by the ending of path",
        _images,
        Phase.CELLS,
        "_img",
        requires=("path",),
        everyday=False,
    ),
    Operation(
        "vid_only",
        "keep all but images, by the ending of path",
        _videos,
        Phase.CELLS,
        "_vid",
        requires=("path",),
        everyday=False,
    ),
    Operation(
        "relpath",
        "write path relative to ROOT",
        _relpath,
        Phase.PATHS,
        "_relpath",
        parse=str,
        metavar="ROOT",
        requires=("path",),
    ),
    Operation(
        "abspath",
        "put ROOT before relative paths",
        _abspath,
        Phase.PATHS,
        "_abspath",
        parse=str,
        metavar="ROOT",
        requires=("path",),
    ),
    Operation(
        "path_to_id",
        "set id to the file's name without its last extension",
        _path_to_id,
        Phase.PATHS,
        requires=("path",),
        adds=("id",),
        everyday=False,
    ),
)
