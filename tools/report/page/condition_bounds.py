"""Conditions as the bounds of a page: what a recipe asks for, as far as it bounds one column at a time."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.errors import UserError
from tools.report.page.contents import Contents, LabelFilter, NumberFilter
from tools.report.page.packing import LIMIT, PackedNumbers
from tools.table.where_source import Source

_MIRRORED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq}


@dataclass(frozen=True)
class Bound:
    """What a column must meet.

    Attributes:
        low: Least number; None for any.
        high: Largest number; None for any.
        labels: Codes of a `LabelFilter` that are kept; None for a column of numbers.
    """

    low: float | None = None
    high: float | None = None
    labels: frozenset[int] | None = None

    def and_also(self, other: Bound) -> Bound:
        """Both at once."""
        if self.labels is not None and other.labels is not None:
            return Bound(labels=self.labels & other.labels)
        lows = [one.low for one in (self, other) if one.low is not None]
        highs = [one.high for one in (self, other) if one.high is not None]
        return Bound(max(lows, default=None), min(highs, default=None))

    def as_dict(self) -> dict[str, Any]:
        """As ``Crossfilter.setAll`` in crossfilter.js takes it."""
        if self.labels is not None:
            return {"labels": sorted(self.labels)}
        return {"low": self.low, "high": self.high}


def bounds_of(where: str, contents: Contents) -> dict[str, Bound] | None:
    """The bounds that keep just the rows that a condition keeps.

    Args:
        where: A condition, see docs/where.md.
        contents: The columns of the page.

    Returns:
        Column to bound; None where there are no such bounds, as for ``width * height >= 262144``, for
        conditions with ``or``, and for columns that the page does not have.
    """
    try:
        source = Source(where)
        return _Reader(source, {one.name: one for one in contents.filters}).read(source.parse(()))
    except (UserError, _NoBound, ValueError):
        return None


def joined(several: Sequence[Mapping[str, Bound]]) -> dict[str, Bound]:
    """All of several bounds at once."""
    found: dict[str, Bound] = {}
    for bounds in several:
        for name, bound in bounds.items():
            found[name] = found[name].and_also(bound) if name in found else bound
    return found


class _NoBound(Exception):
    """A part of a condition is no bound of one column."""


class _Reader:
    def __init__(self, source: Source, filters: Mapping[str, NumberFilter | LabelFilter]) -> None:
        self.source = source
        self.filters = filters

    def read(self, node: ast.expr) -> dict[str, Bound]:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            return joined([self.read(value) for value in node.values])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            return joined([self.read(node.left), self.read(node.right)])
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._method(node.func, node)
        if isinstance(node, (ast.Name, ast.Call)):
            return self._among(node, [True])
        raise _NoBound

    def _compare(self, node: ast.Compare) -> dict[str, Bound]:
        nodes = [node.left, *node.comparators]
        parts = []
        for left, sign, right in zip(nodes, node.ops, node.comparators, strict=False):
            if isinstance(sign, ast.In) and isinstance(right, (ast.List, ast.Tuple, ast.Set)):
                parts.append(self._among(left, [ast.literal_eval(one) for one in right.elts]))
            elif self._is_column(left):
                parts.append(self._bound(left, type(sign), ast.literal_eval(right)))
            elif type(sign) in _MIRRORED:
                parts.append(self._bound(right, _MIRRORED[type(sign)], ast.literal_eval(left)))
            else:
                raise _NoBound
        return joined(parts)

    def _method(self, called: ast.Attribute, node: ast.Call) -> dict[str, Bound]:
        subject, arguments = called.value, node.args
        if called.attr == "between" and len(arguments) == 2 and not node.keywords:
            low, high = map(ast.literal_eval, arguments)
            return joined([self._bound(subject, ast.GtE, low), self._bound(subject, ast.LtE, high)])
        if called.attr == "isin" and len(arguments) == 1 and not node.keywords:
            return self._among(subject, list(ast.literal_eval(arguments[0])))
        if called.attr in ("isna", "notna") and not arguments and not node.keywords:
            one = self._filter(subject)
            if isinstance(one, LabelFilter):
                codes = {0} if called.attr == "isna" else set(range(1, len(one.values) + 1))
                return {one.name: Bound(labels=frozenset(codes))}
        raise _NoBound

    def _is_column(self, node: ast.expr) -> bool:
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "col"
        return isinstance(node, ast.Name) or is_call

    def _filter(self, node: ast.expr) -> NumberFilter | LabelFilter:
        name = ""
        if isinstance(node, ast.Name):
            name = self.source.quoted.get(self.source.start(node)) or self.source.typed(node)
        elif isinstance(node, ast.Call) and self._is_column(node) and len(node.args) == 1:
            name = str(ast.literal_eval(node.args[0]))
        if name not in self.filters:
            raise _NoBound
        return self.filters[name]

    def _bound(self, node: ast.expr, sign: type[ast.cmpop], value: Any) -> dict[str, Bound]:
        one = self._filter(node)
        if isinstance(one, LabelFilter):
            if sign is ast.Eq:
                return self._among(node, [value])
            raise _NoBound
        if type(value) not in (int, float):
            raise _NoBound
        low = high = None
        if sign in (ast.GtE, ast.Gt, ast.Eq):
            low = _exact(one.packed, float(value), up=True, beyond=sign is ast.Gt)
        if sign in (ast.LtE, ast.Lt, ast.Eq):
            high = _exact(one.packed, float(value), up=False, beyond=sign is ast.Lt)
        if low is None and high is None:
            raise _NoBound
        return {one.name: Bound(low, high)}

    def _among(self, node: ast.expr, values: Sequence[Any]) -> dict[str, Bound]:
        one = self._filter(node)
        if isinstance(one, NumberFilter):
            if len(values) != 1 or isinstance(values[0], bool):
                raise _NoBound
            return self._bound(node, ast.Eq, values[0])
        codes: set[int] = set()
        for value in values:
            codes |= _codes(one, value)
        return {one.name: Bound(labels=frozenset(codes))}


def _codes(one: LabelFilter, value: Any) -> set[int]:
    """The codes of the cells that are equal to a literal."""
    if value is None or value == "":
        return {0}
    if isinstance(value, bool) and one.kind in ("truth", "text"):  # texts of a CSV may be truth values
        return {code for code, text in enumerate(one.values, 1) if text.lower() == str(value).lower()}
    if isinstance(value, str) and one.kind == "text":
        return {code for code, text in enumerate(one.values, 1) if text == value}
    raise _NoBound


def _exact(packed: PackedNumbers, value: float, *, up: bool, beyond: bool) -> float:
    """A bound that the page can set and that separates the same rows as the given one.

    Args:
        packed: The column, whose bounds are multiples of a step.
        value: The bound.
        up: It is a lower one, else an upper one.
        beyond: The value itself is not kept.
    """
    scale = 10.0 ** abs(packed.decimals)
    steps = value * scale if packed.decimals >= 0 else value / scale

    def multiple(count: float) -> float:
        return count / scale if packed.decimals >= 0 else count * scale

    if not abs(steps) < LIMIT:  # such numbers are listed, and separated by any bound
        if beyond:
            raise _NoBound
        return value
    near = float(round(steps))
    if multiple(near) == value:
        if not beyond:
            return value
        if packed.exact:  # every number is a multiple, so the next one is the first that is kept
            return multiple(near + 1 if up else near - 1)
    elif packed.exact:
        return multiple(math.ceil(steps) if up else math.floor(steps))
    raise _NoBound
