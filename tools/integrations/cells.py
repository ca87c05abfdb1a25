"""The cells of a table from pandas, NumPy, JSON or CSV, as plain Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from tools.errors import MediaError, UserError
from tools.table.cells import parsed, whole_characters


def plain(value: Any) -> Any:
    """A cell as plain Python: lists for arrays, None for NaN, whole characters, copies of lists and dicts."""
    if isinstance(value, str):
        return whole_characters(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return None if value != value else float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value))
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def path_or_error(cell: Any) -> str | MediaError:
    """As `one_path`, but gives the error."""
    try:
        return one_path(cell)
    except MediaError as error:
        return error


def one_path(cell: Any) -> str:
    """The path in a cell: a text, or a list with one text.

    Raises:
        MediaError: bad_value: there is none, or there are several.
    """
    cell = parsed(cell, list)
    paths = cell if isinstance(cell, (list, tuple)) else [cell]
    if len(paths) > 1:
        raise MediaError("bad_value", "", f"{len(paths)} paths are in the cell where one is expected")
    path = paths[0] if paths else None
    if path is None or not str(path).strip():
        raise MediaError("bad_value", "", "the cell of the path is empty")
    return str(path)


def refuse_twins(names: Iterable[Any]) -> None:
    """Check that no column of a frame has the name of another one: which is meant could not be told.

    Raises:
        UserError: Two have the same.
    """
    seen: set[Any] = set()
    for name in names:
        if name in seen:
            raise UserError(f"the table has two columns {name}; rename one of them")
        seen.add(name)
