"""Statistics of a table: how much there is, and how every column is distributed.

Tables are streamed: some columns of numbers are in memory at a time, 512 MiB at most.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import polars as pl

from tools.report.rows import KINDS, kind, seconds
from tools.report.summary.numbers import NumberSummary, column_series, finite, summarize_numbers
from tools.report.summary.render import render_summary
from tools.report.summary.results import Overview, SourceSummary, Summary, TextSummary
from tools.table import COLUMNS, require_single_values
from tools.table.files import unreadable
from tools.table.formats.types import lists_as_text

__all__ = ["Overview", "Summary", "render_summary", "rows_of_kind", "summarize", "summarize_kinds"]

LABEL_VALUES = 50
"""A column with more distinct values than this is not one of labels."""
_TOP_SOURCES = 5
_SIDE = 2**31  # more than any side of a picture has pixels
_PATHS, _CAPTIONS, _CHARACTERS, _SIZES = "\0paths", "\0captions", "\0characters", "\0sizes"  # no real columns


def summarize(frame: pl.LazyFrame, *, source: str = "the table") -> Summary:
    """Statistics of a table.

    Numbers are the columns that the contract says are, and every other one whose filled cells are all
    numbers. Columns of text that is no caption and no name count as labels when they have at most
    `LABEL_VALUES` values.

    Args:
        frame: The table, as `tools.table.scan_table` reads it.
        source: What the table is called in error messages.

    Returns:
        The statistics; a table without rows has counts of 0.

    Raises:
        UserError: The table cannot be read.
    """
    frame = with_single_values(frame, source)
    try:
        return _describe(frame, *_first_pass(frame))
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None


def summarize_kinds(frame: pl.LazyFrame, *, source: str = "the table") -> tuple[Overview, dict[str, Summary]]:
    """Statistics of the videos, of the images, and of the rows of unknown kind, separately.

    Args:
        frame: As of `summarize`.
        source: As of `summarize`.

    Returns:
        Counts and hours of all rows, and for each kind that has rows, but for broken files, its statistics.

    Raises:
        UserError: The table cannot be read.
    """
    frame = with_single_values(frame, source)
    try:
        overview, cells = _first_pass(frame)
        kinds = [name for name, rows in overview.kinds.items() if rows]
        if kinds and kinds != ["broken"] and len(kinds) == 1:
            summary = _describe(frame, overview, cells)
            return summary.overview, {kinds[0]: summary}
        if "path" in overview.columns:
            hashes = frame.select(_hash(_filled("path", overview.columns["path"])).alias("hash"))
            paths = _count_distinct(hashes.collect(engine="streaming").to_series())
            overview = replace(overview, paths=paths)
        chosen = {name: rows_of_kind(frame, name) for name in kinds if name != "broken"}
        return overview, {name: _describe(rows, *_first_pass(rows)) for name, rows in chosen.items()}
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None


def with_single_values(frame: pl.LazyFrame, source: str) -> pl.LazyFrame:
    """A table whose captions are text, as in a CSV, where they are lists; no other column may be."""
    schema = frame.collect_schema()
    require_single_values(schema, [name for name in schema if name != "text"], source)
    if "text" not in schema or not schema["text"].is_nested():
        return frame
    return lists_as_text(frame)


def rows_of_kind(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """The rows of one kind, see `tools.report.rows.KINDS`."""
    return frame.filter(kind(frame.collect_schema().names()) == name)


def _describe(frame: pl.LazyFrame, overview: Overview, cells: dict[str, _Cells]) -> Summary:
    """Read the columns that the first pass has chosen."""
    columns, rows = overview.columns, overview.rows
    reads = {name: finite(name) for name in columns if _is_number(name, cells[name])}
    if "text" in columns:
        reads[_CHARACTERS] = _caption().str.len_chars().cast(pl.Float64)
        reads[_CAPTIONS] = _hash(_caption())
    if "path" in columns:
        reads[_PATHS] = _hash(_filled("path", columns["path"]))
    if "height" in reads and "width" in reads:
        reads[_SIZES] = _size()
    numbers: dict[str, NumberSummary] = {}
    sizes: list[tuple[int, int, int]] = []
    distinct: dict[str, int] = {}
    for name, values in column_series(frame, reads, rows):
        if name in (_PATHS, _CAPTIONS):
            distinct[name] = _count_distinct(values)
            continue
        if name == _SIZES:
            sizes = _count_sizes(values)
            continue
        filled = cells["text" if name == _CHARACTERS else name].filled
        count = values.len() - values.null_count()
        numbers[name] = summarize_numbers(values, empty=rows - filled, unreadable=filled - count)
    text = None
    if "text" in columns:
        filled = cells["text"].filled
        text = TextSummary(filled, rows - filled, filled - distinct[_CAPTIONS], numbers.pop(_CHARACTERS))
    return Summary(
        replace(overview, paths=distinct.get(_PATHS)),
        numbers,
        {name: _label_counts(frame, name) for name in columns if _is_label(name, cells[name], numbers, rows)},
        text,
        _sources(frame, columns) if "source" in columns else None,
        sizes,
    )


@dataclass(frozen=True)
class _Cells:
    """What the first pass finds out about the cells of one column.

    Attributes:
        filled: Cells that are neither empty nor NaN.
        numbers: Cells that are numbers, infinite ones included.
        distinct: Distinct filled cells, within some percent.
    """

    filled: int
    numbers: int
    distinct: int


def _first_pass(frame: pl.LazyFrame) -> tuple[Overview, dict[str, _Cells]]:
    """Everything that one pass over the rows finds; the overview's distinct paths are yet to be counted."""
    schema = dict(frame.collect_schema())
    derived = [kind(schema), seconds(schema)]
    counts = [pl.len().alias("rows"), *_overview_counts()]
    for name, dtype in schema.items():
        derived += _cell_marks(name, dtype)
        counts += [
            pl.col(f"filled {name}").sum(),
            pl.col(f"number {name}").sum(),
            pl.col(f"hash {name}").drop_nulls().approx_n_unique(),
        ]
    # Two steps: an expression that is used in several aggregates is computed anew for each of them.
    found = frame.select(derived).select(counts).collect(engine="streaming")
    value = {name: found[name][0] for name in found.columns}
    cells = {
        name: _Cells(value[f"filled {name}"], value[f"number {name}"], value[f"hash {name}"])
        for name in schema
    }
    overview = Overview(
        rows=value["rows"],
        kinds={name: value[f"kind {name}"] for name in KINDS},
        seconds=value["seconds"],
        unknown_length=value["unknown length"],
        paths=None,
        columns=schema,
    )
    return overview, cells


def _overview_counts() -> list[pl.Expr]:
    is_video = pl.col("kind") == "video"
    return [
        *[(pl.col("kind") == name).sum().alias(f"kind {name}") for name in KINDS],
        pl.col("seconds").filter(is_video).sum(),
        (is_video & pl.col("seconds").is_null()).sum().alias("unknown length"),
    ]


def _cell_marks(name: str, dtype: pl.DataType) -> list[pl.Expr]:
    """Three columns for one: is the cell filled, is it a number, and the hash of its value."""
    cell = _caption() if name == "text" else _filled(name, dtype)
    readable = dtype.is_numeric() or dtype == pl.String
    number = pl.col(name).cast(pl.Float64, strict=False).is_not_nan() if readable else pl.lit(False)
    hashed = pl.lit(None, pl.UInt64) if dtype.is_nested() else cell.hash()
    filled = cell.is_not_null()
    return [
        filled.alias(f"filled {name}"),
        number.fill_null(False).alias(f"number {name}"),
        pl.when(filled).then(hashed).alias(f"hash {name}"),
    ]


def _hash(cell: pl.Expr) -> pl.Expr:
    """64 bits of each cell that is not null: 8 bytes a row, where a set of texts needs 100."""
    return pl.when(cell.is_not_null()).then(cell.hash())


def _count_distinct(hashes: pl.Series) -> int:
    ordered = hashes.drop_nulls().sort()
    return ordered.len() and int((ordered != ordered.shift(1)).sum()) + 1


def _filled(name: str, dtype: pl.DataType) -> pl.Expr:
    """The cell; null where it is NaN or empty text."""
    cell = pl.col(name)
    if dtype == pl.String:
        return pl.when(cell.str.len_bytes() > 0).then(cell)
    return cell.fill_nan(None) if dtype.is_float() else cell


def _caption() -> pl.Expr:
    caption = pl.col("text").cast(pl.String)
    return pl.when(caption.str.contains(r"\S")).then(caption)


def _is_number(name: str, cells: _Cells) -> bool:
    if name in COLUMNS:
        return COLUMNS[name].dtype in (pl.Int64, pl.Float64)
    return 0 < cells.numbers == cells.filled


def _is_label(name: str, cells: _Cells, numbers: Collection[str], rows: int) -> bool:
    if name in numbers or name in ("path", "id", "relpath", "text", "source", "timestamp"):
        return False
    # On a small table every column has few values; those that hardly ever repeat are names.
    few = cells.distinct <= LABEL_VALUES * 1.2 and (cells.distinct <= rows / 2 or name == "cmotion")
    return cells.filled > 0 and cells.distinct > 0 and few


def _label_counts(frame: pl.LazyFrame, name: str) -> dict[str | None, int]:
    value = pl.col(name).cast(pl.String).alias("value")
    counts = frame.group_by(value).len("rows").collect(engine="streaming")
    ordered = counts.sort("rows", "value", descending=[True, False], nulls_last=True)
    return dict(ordered.rows())


def _sources(frame: pl.LazyFrame, columns: Collection[str]) -> SourceSummary:
    named = frame.select(pl.col("source").cast(pl.String), seconds(columns)).drop_nulls("source")
    totals = named.group_by("source").agg(pl.len().alias("rows"), pl.col("seconds").sum())
    ranked = totals.select(
        pl.struct("source", "rows", "seconds").top_k_by(["seconds", "rows"], _TOP_SOURCES).alias("largest"),
        pl.len().alias("distinct"),
    ).collect(engine="streaming")
    if ranked.is_empty():
        return SourceSummary(0, [])
    largest = (
        ranked["largest"].struct.unnest().sort("seconds", "rows", "source", descending=[True, True, False])
    )
    return SourceSummary(ranked["distinct"][0], largest.rows())


def _size() -> pl.Expr:
    """Width and height in one whole number; null where one of them is no size."""
    width, height = finite("width"), finite("height")
    known = width.is_between(1, _SIDE - 1) & height.is_between(1, _SIDE - 1)
    return pl.when(known).then(
        width.cast(pl.Int64, strict=False) * _SIDE + height.cast(pl.Int64, strict=False)
    )


def _count_sizes(sizes: pl.Series) -> list[tuple[int, int, int]]:
    counts = sizes.drop_nulls().rename("size").value_counts(name="rows")
    sides = counts.select(width=pl.col("size") // _SIDE, height=pl.col("size") % _SIDE, rows=pl.col("rows"))
    return sides.sort("rows", "width", "height", descending=True).rows()
