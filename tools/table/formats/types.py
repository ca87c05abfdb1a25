"""Types of columns between formats: the types of the contract, and lists as text."""

from __future__ import annotations

import json
from collections.abc import Collection

import polars as pl

from tools.columns import COLUMNS


def text_columns(frame: pl.LazyFrame, names: Collection[str] = tuple(COLUMNS)) -> pl.LazyFrame:
    """Cast text columns of the contract, all or some, where a typed file has others in them, or nothing."""
    schema = frame.collect_schema()
    wrong = [
        name
        for name in names
        if name in schema and COLUMNS[name].kind == "String"
        if schema[name] not in (pl.String, pl.Object) and not schema[name].is_nested()
    ]
    return frame.with_columns(pl.col(wrong).cast(pl.String)) if wrong else frame


def contract_types(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give text columns of the contract their contract type, where that loses no cell."""
    schema = frame.collect_schema()
    types = {n: COLUMNS[n].dtype for n, t in schema.items() if n in COLUMNS and t == pl.String}
    types = {name: dtype for name, dtype in types.items() if dtype != pl.String}
    if not types:
        return frame
    lost = frame.select(
        [
            (pl.col(name).is_not_null() & _cast(name, dtype).is_null()).any().alias(name)
            for name, dtype in types.items()
        ]
    ).collect(engine="streaming")
    keep = [name for name in types if not lost[name][0]]
    return frame.with_columns([_cast(name, types[name]) for name in keep])


def _cast(name: str, dtype: type[pl.DataType]) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col(name).replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        )
    return pl.col(name).cast(dtype, strict=False)


def lists_as_text(frame: pl.LazyFrame, names: Collection[str] | None = None) -> pl.LazyFrame:
    """Lists and records, of all columns or of some, as JSON: a cell of a CSV is text."""
    schema = frame.collect_schema()
    nested = [name for name in (schema if names is None else names) if schema[name].is_nested()]
    return frame.with_columns(
        pl.col(name).map_batches(_encode, return_dtype=pl.String, is_elementwise=True) for name in nested
    )


def _encode(cells: pl.Series) -> pl.Series:
    texts = [None if c is None else json.dumps(c, ensure_ascii=False, default=str) for c in cells.to_list()]
    return pl.Series(cells.name, texts, dtype=pl.String)
