"""A stage over files in memory: paths, or a pandas or Polars frame, in; the same kind of frame out."""

from __future__ import annotations

import os
from typing import Any

import polars as pl

from tools.base.log import LOG
from tools.errors import MediaError, UserError
from tools.stage.engine import RunOptions, map_rows
from tools.stage.ledger_files import Outcome
from tools.stage.readiness import make_ready
from tools.stage.runner import columns_of, count_remarks
from tools.stage.stage import FAILURES, Stage
from tools.table import require_columns, require_single_values, to_lazy


def with_values(files: Any, stage: Stage, run: RunOptions, error_column: str) -> Any:
    """What was given, with the columns of a stage.

    Args:
        files: A path, paths, or a frame.
        stage: What is done with each row.
        run: How.
        error_column: Name of the column that says what failed.

    Raises:
        UserError: A column is missing, or what the stage says.
    """
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if isinstance(files, pl.LazyFrame):
        return with_values(files.collect(), stage, run, error_column).lazy()
    if _is_pandas(files):
        read = files[
            [name for name in (*stage.required_columns, *stage.optional_columns) if name in files.columns]
        ]
        added = _columns(to_lazy(read).collect(), stage, run, error_column)
        kept = files.drop(
            columns=[name for name in stage.stale_columns(list(files.columns)) if name in files.columns]
        )
        return kept.assign(**{name: cells.to_pandas().to_numpy() for name, cells in added.items()})
    if not isinstance(files, pl.DataFrame):
        files = pl.DataFrame({"path": _paths(files)}, schema={"path": pl.String})
    added = _columns(files, stage, run, error_column)
    stale = [name for name in stage.stale_columns(files.columns) if name not in added]
    return files.drop(stale).with_columns(list(added.values()))


def _is_pandas(files: Any) -> bool:
    return type(files).__module__.partition(".")[0] == "pandas" and hasattr(files, "columns")


def _paths(files: Any) -> list[str]:
    try:
        return [os.fspath(path) for path in files]
    except TypeError as error:
        raise UserError(f"files: paths, or a frame with a column path, are wanted: {error}") from None


def _columns(table: pl.DataFrame, stage: Stage, run: RunOptions, error_column: str) -> dict[str, pl.Series]:
    """The columns that a stage adds to a table, and the one that says what failed."""
    require_columns(table, stage.required_columns, "the frame")
    require_single_values(
        table.schema, ("path",) if stage.takes_lists else stage.required_columns, "the frame"
    )
    outcomes: list[Outcome] = []
    if table.height:
        make_ready(stage)
        planned = stage.plan(table)
        wanted = [
            name for name in (*stage.required_columns, *stage.optional_columns) if name in planned.columns
        ]
        outcomes = map_rows(stage, planned.select(wanted).iter_rows(named=True), run)
    for remark, count in count_remarks(outcomes).items():
        LOG.info("%d rows: %s", count, remark)
    if failed := sum(bool(_why(outcome)) for outcome in outcomes):
        LOG.warning("%d of %d rows have not all their values; column %s", failed, len(outcomes), error_column)
    values = [{} if isinstance(outcome, MediaError) else outcome for outcome in outcomes]
    added = {
        name: pl.Series(name, [row.get(name) for row in values], dtype=dtype)
        for name, dtype in columns_of(stage).items()
    }
    errors = pl.Series(error_column, [_why(outcome) for outcome in outcomes], dtype=pl.String)
    return {**added, error_column: errors}


def _why(outcome: Outcome) -> str | None:
    if isinstance(outcome, MediaError):
        return f"{outcome.kind}: {outcome.message}"
    return "; ".join(f"{kind}: {message}" for kind, message in outcome.get(FAILURES) or ()) or None
