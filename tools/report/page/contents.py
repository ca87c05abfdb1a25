"""What a page has of a table: its columns as filters, and the texts of its rows."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from tools.columns import COLUMNS
from tools.report.page.packing import PackedNumbers, pack_numbers
from tools.report.page.steps import Steps, find_steps
from tools.report.rows import seconds
from tools.report.summary import Summary, summarize, with_single_values
from tools.report.summary.numbers import Histogram, column_series
from tools.table.where_values import UNKNOWN, column, number

MOST_ROWS = 300_000
"""Rows of a page; of a larger table it has a random sample."""

LABELS = 50
"""A column of texts is offered as labels if it has at most so many values."""

_CAPTION = 300  # characters of a caption in the list of rows, at most
_CAPTIONS = 4_000_000  # characters of all captions
_SHORTEST_CAPTION = 20
_NO_FILTER = frozenset(("path", "id", "relpath", "text"))


@dataclass(frozen=True)
class NumberFilter:
    """A column of numbers.

    Attributes:
        name: Of the column.
        values: Float64 of the rows of the page, NaN where empty.
        packed: The same as bytes.
        histogram: Of all rows of the table.
        empty: Rows of the table without a number.
        steps: Of the handles; of a sample with the counts of all rows.
    """

    name: str
    values: np.ndarray
    packed: PackedNumbers
    histogram: Histogram
    empty: int
    steps: Steps

    def as_dict(self) -> dict[str, Any]:
        """What the page knows beside the bytes."""
        shown = self.histogram
        return {
            "kind": "number",
            **_about(self.name),
            **self.packed.as_dict(),
            "edges": shown.edges,
            "counts": shown.counts,
            "beyond": [shown.below, shown.above],
            "empty": self.empty,
            "steps": self.steps.as_dict(),
        }


@dataclass(frozen=True)
class LabelFilter:
    """A column of few texts, of true and false; or one of which only matters whether a cell is filled.

    Attributes:
        name: Of the column.
        kind: ``text``, ``truth``, or ``filled``.
        values: What the cells say, the most frequent first; of ``filled`` one word for any text.
        codes: Uint8 of the rows of the page: 0 where empty, else 1 + the place in ``values``.
        counts: Rows of the table that are empty, then of each value.
    """

    name: str
    kind: str
    values: list[str]
    codes: np.ndarray
    counts: list[int]

    def as_dict(self) -> dict[str, Any]:
        """What the page knows beside the bytes."""
        return {"kind": self.kind, **_about(self.name), "values": self.values, "counts": self.counts}


@dataclass(frozen=True)
class Contents:
    """A table as a page shows it.

    Attributes:
        rows: Rows of the table.
        hours: Of all videos of known length.
        unknown_length: Videos of unknown length.
        chosen: Numbers of the rows of the page, ascending; None for all.
        seconds: Float64 of the rows of the page, NaN where unknown or an image.
        filters: Scores first.
        texts: ``path``, ``id`` and ``text`` of the rows of the page, where the table has them.
        cut_captions: Characters that captions in ``texts`` were cut to; None for whole ones.
    """

    rows: int
    hours: float
    unknown_length: int
    chosen: np.ndarray | None
    seconds: np.ndarray
    filters: list[NumberFilter | LabelFilter]
    texts: dict[str, list[str]] = field(default_factory=dict)
    cut_captions: int | None = None

    @property
    def embedded(self) -> int:
        """Rows of the page."""
        return self.seconds.size

    @property
    def scores(self) -> list[NumberFilter]:
        """The columns of numbers that the toolkit or the user judges rows by."""
        return [one for one in self.filters if isinstance(one, NumberFilter) and is_score(one.name)]


def is_score(name: str) -> bool:
    """Whether a column of numbers is a score, as opposed to a fact about the file such as its width."""
    return COLUMNS[name].score if name in COLUMNS else True


def reference(name: str) -> str:
    """A column as a condition names it, see docs/where.md."""
    plain = name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
    return name if plain else f"col({name!r})"


def _about(name: str) -> dict[str, Any]:
    known = COLUMNS.get(name)
    return {
        "name": name,
        "reference": reference(name),
        "meaning": known.meaning if known else "",
        "score": is_score(name),
    }


def read_contents(
    frame: pl.LazyFrame, *, source: str = "the table", most_rows: int = MOST_ROWS, seed: int = 42
) -> Contents:
    """Read what a page shows of a table.

    Args:
        frame: The table, as `tools.table.scan_table` reads it.
        source: What it is called in error messages.
        most_rows: Of a larger table a random sample of so many rows is taken; counts of single columns are
            those of all rows even so.
        seed: Of the sample.

    Raises:
        UserError: The table cannot be read.
    """
    summary = summarize(frame, source=source)
    frame = with_single_values(frame, source)
    schema = frame.collect_schema()
    rows = summary.overview.rows
    chosen = None
    if rows > most_rows:
        chosen = np.sort(np.random.default_rng(seed).choice(rows, most_rows, replace=False))
    filters = [*_number_filters(frame, schema, summary, chosen), *_label_filters(frame, summary, chosen)]
    order = {name: place for place, name in enumerate(schema)}
    filters.sort(
        key=lambda one: (not (isinstance(one, NumberFilter) and is_score(one.name)), order[one.name])
    )
    shown = _rows(frame, chosen)
    # Not a selection of its own: where nothing tells the length it is one null, not one for each row.
    timed = shown.with_columns(seconds(schema).cast(pl.Float64).alias("\0seconds"))
    lengths = timed.select("\0seconds").collect().to_series()
    texts, cut = _texts(shown, schema, rows if chosen is None else most_rows)
    return Contents(
        rows,
        summary.overview.hours,
        summary.overview.unknown_length,
        chosen,
        lengths.fill_null(np.nan).to_numpy(),
        filters,
        texts,
        cut,
    )


def _rows(frame: pl.LazyFrame, chosen: np.ndarray | None) -> pl.LazyFrame:
    if chosen is None:
        return frame
    numbers = pl.LazyFrame({"\0row": chosen.astype(np.uint32)})
    return frame.with_row_index("\0row").join(numbers, on="\0row", how="semi", maintain_order="left")


def _number_filters(
    frame: pl.LazyFrame, schema: pl.Schema, summary: Summary, chosen: np.ndarray | None
) -> list[NumberFilter]:
    # As conditions read them, so that a page counts what datautil keeps.
    cells = {
        name: number(column(name, schema[name])).cast(pl.Float64)
        for name, described in summary.numbers.items()
        if described.count
    }
    found = []
    for name, series in column_series(frame, cells, summary.overview.rows):
        values = series.fill_null(np.nan).to_numpy()
        described = summary.numbers[name]
        assert described.histogram is not None  # there are numbers
        kept = values if chosen is None else values[chosen]
        packed = pack_numbers(kept)
        edges = described.histogram.edges
        whole = None if chosen is None else values
        steps = find_steps(edges[0], edges[-1], decimals=packed.decimals, whole=whole)
        empty = int(np.isnan(values).sum())
        found.append(NumberFilter(name, kept, packed, described.histogram, empty, steps))
    return found


def _label_filters(frame: pl.LazyFrame, summary: Summary, chosen: np.ndarray | None) -> list[LabelFilter]:
    kinds: dict[str, str] = {}
    for name, dtype in summary.overview.columns.items():
        read = column(name, dtype)
        if name in _NO_FILTER or name in summary.numbers:
            continue
        if read.kind == "true or false":
            kinds[name] = "truth"
        elif name in summary.labels and read.kind in ("text", UNKNOWN):
            kinds[name] = "text"
        elif read.kind in ("text", UNKNOWN):
            kinds[name] = "filled"
    found = []
    for name, kind in kinds.items():
        read = column(name, summary.overview.columns[name])
        cells = frame.select(read.expr.cast(pl.String).alias(name)).collect().to_series()
        if kind == "filled":
            cells = cells.is_not_null().replace_strict({True: "filled"}, default=None, return_dtype=pl.String)
        one = _label_filter(name, kind, cells, chosen)
        if one is not None:
            found.append(one)
    return found


def _label_filter(name: str, kind: str, cells: pl.Series, chosen: np.ndarray | None) -> LabelFilter | None:
    """The filter; None for a column that is the same in every row, or has too many values."""
    counted = cells.drop_nulls().value_counts(name="rows").sort("rows", name, descending=[True, False])
    values, counts = counted[name].to_list(), counted["rows"].to_list()
    empty = cells.null_count()
    if not values or len(values) > LABELS or len(values) + (empty > 0) < 2:
        return None
    places = {value: 1 + place for place, value in enumerate(values)}
    kept = cells if chosen is None else cells.gather(chosen)
    codes = kept.replace_strict(places, default=0, return_dtype=pl.UInt8).fill_null(0).to_numpy()
    return LabelFilter(name, kind, values, codes, [empty, *counts])


def _texts(frame: pl.LazyFrame, schema: pl.Schema, rows: int) -> tuple[dict[str, list[str]], int | None]:
    names = [name for name in ("path", "id", "text") if name in schema]
    if not names or not rows:
        return {}, None
    cells = frame.select(pl.col(name).cast(pl.String).fill_null("") for name in names).collect()
    cut = None
    if "text" in names:
        longest = min(_CAPTION, _CAPTIONS // rows)
        if longest < _SHORTEST_CAPTION:
            cells, cut = cells.drop("text"), 0
        elif int(cells["text"].str.len_chars().max() or 0) > longest:  # type: ignore[call-overload]
            cells, cut = cells.with_columns(pl.col("text").str.head(longest)), longest
    return {name: cells[name].to_list() for name in cells.columns}, cut
