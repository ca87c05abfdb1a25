"""Checks of what a stage returns: its output columns, with cells that fit the ledger and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tools.columns import polars_type
from tools.errors import FAILURE_KINDS, MediaError
from tools.stage.outcomes import Outcome
from tools.stage.stage import FAILURES, REMARKS, SIDE_OUTPUTS, VECTOR, Stage


def check_values(stage: Stage, results: Sequence[dict[str, Any] | MediaError]) -> list[Outcome]:
    """Check what a stage returned for a batch.

    Args:
        stage: The stage.
        results: One dict for each row, or why it has no values.

    Returns:
        The same with plain Python values: those that are read back from the ledger after a kill. A `VECTOR`
        stays a numpy array.

    Raises:
        ValueError: A dict has other columns than the stage's `output_columns`.
        TypeError: A cell cannot be written as JSON, or does not fit the column's type.
    """
    filled = [values for values in results if not isinstance(values, MediaError)]
    for values in filled:
        _check_names(values, stage.output_columns)
    filled = [
        {name: _vector(value) if name == VECTOR else _plain(value) for name, value in values.items()}
        for values in filled
    ]
    _check_cells(stage, filled)
    remaining = iter(filled)
    return [values if isinstance(values, MediaError) else next(remaining) for values in results]


def unfit(stage: Stage, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Find outcomes in a ledger that the stage cannot have made.

    Args:
        stage: The stage.
        outcomes: What became of rows, by their keys, without their `VECTOR`.

    Returns:
        Keys of those with missing or further columns, or with cells of another type.
    """
    names = set(stage.output_columns) - {VECTOR}
    filled = [(key, values) for key, values in outcomes.items() if not isinstance(values, MediaError)]
    keys = [key for key, values in filled if values.keys() | {REMARKS} & names != names]
    wrong = set(keys)
    fitting = [pair for pair in filled if pair[0] not in wrong]
    return keys + (_misfits(stage, fitting) if fitting else [])


def _misfits(stage: Stage, filled: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Check all together, which is fast, and search only where that fails."""
    try:
        _check_cells(stage, [values for _, values in filled])
    except (TypeError, ValueError):
        if len(filled) == 1:
            return [filled[0][0]]
        half = len(filled) // 2
        return _misfits(stage, filled[:half]) + _misfits(stage, filled[half:])
    return []


def _check_cells(stage: Stage, filled: Sequence[dict[str, Any]]) -> None:
    if not stage.output_columns.keys().isdisjoint((FAILURES, REMARKS)):
        _check_side_outputs(filled)
    if not stage.one_to_many:
        _check_types(filled, stage.output_columns)
        return
    rows = [row for values in filled for row in values["rows"]]
    for row in rows:
        _check_names(row, stage.row_columns)
    _check_types(rows, stage.row_columns)


def _check_side_outputs(filled: Sequence[dict[str, Any]]) -> None:
    for values in filled:
        for failure in values.get(FAILURES) or ():
            kind, message = failure
            if kind not in FAILURE_KINDS or not isinstance(message, str):
                raise TypeError(f"{FAILURES}: {failure!r:.60} is no kind and message")
        for remark in values.get(REMARKS) or ():
            if not isinstance(remark, str):
                raise TypeError(f"{REMARKS}: {remark!r:.60} is no text")


def _check_names(values: Any, columns: Mapping[str, Any]) -> None:
    if not isinstance(values, dict) or values.keys() | {REMARKS} & columns.keys() != columns.keys():
        found = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"columns {found} instead of {sorted(columns)}")


def _check_types(rows: Sequence[dict[str, Any]], columns: Mapping[str, Any]) -> None:
    import polars as pl

    for name, kind in columns.items():
        if name in SIDE_OUTPUTS:
            continue
        dtype = polars_type(kind)
        cells = [row[name] for row in rows]
        try:
            if dtype.is_numeric() and bool in set(map(type, cells)):  # Polars would make 1 of true
                raise TypeError("true or false, not a number")
            pl.Series(name, cells, dtype=dtype)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise TypeError(f"column {name}: {error}") from None


def _vector(value: Any) -> np.ndarray | None:
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.ndim != 1:
        raise TypeError(f"{VECTOR}: {value!r:.60} is no vector of float32")
    return value


def _plain(value: Any) -> Any:
    """A value as it is read back from JSON."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return {_name(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    raise TypeError(f"a value of type {type(value).__name__} cannot be kept: {value!r:.60}")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a dict in a cell has the key {name!r}, which is no text")
    return name
