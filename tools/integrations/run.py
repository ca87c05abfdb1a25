"""Rows in memory for operators of other frameworks: their frames, their results, and the log of failures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from tools.errors import MediaError, UserError
from tools.integrations.cells import plain, refuse_twins
from tools.integrations.ranks import on_every_rank, on_first_rank
from tools.stage.outcomes import Outcome, count_remarks, error_text
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.shards import current_shard
from tools.stage.stage import Row, Stage

if TYPE_CHECKING:
    import pandas as pd

    from tools.integrations.dataflow.storage import Storage

Value = TypeVar("Value")

_LOG = logging.getLogger("tools.operators")  # not below vidsieve: a script without logging hears it


class Result(NamedTuple):
    """What became of one row.

    Attributes:
        values: The columns that the stage adds; None when the row failed.
        reason: ``kind: message`` of the failure (kinds: `tools.errors.FAILURE_KINDS`); else None.
    """

    values: dict[str, Any] | None
    reason: str | None

    @property
    def error(self) -> str | None:
        """The failures of the row, as a whole or in parts: the text of an error column."""
        return self.reason if self.values is None else error_text(self.values)


def map_rows_on_ranks(
    stage: Stage, rows: Iterable[Row | MediaError], options: RunOptions | None = None
) -> list[Result]:
    """`map_rows` under ``torchrun``: each rank processes its share, and every rank gets all results.

    Args:
        stage: What to do with each row.
        rows: The rows, the same on all ranks; an error instead of one whose cells cannot be used.
        options: How.

    Returns:
        For each row, in order, its values, or why it has none.

    Raises:
        UserError: The run as a whole is impossible (missing weights, for example), on whichever rank.
    """
    given_rows = list(rows)
    rows = [row for row in given_rows if not isinstance(row, MediaError)]
    shard = current_shard()
    share = shard.rows(len(rows))

    def work() -> tuple[int, list[dict[str, Any] | MediaError]]:
        if not share:
            return len(rows), []
        return len(rows), map_rows(stage, [rows[i] for i in share], options)

    parts = on_every_rank(work)
    if any(total != len(rows) for total, _ in parts):
        raise UserError("the ranks read tables of different lengths; they must all read the same one")
    outcomes: list[Any] = [None] * len(rows)
    for rank, (_, part) in enumerate(parts):
        outcomes[rank :: shard.world] = part
    done = iter(outcomes)
    return [result_of(row if isinstance(row, MediaError) else next(done)) for row in given_rows]


def result_of(outcome: dict[str, Any] | MediaError) -> Result:
    """The `Result` of an outcome."""
    if isinstance(outcome, MediaError):
        return Result(None, outcome.reason)
    return Result(outcome, None)


def read_frame(storage: Storage, *columns: str) -> pd.DataFrame:
    """Read the table in a storage.

    Args:
        storage: A `FileStorage`, DataFlow's, or anything with these methods.
        columns: Columns that it must have.

    Raises:
        UserError: A column is missing, or there twice.
    """
    import pandas as pd

    frame = storage.read("dataframe")
    if not isinstance(frame, pd.DataFrame):
        frame = pd.DataFrame(frame)
    refuse_twins(frame.columns)
    for name in columns:
        if name not in frame.columns:
            there = ", ".join(map(str, frame.columns)) or "none: it is empty"
            raise UserError(f"the table has no column {name}; it has {there}")
    return frame


def write_frame(storage: Storage, frame: pd.DataFrame) -> None:
    """Write a table to a storage; of several ranks the first writes, and the others wait until it has.

    Arrays, as they are read from Parquet, are written as lists and dicts: DataFlow's storage would make texts
    of them.
    """
    arrays = {
        name: cells(frame, name)
        for name, dtype in frame.dtypes.items()
        if dtype.kind == "O" and any(isinstance(cell, (np.ndarray, Mapping)) for cell in frame[name])
    }
    result = with_columns(frame, arrays)
    on_first_rank(lambda: storage.write(result))


def cells(frame: pd.DataFrame, column: str) -> list[Any]:
    """The cells of a column as plain Python values, copies of those in the table."""
    return [plain(cell) for cell in frame[column]]


def with_columns(frame: pd.DataFrame, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A copy of a table with further or other columns.

    Args:
        frame: The table; its index may have repeated labels.
        columns: Cells in the order of the rows. Numbers (and None) make a column of numbers.
    """
    import pandas as pd

    result = frame.copy(deep=False)
    for name, values in columns.items():
        numbers = {type(value) for value in values} in ({float}, {float, type(None)})
        series = pd.Series(list(values), dtype="float64" if numbers else object)
        result[name] = series.set_axis(frame.index)
    return result


def given(value: Value | None, default: Value) -> Value:
    """An argument of ``run``, or that of ``__init__`` where it is None; 0 and False count."""
    return default if value is None else value


def log_failures(reasons: Iterable[str | None], what: str) -> None:
    """Log how many results are missing and of which kinds; nothing when none is.

    Args:
        reasons: One for each row or clip; None where it has its result.
        what: What is missing, for the message (``clips have no aesthetic_score``).
    """
    reasons = list(reasons)
    kinds = Counter(reason.partition(":")[0] for reason in reasons if reason is not None)
    if kinds and current_shard().rank == 0:
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        _LOG.warning("%d of %d %s: %s", kinds.total(), len(reasons), what, counted)


def log_remarks(outcomes: Sequence[Outcome]) -> None:
    """Log the remarks on rows, and how many rows each applies to."""
    for remark, count in count_remarks(outcomes).items():
        _LOG.warning("%d of %d rows: %s", count, len(outcomes), remark)
