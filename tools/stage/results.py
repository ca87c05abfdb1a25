"""What a run leaves: the columns, rows and vectors of its output, made of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tools.errors import MediaError
from tools.stage.engine import RunOptions
from tools.stage.ledger import Ledger
from tools.stage.ledger_files import Outcome
from tools.stage.shards import Shard
from tools.stage.stage import REMARKS, SIDE_OUTPUTS, Stage, failed_kinds
from tools.stage.vectors import VectorFile
from tools.table import PART_COLUMN, ROW_COLUMN


def is_in_output(outcome: Outcome, options: RunOptions) -> bool:
    """Whether a row that ended so stands in the output."""
    return options.on_error == "keep" or not failed_kinds(outcome)


def count_remarks(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """What was said of rows, and of how many."""
    values = (outcome for outcome in outcomes if not isinstance(outcome, MediaError))
    return dict(Counter(remark for value in values for remark in value.get(REMARKS) or ()).most_common())


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
        [numbers[i] for i in kept], [paths[i] for i in kept], lambda place: ledger.vector(keys[kept[place]])
    )


def columns_of(stage: Stage) -> Mapping[str, Any]:
    """The columns of the output that a stage fills, with their types."""
    if stage.one_to_many:
        return stage.row_columns
    return {name: dtype for name, dtype in stage.output_columns.items() if name not in SIDE_OUTPUTS}


def output_frame(
    stage: Stage,
    table: pl.DataFrame,
    shard: Shard,
    numbers: list[int],
    outcomes: list[Outcome],
    options: RunOptions,
) -> pl.DataFrame:
    """Rows of the input, with the stage's columns: where they were, or at the end."""
    columns = columns_of(stage)
    if stage.one_to_many:
        pairs = [
            (number, row)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if not isinstance(outcome, MediaError)
            for row in outcome["rows"]
        ]
        numbers = [number for number, _ in pairs]
        values: list[dict[str, Any]] = [row for _, row in pairs]
    else:
        pairs = [
            (number, None if isinstance(outcome, MediaError) else outcome)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if is_in_output(outcome, options)
        ]
        numbers = [number for number, _ in pairs]
        values = [outcome or {} for _, outcome in pairs]
    frame = table[numbers].drop([name for name in stage.stale_columns(table.columns) if name not in columns])
    frame = frame.with_columns(
        pl.Series(name, [value.get(name) for value in values], dtype=dtype) for name, dtype in columns.items()
    )
    if stage.one_to_many:  # the rows are about something new: what that is comes first
        frame = frame.select(*columns, pl.exclude(*columns))
    if not shard.alone:
        frame = frame.with_columns(
            pl.Series(ROW_COLUMN, numbers, dtype=pl.Int64), pl.lit(shard.label).alias(PART_COLUMN)
        )
    return frame
