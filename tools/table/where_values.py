"""What the parts of a ``--where`` expression stand for: numbers, texts and truth values over columns.

The same expression must keep the same rows of a CSV (where every cell is text), a Parquet and a JSON Lines
file. So it is not the file that decides how a column is read, but the column contract, and where that is
silent, what the column is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tools.columns import COLUMNS
from tools.table.files import numeric

NUMBER, TEXT, TRUTH, UNKNOWN, NOTHING, OTHER = "number", "text", "true or false", "unknown", "None", "other"
EXACT_WHOLE_NUMBERS = 2**53 - 1
"""Whole numbers up to this one are Float64 numbers that no other whole number is rounded to."""


class Mismatch(ValueError):
    """Two parts of an expression do not go together; the message says why, without the place."""


@dataclass(frozen=True)
class Operand:
    """One part of an expression.

    Attributes:
        kind: `NUMBER` (Float64 without NaN), `TEXT` (String, never empty), `TRUTH` (Boolean), `UNKNOWN` (text
            cells of which the contract says nothing), `NOTHING` (the word None), or `OTHER` (lists, dates).
        expr: Its Polars expression, of the dtype above. An unknown cell is null.
        name: What messages call it.
        as_text: Its cells as in a CSV, if this is certain and it is not a text already.
        literal: Whether it was written out in the expression.
    """

    kind: str
    expr: pl.Expr
    name: str
    as_text: pl.Expr | None = None
    literal: bool = False


def column(name: str, dtype: pl.DataType) -> Operand:
    """A column, read as the contract says, else as its dtype says."""
    cells = pl.col(name)
    known = COLUMNS[name].dtype() if name in COLUMNS else None
    is_text = dtype == pl.String or dtype.base_type() in (pl.Categorical, pl.Enum)
    if not (is_text or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        return Operand(OTHER, cells, name)
    if dtype == pl.Boolean and (known is None or known == pl.Boolean):
        return Operand(TRUTH, cells, name, as_text=None if known else cells.cast(pl.String))
    if dtype.is_numeric() if known is None else known.is_numeric():
        written_out = known is None and dtype.is_integer()
        return Operand(NUMBER, numeric(name), name, as_text=cells.cast(pl.String) if written_out else None)
    texts = filled(cells.cast(pl.String))
    if known == pl.Boolean:
        return Operand(TRUTH, _truth_of_text(texts), name)
    return Operand(UNKNOWN if known is None else TEXT, texts, name)


def filled(texts: pl.Expr) -> pl.Expr:
    """Texts with the empty one as null: a CSV of pandas does not distinguish them."""
    return pl.when(texts != "").then(texts)


def _truth_of_text(texts: pl.Expr) -> pl.Expr:
    lower = texts.str.to_lowercase()
    return pl.when(lower == "true").then(True).when(lower == "false").then(False)


def literal(value: Any) -> Operand:
    """A number, text, True, False or None in the expression.

    Raises:
        Mismatch: It is something else, or a number outside Float64.
    """
    if value is None:
        return Operand(NOTHING, pl.lit(None), "None", literal=True)
    if isinstance(value, bool):
        return Operand(TRUTH, pl.lit(value), str(value), literal=True)
    if isinstance(value, int) and abs(value) > EXACT_WHOLE_NUMBERS:
        raise Mismatch("the number is too large to be compared exactly; compare as text: id == '…'")
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise Mismatch("the number is too large")
        return Operand(NUMBER, pl.lit(float(value)), str(value), literal=True)
    if isinstance(value, str):
        return Operand(TEXT, pl.lit(value, dtype=pl.String), repr(value), literal=True)
    raise Mismatch(f"{value!r} is no number, text, True, False or None")


def number(operand: Operand) -> pl.Expr:
    """An operand as Float64.

    Raises:
        Mismatch: It is no number, and no column whose cells may be some.
    """
    if operand.kind == NUMBER:
        return operand.expr
    if operand.kind == UNKNOWN:
        return _number_of_text(operand.expr)
    raise Mismatch(f"{_a(operand)}, where a number is needed{_hint(operand, 'num')}")


def text(operand: Operand) -> pl.Expr:
    """An operand as String.

    Raises:
        Mismatch: It is no text, and no column whose cells are some.
    """
    if operand.kind in (TEXT, UNKNOWN):
        return operand.expr
    if operand.as_text is not None:
        return operand.as_text
    raise Mismatch(f"{_a(operand)}, where a text is needed{_hint(operand, '')}")


def truth(operand: Operand) -> pl.Expr:
    """An operand as a condition.

    Raises:
        Mismatch: It is neither true nor false.
    """
    if operand.kind == TRUTH:
        return operand.expr
    if operand.kind == UNKNOWN:
        return _truth_of_text(operand.expr)
    raise Mismatch(f"{_a(operand)}, where a condition is needed; compare it with something")


def to_number(operand: Operand) -> Operand:
    """``num(x)``: the numbers in texts; a text that is none is unknown."""
    if operand.kind == TEXT and not operand.literal:
        return Operand(NUMBER, _number_of_text(operand.expr), operand.name)
    return Operand(NUMBER, number(operand), operand.name)


def to_text(operand: Operand) -> Operand:
    """``text(x)``: the cells as in a CSV."""
    return Operand(TEXT, text(operand), operand.name)


def _number_of_text(texts: pl.Expr) -> pl.Expr:
    return texts.cast(pl.Float64, strict=False).fill_nan(None)


def is_unknown(operand: Operand) -> pl.Expr:
    """Whether a cell is empty, or not of its column's type; never null itself."""
    return operand.expr.is_null()


_COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compare(sign: str, left: Operand, right: Operand) -> pl.Expr:
    """One comparison; null where a side is unknown, except that of anything with None or ''.

    Raises:
        Mismatch: The sides are of different kinds, or the sign makes no sense for them.
    """
    for empty, other in ((left, right), (right, left)):
        if _is_empty(empty):
            if sign not in ("==", "!="):
                raise Mismatch(f"{empty.name} is neither larger nor smaller than anything")
            return is_unknown(other) if sign == "==" else ~is_unknown(other)
    kind = common_kind(left, right)
    if kind == TRUTH and sign not in ("==", "!="):
        raise Mismatch(f"{left.name} {sign} {right.name}: a condition is neither larger nor smaller")
    return _COMPARE[sign](read_as(kind, left), read_as(kind, right))


def _is_empty(operand: Operand) -> bool:
    return operand.literal and (operand.kind == NOTHING or operand.name == "''")


def common_kind(left: Operand, right: Operand) -> str:
    """As what two operands are compared.

    Raises:
        Mismatch: There is no such kind, or more than one.
    """
    kinds = {left.kind, right.kind}
    if kinds == {UNKNOWN}:
        raise Mismatch(
            f"{left.name} and {right.name} may be numbers or texts; say num({left.name}) or text({left.name})"
        )
    if kinds == {NUMBER, TEXT}:
        numbers, texts = (left, right) if left.kind == NUMBER else (right, left)
        if texts.literal and numbers.as_text is not None:
            return TEXT
        if numbers.literal and not texts.literal:
            return NUMBER
        raise Mismatch(f"{_a(numbers)}, {_a(texts)}{_hint(texts, 'num') or '; they cannot be compared'}")
    known = kinds - {UNKNOWN}
    if len(known) == 1 and known <= {NUMBER, TEXT, TRUTH}:
        return known.pop()
    if kinds == {TRUTH, TEXT}:
        truths, texts = (left, right) if left.kind == TRUTH else (right, left)
        if texts.literal and truths.as_text is not None:
            return TEXT
    raise Mismatch(f"{_a(left)}, {_a(right)}; they cannot be compared")


def read_as(kind: str, operand: Operand) -> pl.Expr:
    """An operand of a comparison as the kind that was found for it."""
    if kind == NUMBER:
        return to_number(operand).expr
    return text(operand) if kind == TEXT else truth(operand)


def is_in(operand: Operand, choices: Iterable[Any]) -> pl.Expr:
    """Whether a cell is one of some literals; None and '' among them stand for an empty cell.

    Raises:
        Mismatch: The list is empty, of several kinds, or of another kind than the operand.
    """
    literals = [literal(choice) for choice in choices]
    values = [value for value in literals if not _is_empty(value)]
    if not literals:
        raise Mismatch("the list is empty")
    if len({value.kind for value in values}) > 1:
        raise Mismatch("the list holds values of several kinds; nothing can be compared with all of them")
    if not values:
        return is_unknown(operand)
    kind = common_kind(operand, values[0])
    cells = [choice for choice in choices if choice is not None and choice != ""]
    among = read_as(kind, operand).is_in([float(c) for c in cells] if kind == NUMBER else cells)
    return is_unknown(operand) | among if len(values) < len(literals) else among


def arithmetic(sign: str, left: Operand, right: Operand) -> Operand:
    """``+ - * / // %`` as Python defines them for floats; a division by zero is unknown.

    Raises:
        Mismatch: A side is no number.
    """
    a, b = number(left), number(right)
    if sign in ("/", "//", "%"):
        b = pl.when(b != 0).then(b)
    result = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / b,
        "//": lambda: _divided(a, b, 0),
        "%": lambda: _divided(a, b, 1),
    }[sign]()
    return Operand(NUMBER, result.fill_nan(None), f"{left.name} {sign} {right.name}")


def _divided(a: pl.Expr, b: pl.Expr, part: int) -> pl.Expr:
    """Quotient (0) or remainder (1) of a division that rounds down, exactly; Polars rounds twice."""

    def divide(numbers: Sequence[pl.Series]) -> pl.Series:
        import numpy as np

        with np.errstate(all="ignore"):
            return pl.Series(np.divmod(*(cells.to_numpy() for cells in numbers))[part])

    return pl.map_batches([a, b], divide, pl.Float64, is_elementwise=True)


def _a(operand: Operand) -> str:
    if operand.kind == OTHER:
        return f"{operand.name} holds lists, dates or other values that only isna() and notna() take"
    if operand.kind == NOTHING:
        return "None stands for an empty cell and goes with == and != only"
    return f"{operand.name} is {'' if operand.kind == TRUTH else 'a '}{operand.kind}"


def _hint(operand: Operand, function: str) -> str:
    if function and operand.kind == TEXT and not operand.literal:
        return f"; {function}({operand.name}) reads it as one"
    return ""
