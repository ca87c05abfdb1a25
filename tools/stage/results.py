"""What a run writes: the columns, rows and vectors of its output, from the outcomes of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from tools.base.disk import sync_names, writing
from tools.errors import MediaError
from tools.stage.ledger import Ledger
from tools.stage.outcomes import Outcome, failed_kinds
from tools.stage.run_options import RunOptions
from tools.stage.shards import Shard
from tools.stage.stage import MADE_FILES, Stage
from tools.stage.vectors import VectorFile
from tools.table import PART_COLUMN, ROW_COLUMN

_UNPACKED = 10_000  # outcomes that are unpacked at once


def is_in_output(outcome: Outcome, options: RunOptions) -> bool:
    """Whether a row with this outcome goes to the output."""
    return options.on_error == "keep" or not failed_kinds(outcome)


def sync_made_files(outcomes: Iterable[Outcome]) -> None:
    """Before a table says that its files are there: write their names through to the disk, once a folder.

    Raises:
        DiskError: The disk refuses.
    """
    made = (outcome.get(MADE_FILES) or () for outcome in outcomes if not isinstance(outcome, MediaError))
    folders = {Path(path).absolute().parent for files in made for path, *_ in files}
    with writing("the folders of new files"):
        sync_names({place for folder in folders for place in (folder, *folder.parents) if place.is_dir()})


def write_vectors(
    vectors: VectorFile,
    ledger: Ledger,
    numbers: Sequence[int],
    keys: Sequence[str],
    paths: Sequence[str] | pl.Series,
    outcomes: Iterable[Outcome],
    options: RunOptions,
) -> None:
    """Write the vectors of the rows of this rank's output, in their order."""
    kept = [i for i, outcome in enumerate(outcomes) if is_in_output(outcome, options)]
    vectors.write(
        [numbers[i] for i in kept], [paths[i] for i in kept], lambda row: ledger.vector(keys[kept[row]])
    )


def value_series(stage: Stage, outcomes: Iterable[Outcome]) -> list[pl.Series]:
    """The columns that a stage adds, for one row for each outcome; a failed row has empty cells."""
    columns = stage.added_columns
    parts: dict[str, list[pl.Series]] = {
        name: [pl.Series(name, [], dtype=dtype)] for name, dtype in columns.items()
    }
    remaining = iter(outcomes)
    while part := list(islice(remaining, _UNPACKED)):
        values = [{} if isinstance(outcome, MediaError) else outcome for outcome in part]
        for name, dtype in columns.items():
            parts[name].append(pl.Series(name, [row.get(name) for row in values], dtype=dtype))
    return [pl.concat(parts[name], rechunk=True) for name in columns]


def output_frame(
    stage: Stage,
    table: pl.DataFrame,
    shard: Shard,
    numbers: Sequence[int],
    outcomes: Iterable[Outcome],
    options: RunOptions,
) -> pl.DataFrame:
    """Rows of the input, with the stage's columns: where they were, or at the end."""
    columns = stage.added_columns
    rows: Iterable[Outcome] = outcomes
    if stage.one_to_many:
        made = [
            (number, row)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if not isinstance(outcome, MediaError)
            for row in outcome["rows"]
        ]
        numbers, rows = [number for number, _ in made], [row for _, row in made]
    elif options.on_error == "drop":
        kept = [
            (number, outcome)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if is_in_output(outcome, options)
        ]
        numbers, rows = [number for number, _ in kept], [outcome for _, outcome in kept]
    if numbers != range(table.height):
        table = table[list(numbers)]
    frame = table.drop([name for name in stage.stale_columns(table.columns) if name not in columns])
    frame = frame.with_columns(value_series(stage, rows))
    if stage.one_to_many:  # the rows are about something new: its columns come first
        frame = frame.select(*columns, pl.exclude(*columns))
    if not shard.alone:
        frame = frame.with_columns(
            pl.Series(ROW_COLUMN, numbers, dtype=pl.Int64), pl.lit(shard.label).alias(PART_COLUMN)
        )
    return frame
