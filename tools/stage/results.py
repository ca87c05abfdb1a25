"""What a run writes: the columns, rows and vectors of its output, from the outcomes of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tools.errors import MediaError
from tools.stage.ledger import Ledger
from tools.stage.outcomes import Outcome, failed_kinds
from tools.stage.run_options import RunOptions
from tools.stage.shards import Shard
from tools.stage.stage import Stage
from tools.stage.vectors import VectorFile
from tools.table import PART_COLUMN, ROW_COLUMN


def is_in_output(outcome: Outcome, options: RunOptions) -> bool:
    """Whether a row with this outcome goes to the output."""
    return options.on_error == "keep" or not failed_kinds(outcome)


def write_vectors(
    vectors: VectorFile,
    ledger: Ledger,
    numbers: Sequence[int],
    keys: list[str],
    paths: list[str],
    outcomes: list[Outcome],
    options: RunOptions,
) -> None:
    """Write the vectors of the rows of this rank's output, in their order."""
    kept = [i for i, outcome in enumerate(outcomes) if is_in_output(outcome, options)]
    vectors.write(
        [numbers[i] for i in kept], [paths[i] for i in kept], lambda row: ledger.vector(keys[kept[row]])
    )


def value_series(stage: Stage, outcomes: Sequence[Outcome]) -> list[pl.Series]:
    """The columns that a stage adds, for one row for each outcome; a failed row has empty cells."""
    values = [{} if isinstance(outcome, MediaError) else outcome for outcome in outcomes]
    return [
        pl.Series(name, [row.get(name) for row in values], dtype=dtype)
        for name, dtype in stage.added_columns.items()
    ]


def output_frame(
    stage: Stage,
    table: pl.DataFrame,
    shard: Shard,
    numbers: list[int],
    outcomes: list[Outcome],
    options: RunOptions,
) -> pl.DataFrame:
    """Rows of the input, with the stage's columns: where they were, or at the end."""
    columns = stage.added_columns
    rows: list[tuple[int, Outcome]]
    if stage.one_to_many:
        rows = [
            (number, row)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if not isinstance(outcome, MediaError)
            for row in outcome["rows"]
        ]
    else:
        rows = [
            (number, outcome)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if is_in_output(outcome, options)
        ]
    numbers = [number for number, _ in rows]
    frame = table[numbers].drop([name for name in stage.stale_columns(table.columns) if name not in columns])
    frame = frame.with_columns(value_series(stage, [outcome for _, outcome in rows]))
    if stage.one_to_many:  # the rows are about something new: its columns come first
        frame = frame.select(*columns, pl.exclude(*columns))
    if not shard.alone:
        frame = frame.with_columns(
            pl.Series(ROW_COLUMN, numbers, dtype=pl.Int64), pl.lit(shard.label).alias(PART_COLUMN)
        )
    return frame
