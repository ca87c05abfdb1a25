"""Results of summarizing a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from tools.report.summary.numbers import NumberSummary

_TOP_SIZES = 10


@dataclass(frozen=True)
class Overview:
    """Size of a table.

    Attributes:
        rows: All rows.
        kinds: Rows of each kind, see `tools.report.rows.KINDS`.
        seconds: Length of all videos whose length is known.
        unknown_length: Videos with neither a duration nor both num_frames and fps; not in ``seconds``.
        paths: Distinct paths; None without that column.
        columns: Name and type of every column.
    """

    rows: int
    kinds: dict[str, int]
    seconds: float
    unknown_length: int
    paths: int | None
    columns: dict[str, pl.DataType]

    @property
    def hours(self) -> float:
        """Length of all videos whose length is known, in hours."""
        return self.seconds / 3600


@dataclass(frozen=True)
class TextSummary:
    """Captions.

    Attributes:
        filled: Rows with a caption that is more than white space.
        empty: Rows without.
        duplicates: Rows whose caption an earlier row has too.
        characters: Length of the captions.
    """

    filled: int
    empty: int
    duplicates: int
    characters: NumberSummary


@dataclass(frozen=True)
class SourceSummary:
    """The videos that clips were cut from.

    Attributes:
        distinct: How many.
        largest: Source, rows, and seconds of those with the most seconds (or rows, where no length is known).
    """

    distinct: int
    largest: list[tuple[str, int, float]]


@dataclass(frozen=True)
class Summary:
    """Everything that `summarize` finds out.

    Attributes:
        overview: Counts and hours.
        numbers: Statistics of each column of numbers.
        labels: For each column of few values: value (None where empty) to rows, the most frequent first.
        text: Captions; None without that column.
        sources: None without that column.
        sizes: Width, height and rows of every size, the most frequent first; empty without these columns.
    """

    overview: Overview
    numbers: dict[str, NumberSummary] = field(default_factory=dict)
    labels: dict[str, dict[str | None, int]] = field(default_factory=dict)
    text: TextSummary | None = None
    sources: SourceSummary | None = None
    sizes: list[tuple[int, int, int]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it, with ``hours`` beside ``seconds``, and the most frequent sizes."""
        whole = asdict(self)
        whole["overview"]["hours"] = self.overview.hours
        whole["overview"]["columns"] = {name: str(t) for name, t in self.overview.columns.items()}
        whole["sizes"] = whole["sizes"][:_TOP_SIZES]
        whole["labels"] = {
            name: [{"value": value, "rows": rows} for value, rows in counts.items()]
            for name, counts in self.labels.items()
        }
        return whole
