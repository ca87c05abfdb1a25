"""A stage over files in memory: paths, or a pandas or Polars frame, in; the same kind of frame out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import polars as pl

from tools.base.log import LOG
from tools.errors import UserError
from tools.stage.outcomes import Outcome, count_remarks, error_text
from tools.stage.plan import check_columns, paths_of
from tools.stage.remote_files import fetch_options
from tools.stage.results import value_series
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.stage import Stage
from tools.table import to_lazy
from tools.table.cells import whole_characters
from tools.table.formats.types import text_columns


def map_frame(files: Any, stage: Stage, run: RunOptions, error_column: str) -> Any:
    """`tools.stage.session.map_rows` over paths, addresses or a frame; gives a frame of the same kind.

    Args:
        files: A path, paths, or a frame.
        stage: What to do with each row.
        run: How.
        error_column: Name of the column with the failures.

    Raises:
        UserError: A column is missing; or see `Stage.ready` and `Session.process`.
    """
    taken = {*stage.required_columns, *stage.optional_columns, *stage.added_columns}
    if not isinstance(error_column, str) or error_column in taken:
        raise UserError(f"error_column: {error_column!r} is no name, or one of the score's columns")
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if isinstance(files, pl.LazyFrame):
        return map_frame(files.collect(), stage, run, error_column).lazy()
    if _is_pandas(files):
        read = files[stage.input_columns(files.columns)]
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


def _paths(files: Any) -> list[str | None]:
    """Paths; None for those that are missing, as in a column of pandas."""
    try:
        if isinstance(files, Mapping):
            raise TypeError(f"a {type(files).__name__} is neither")
        return [
            None if path is None or path != path else whole_characters(os.fsdecode(path)) for path in files
        ]
    except TypeError as error:
        raise UserError(f"files: must be paths, or a frame with a column path: {error}") from None


def _columns(table: pl.DataFrame, stage: Stage, run: RunOptions, error_column: str) -> dict[str, pl.Series]:
    """The columns that a stage adds to a table, and the column with the failures."""
    check_columns(stage, table, "the frame")
    table = text_columns(table.lazy()).collect()
    outcomes: list[Outcome] = []
    if table.height:
        stage.ready(report=True)
        planned = stage.plan(table)
        rows = planned.select(stage.input_columns(planned.columns))
        fetch = fetch_options(run, paths_of(rows) if rows.schema.get("path") == pl.String else [])
        outcomes = map_rows(stage, rows.iter_rows(named=True), run, fetch=fetch)
    for remark, count in count_remarks(outcomes).items():
        LOG.info("%d rows: %s", count, remark)
    errors = pl.Series(error_column, [error_text(outcome) for outcome in outcomes], dtype=pl.String)
    if failed := errors.count():
        LOG.warning("%d of %d rows have not all their values; column %s", failed, len(outcomes), error_column)
    added = {series.name: series for series in value_series(stage, outcomes)}
    return {**added, error_column: errors}
