"""The methods and functions of a ``--where`` expression, each with the arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from tools.table.where_values import (
    NUMBER,
    TEXT,
    TRUTH,
    Mismatch,
    Operand,
    compare,
    filled,
    is_in,
    is_unknown,
    number,
    text,
    to_number,
    to_text,
)

_BETWEEN = {"both": (">=", "<="), "left": (">=", "<"), "right": (">", "<="), "neither": (">", "<")}
_MAX_DECIMALS = 15


def _truth(expr: pl.Expr, operand: Operand) -> Operand:
    return Operand(TRUTH, expr, operand.name)


def _isna(x: Operand) -> Operand:
    return _truth(is_unknown(x), x)


def _notna(x: Operand) -> Operand:
    return _truth(~is_unknown(x), x)


def _between(x: Operand, low: Operand, high: Operand, inclusive: str = "both") -> Operand:
    if inclusive not in _BETWEEN:
        raise Mismatch(f"inclusive must be one of {', '.join(_BETWEEN)}")
    above, below = _BETWEEN[inclusive]
    return _truth(compare(above, x, low) & compare(below, x, high), x)


def _isin(x: Operand, choices: list) -> Operand:
    return _truth(is_in(x, choices), x)


def _contains(
    x: Operand, part: str, regex: bool = False, case: bool = True, na: bool | None = None
) -> Operand:
    texts = text(x)
    if regex or not case:
        pattern = ("" if case else "(?i)") + (part if regex else pl.escape_regex(part))
        _check_regex(pattern)
        found = texts.str.contains(pattern)
    else:
        found = texts.str.contains(part, literal=True)
    return _truth(found if na is None else found.fill_null(na), x)


def _check_regex(pattern: str) -> None:
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if line.startswith("error:")), "") or lines[0]
        raise Mismatch(f"not a regular expression of Rust: {reason.removeprefix('error: ')}") from None


def _startswith(x: Operand, part: str) -> Operand:
    return _truth(text(x).str.starts_with(part), x)


def _endswith(x: Operand, part: str) -> Operand:
    return _truth(text(x).str.ends_with(part), x)


def _lower(x: Operand) -> Operand:
    return Operand(TEXT, text(x).str.to_lowercase(), x.name)


def _upper(x: Operand) -> Operand:
    return Operand(TEXT, text(x).str.to_uppercase(), x.name)


def _strip(x: Operand) -> Operand:
    return Operand(TEXT, filled(text(x).str.strip_chars()), x.name)


def _len(x: Operand) -> Operand:
    return Operand(NUMBER, text(x).str.len_chars().cast(pl.Float64), f"the length of {x.name}")


def _abs(x: Operand) -> Operand:
    return Operand(NUMBER, number(x).abs(), x.name)


def _round(x: Operand, decimals: int = 0) -> Operand:
    if not 0 <= decimals <= _MAX_DECIMALS:
        raise Mismatch(f"decimals must be between 0 and {_MAX_DECIMALS}")
    return Operand(NUMBER, number(x).round(decimals), x.name)


Method = Callable[..., Operand]

TEXT_METHODS: dict[str, Method] = {
    "contains": _contains,
    "startswith": _startswith,
    "endswith": _endswith,
    "lower": _lower,
    "upper": _upper,
    "strip": _strip,
    "len": _len,
}
"""Methods of texts; pandas' ``.str.`` may precede them."""

METHODS: dict[str, Method] = {
    "between": _between,
    "isin": _isin,
    "isna": _isna,
    "isnull": _isna,
    "is_null": _isna,
    "notna": _notna,
    "notnull": _notna,
    "is_not_null": _notna,
    "abs": _abs,
    "round": _round,
    **TEXT_METHODS,
}
"""Methods by name."""

FUNCTIONS: dict[str, Method] = {
    "num": to_number,
    "text": to_text,
    "abs": _abs,
    "round": _round,
    "len": _len,
}
"""Functions by name; ``col("name")`` is the parser's own."""

OPERAND_ARGUMENTS = {"low", "high"}
"""Arguments that may be any part of an expression; the others are written out."""

ARGUMENT_TYPES: dict[str, type] = {
    "part": str,
    "regex": bool,
    "case": bool,
    "na": bool,
    "inclusive": str,
    "decimals": int,
    "choices": list,
}
"""Type of each argument that is written out."""

ARGUMENT_NAMES: dict[str, Any] = {"pat": "part", "left": "low", "right": "high", "values": "choices"}
"""Names that pandas gives to arguments."""
