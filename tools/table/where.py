"""Conditions on rows, as typed by users: ``aes >= 5 and flow.between(2, 14) and not text.isna()``.

The text is parsed by Python's own parser into a syntax tree, and the tree is walked: the nodes known here
become a Polars expression, every other node is an error. Nothing of it is ever evaluated or imported, and
there is no name in it but those of the columns and of the methods in `tools.table.where_methods`.
The language is described in docs/where.md.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from tools.columns import no_column
from tools.errors import UserError
from tools.table.where_methods import (
    ARGUMENT_NAMES,
    ARGUMENT_TYPES,
    FUNCTIONS,
    METHODS,
    OPERAND_ARGUMENTS,
    TEXT_METHODS,
    Method,
)
from tools.table.where_source import MAX_DEPTH, Source, too_deep
from tools.table.where_values import (
    TRUTH,
    UNKNOWN,
    Mismatch,
    Operand,
    arithmetic,
    column,
    compare,
    is_in,
    literal,
    number,
    truth,
)

_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
_COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_COMPARE |= {ast.Is: "==", ast.IsNot: "!="}
_NAMES = {
    ast.Lambda: "lambda",
    ast.Subscript: "[ ] after a name",
    ast.NamedExpr: ":=",
    ast.IfExp: "if … else",
    ast.JoinedStr: "an f-string",
    ast.Dict: "a dictionary",
    ast.Tuple: "a list of values",
    ast.List: "a list of values",
    ast.Set: "a list of values",
    ast.Pow: "**",
    ast.BitXor: "^",
    ast.MatMult: "@",
}
MAX_CONJUNCTS = 50
"""Conditions joined with ``and`` that are told apart: each is one more filter in the plan."""
_ALLOWED = (
    "column names, numbers, 'texts', == != < <= > >=, in [..], and or not, + - * / // %, brackets, and "
    + ", ".join(f".{name}()" for name in METHODS)
)


def parse_where(text: str, schema: pl.LazyFrame | pl.DataFrame | Mapping[str, pl.DataType]) -> pl.Expr:
    """Turn a condition into an expression for ``LazyFrame.filter``.

    Args:
        text: The condition, see docs/where.md.
        schema: A frame, or its column names and dtypes; for a CSV all are String.

    Returns:
        A Boolean expression; null where the condition is unknown because a cell is (`filter` drops these).

    Raises:
        UserError: It is no condition in this language, or names a column that is not there. The message
            says at which character.
    """
    if isinstance(schema, (pl.LazyFrame, pl.DataFrame)):
        schema = schema.collect_schema()
    return _Reader(text, schema).read()


def columns_of(text: str) -> list[str]:
    """Names of the columns that a condition uses, in the order in which it names them; no table is needed.

    Raises:
        UserError: It cannot be parsed.
    """
    source = Source(text)
    root = source.parse(())
    calls = [node for node in ast.walk(root) if isinstance(node, ast.Call)]
    functions = {id(call.func) for call in calls}
    found: dict[int, str] = {}
    for node in ast.walk(root):
        if isinstance(node, ast.Name) and id(node) not in functions:
            start = source.start(node)
            found[start] = source.quoted.get(start) or source.typed(node)
    for call in calls:
        named = isinstance(call.func, ast.Name) and call.func.id == "col" and len(call.args) == 1
        if named and isinstance(call.args[0], ast.Constant):
            found[source.start(call)] = str(call.args[0].value)
    return list(dict.fromkeys(found[start] for start in sorted(found)))


def conjuncts(text: str) -> list[str]:
    """The conditions that a condition joins with ``and``, as typed: a row passes if it passes all of them.

    The condition itself where one of them names no column, and so is none by itself, or where they are more
    than `MAX_CONJUNCTS`.

    Raises:
        UserError: It cannot be parsed.
    """
    source = Source(text)
    root = source.parse(())
    if not (isinstance(root, ast.BoolOp) and isinstance(root.op, ast.And)):
        return [text]
    parts = [source.typed(node) for node in root.values]
    return parts if len(parts) <= MAX_CONJUNCTS and all(map(columns_of, parts)) else [text]


class _Reader:
    """Walks the syntax tree of one condition."""

    def __init__(self, text: str, schema: Mapping[str, pl.DataType]) -> None:
        self.source = Source(text)
        self.schema = schema
        self.columns_seen = 0

    def read(self) -> pl.Expr:
        root = self.source.parse(self.schema)
        try:
            condition = truth(self._operand(root, 0))
        except Mismatch as error:
            raise self.source.error(str(error), root) from None
        if not self.columns_seen:
            raise self.source.error("it names no column", root)
        return condition

    def _operand(self, node: ast.expr, depth: int) -> Operand:
        """One node as an operand; an error names its position."""
        if depth > MAX_DEPTH:
            raise too_deep()
        walk = _WALKS.get(type(node))
        if walk is None:
            raise self._not_allowed(node)
        try:
            return walk(self, node, depth + 1)
        except Mismatch as error:
            raise self.source.error(str(error), node) from None

    def _name(self, node: ast.Name, depth: int) -> Operand:
        place = self.source.start(node)
        name = self.source.quoted.get(place)
        return self._column(self.source.typed(node) if name is None else name, node)

    def _column(self, name: str, node: ast.expr) -> Operand:
        if name not in self.schema:
            raise self.source.error(no_column(name, list(self.schema)), node)
        self.columns_seen += 1
        return column(name, self.schema[name])

    def _constant(self, node: ast.Constant, depth: int) -> Operand:
        return literal(node.value)

    def _boolop(self, node: ast.BoolOp, depth: int) -> Operand:
        parts = [truth(self._operand(value, depth)) for value in node.values]
        while len(parts) > 1:  # in pairs, so that a long chain does not become a deep tree
            parts = [_join(node.op, parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return Operand(TRUTH, parts[0], "the condition")

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Operand:
        operand = self._operand(node.operand, depth)
        if isinstance(node.op, ast.Not):
            return Operand(TRUTH, ~truth(operand), "the condition")
        if isinstance(node.op, ast.Invert):
            if operand.kind not in (TRUTH, UNKNOWN):
                raise Mismatch(f"~ binds tighter than comparisons; write not, or ~({operand.name} …)")
            return Operand(TRUTH, ~truth(operand), "the condition")
        value = number(operand)
        negative = isinstance(node.op, ast.USub)
        name = f"-{operand.name}" if negative else operand.name
        return Operand(operand.kind, -value if negative else value, name, literal=operand.literal)

    def _binop(self, node: ast.BinOp, depth: int) -> Operand:
        left, right = self._operand(node.left, depth), self._operand(node.right, depth)
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            if not {left.kind, right.kind} <= {TRUTH, UNKNOWN}:
                raise Mismatch(self._tighter(node))
            parts = truth(left), truth(right)
            joined = parts[0] & parts[1] if isinstance(node.op, ast.BitAnd) else parts[0] | parts[1]
            return Operand(TRUTH, joined, "the condition")
        if type(node.op) not in _ARITHMETIC:
            raise self._not_allowed(node, node.op)
        return arithmetic(_ARITHMETIC[type(node.op)], left, right)

    def _tighter(self, node: ast.BinOp) -> str:
        sign, word = ("&", "and") if isinstance(node.op, ast.BitAnd) else ("|", "or")
        return (
            f"{sign} binds tighter than comparisons; write {word}, or put brackets round both sides: "
            f"(…) {sign} (…)"
        )

    def _compare(self, node: ast.Compare, depth: int) -> Operand:
        nodes = [node.left, *node.comparators]
        self._refuse_bare_bits(node, nodes)
        parts = []
        for left, sign, right in zip(nodes, node.ops, node.comparators, strict=False):
            subject = self._operand(left, depth)
            if isinstance(sign, (ast.In, ast.NotIn)):
                found = is_in(subject, self._choices(right))
                parts.append(found if isinstance(sign, ast.In) else ~found)
                continue
            if isinstance(sign, (ast.Is, ast.IsNot)) and not _is_none(right):
                raise Mismatch("is goes with None only; write ==")
            parts.append(compare(_COMPARE[type(sign)], subject, self._operand(right, depth)))
        while len(parts) > 1:
            parts = [_join(ast.And(), parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return Operand(TRUTH, parts[0], "the condition")

    def _refuse_bare_bits(self, node: ast.Compare, nodes: list[ast.expr]) -> None:
        """`a == b & c` is `a == (b & c)` for Python and `(a == b) & c` for pandas.query: say it clearly."""
        before = self.source.start(node)
        for operand in nodes:
            if (
                isinstance(operand, ast.BinOp)
                and isinstance(operand.op, (ast.BitAnd, ast.BitOr))
                and "(" not in self.source.text[before : self.source.start(operand)]
            ):
                raise self.source.error(self._tighter(operand), operand)
            before = self.source.end(operand)

    def _choices(self, node: ast.expr) -> list[Any]:
        if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            hint = f"; for a part of a text write {self.source.typed(node)}.contains('…')"
            raise self.source.error(
                f"in takes a list: in [1, 2]{hint if isinstance(node, ast.Name) else ''}", node
            )
        return [self._literal(choice) for choice in node.elts]

    def _literal(self, node: ast.expr) -> Any:
        """The value of a node that is written out; a minus before a number belongs to it."""
        inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
        numeric = isinstance(inner, ast.Constant) and type(inner.value) in (int, float)
        if not isinstance(inner, ast.Constant) or (inner is not node and not numeric):
            raise self.source.error(
                "here goes a value that is written out: a number, a text, True or False", inner
            )
        try:
            literal(inner.value)
        except Mismatch as error:
            raise self.source.error(str(error), inner) from None
        return ast.literal_eval(node)

    def _call(self, node: ast.Call, depth: int) -> Operand:
        if isinstance(node.func, ast.Name):
            return self._function(node, node.func, depth)
        if not isinstance(node.func, ast.Attribute):
            raise self._not_allowed(node)
        subject, table = node.func.value, METHODS
        if isinstance(subject, ast.Attribute) and subject.attr == "str":
            subject, table = subject.value, TEXT_METHODS
        if node.func.attr not in table:
            raise self._unknown(f".{node.func.attr}()", [f".{name}()" for name in table], node)
        return self._apply(table[node.func.attr], self._operand(subject, depth), node, node.args, depth)

    def _function(self, node: ast.Call, called: ast.Name, depth: int) -> Operand:
        if called.id == "col" and len(node.args) == 1 and not node.keywords:
            name = self._literal(node.args[0])
            return self._column(name if isinstance(name, str) else str(name), node.args[0])
        if called.id not in FUNCTIONS:
            raise self._unknown(f"{called.id}()", [f"{name}()" for name in ("col", *FUNCTIONS)], node)
        if not node.args:
            raise self.source.error(f"{called.id}() takes a column", node)
        subject = self._operand(node.args[0], depth)
        return self._apply(FUNCTIONS[called.id], subject, node, node.args[1:], depth)

    def _apply(
        self, method: Method, subject: Operand, node: ast.Call, args: list[ast.expr], depth: int
    ) -> Operand:
        """Call a method of the table with the arguments that the condition gives it."""
        signature = inspect.signature(method)
        keywords = {ARGUMENT_NAMES.get(k.arg, k.arg): k.value for k in node.keywords if k.arg}
        try:
            bound = signature.bind(subject, *args, **keywords)
        except TypeError as error:
            raise self.source.error(f"{self._called(node)}: {error}", node) from None
        if len(keywords) < len(node.keywords):
            raise self.source.error(f"{self._called(node)}: ** cannot be used here", node)
        for name, value in list(bound.arguments.items())[1:]:
            bound.arguments[name] = self._argument(name, value, node, depth)
        return method(*bound.args, **bound.kwargs)

    def _argument(self, name: str, node: ast.expr, call: ast.Call, depth: int) -> Any:
        if name in OPERAND_ARGUMENTS:
            return self._operand(node, depth)
        expected = ARGUMENT_TYPES[name]
        value = self._choices(node) if expected is list else self._literal(node)
        if type(value) is not expected:
            kind = {str: "a text", bool: "True or False", int: "a whole number"}[expected]
            raise self.source.error(f"{self._called(call)}: {name} must be {kind}", node)
        return value

    def _attribute(self, node: ast.Attribute, depth: int) -> Operand:
        if node.attr in METHODS:
            raise self.source.error(f"write .{node.attr}() with brackets", node)
        raise self._unknown(f".{node.attr}", [f".{name}()" for name in METHODS], node)

    def _called(self, node: ast.Call) -> str:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else self.source.typed(node.func)
        return f"{name}()"

    def _unknown(self, name: str, known: list[str], node: ast.expr) -> UserError:
        return self.source.error(f"{name} is not known here; there are {', '.join(known)}", node)

    def _not_allowed(self, node: ast.expr, operator: ast.AST | None = None) -> UserError:
        what = _NAMES.get(type(operator or node), "this")
        return self.source.error(f"{what} cannot be used here; there are {_ALLOWED}", node)


def _join(op: ast.boolop, parts: list[pl.Expr]) -> pl.Expr:
    if len(parts) == 1:
        return parts[0]
    return parts[0] & parts[1] if isinstance(op, ast.And) else parts[0] | parts[1]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


_WALKS: dict[type[ast.expr], Callable[[_Reader, Any, int], Operand]] = {
    ast.Name: _Reader._name,
    ast.Constant: _Reader._constant,
    ast.BoolOp: _Reader._boolop,
    ast.UnaryOp: _Reader._unaryop,
    ast.BinOp: _Reader._binop,
    ast.Compare: _Reader._compare,
    ast.Call: _Reader._call,
    ast.Attribute: _Reader._attribute,
}
"""Every kind of node that a condition may have."""
