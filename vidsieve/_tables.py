"""Rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tools.datasets import edit

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    TableT = TypeVar("TableT", pl.DataFrame, pl.LazyFrame, pd.DataFrame)


@overload
def filter_table(table: str | Path, *, seed: int = ..., **operations: Any) -> pl.DataFrame: ...
@overload
def filter_table(table: TableT, *, seed: int = ..., **operations: Any) -> TableT: ...
def filter_table(
    table: str | Path | pl.DataFrame | pl.LazyFrame | pd.DataFrame, *, seed: int = 42, **operations: Any
) -> pl.DataFrame | pl.LazyFrame | pd.DataFrame:
    """Filter and edit a table, as the flags of ``datautil`` of the same names do.

    ``filter_table(frame, aesmin=5, fmax=300)``, ``filter_table("meta.csv", where="aes >= 5 and fps > 20")``.

    Args:
        table: A pandas or Polars frame, lazy or not; or a table on disk. It is not changed.
        seed: For what is random (``shuffle``, ``sample``).
        operations: Name of a flag of ``datautil``, with underscores, and its value; True for a switch. They
            are carried out in the order of ``datautil``, whatever theirs is.

    Returns:
        A frame of the same kind; of a table on disk a Polars frame. Rows of a pandas frame are numbered anew.

    Raises:
        UserError: An unknown name, a value that it does not take, a missing column, an unreadable table.
    """
    return edit.filter_table(table, seed=seed, **operations)
