"""Operations that remove rows by a number or a word in a column, or by an expression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tools.columns import COLUMNS
from tools.datasets.operations.base import TRUTHS, Context, Number, Operation, Part, Phase, Split, split_by

if TYPE_CHECKING:
    import polars as pl

    from tools.table.recipes import Recipe, RecipeStep

_SHORT = {
    "f": "num_frames",
    "fps": "fps",
    "hw": "resolution",
    "fs": "filesize",
    "duration": "duration",
    "aspect": "aspect_ratio",
}
"""What thresholds on columns that are no scores are called: the known names, and two of their kind."""
_COMPUTED = {"resolution": "height x width when the column is not there", "filesize": "looked up when not"}
_UNKNOWN_STAYS = {"fps": "images have none, and stay"}


def _threshold(short: str, column: str, bound: str) -> Operation:
    sign = ">=" if bound == "min" else "<="
    remark = _COMPUTED.get(column) or _UNKNOWN_STAYS.get(column) or "empty cells go"

    def apply(frame: pl.LazyFrame, value: Number, context: Context) -> Split:
        number = _number(frame, column, context, f"{context.source}: --{short}{bound}")
        # NaN is above all numbers for Polars. Making it null would cast a column of texts three times.
        keep = number.is_between(value, math.inf) if bound == "min" else number <= value
        if column == "filesize":
            from tools.datasets.operations.files import unanswered

            keep = keep | unanswered(context)
        return split_by(frame, keep | number.is_nan().fill_null(True) if column in _UNKNOWN_STAYS else keep)

    return Operation(
        f"{short}{bound}",
        f"keep rows with {column} {sign} X ({remark})",
        apply,
        Phase.BOUNDS,
        f"_{short}{bound}{{}}",
        parse=Number,
        metavar="X",
        requires=() if column == "resolution" else ("path",) if column == "filesize" else (column,),
        opens_files=column == "filesize",
    )


def _number(frame: pl.LazyFrame, column: str, context: Context, caller: str) -> pl.Expr:
    """The column as numbers, with its NaN; computed if it is missing."""
    import polars as pl

    from tools.datasets.operations.files import filesize
    from tools.table import require_columns

    def numbers(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Float64, strict=False)

    if column in frame.collect_schema():
        return numbers(column)
    if column == "filesize":
        return filesize(frame, context)
    require_columns(frame, ("height", "width"), caller)
    return numbers("height") * numbers("width")


def _check_where(text: str, schema: Mapping[str, pl.DataType]) -> None:
    from tools.table.where import parse_where

    parse_where(text, schema)


def _where(frame: pl.LazyFrame, text: str, context: Context) -> Split:
    from tools.table.where import parse_where

    return split_by(frame, parse_where(text, frame))


def _where_parts(text: str) -> list[Part]:
    """One for each of the conditions that ``and`` joins, so that the user sees which of them removes what."""
    from tools.table.where import conjuncts

    return [Part(f"--where {' '.join(part.split())}", part) for part in conjuncts(text)]


def _read_recipe(given: str) -> Recipe:
    from tools.table.recipes import load_recipe

    return load_recipe(given)


def _recipe_parts(recipe: Recipe) -> list[Part]:
    return [
        Part(f"--recipe {recipe}: {step.name}: {' '.join(step.where.split())}", step, step.details)
        for step in recipe.applied
    ]


def _recipe_remarks(recipe: Recipe) -> list[str]:
    """What a recipe is, what its source kept, and what it says that is not applied here."""
    kept = f"; the source kept {recipe.kept}" if recipe.kept else ""
    left_out = [
        f"recipe {recipe}: left out: {step.name}{step.threshold and f' ({step.threshold})'}: {step.left_out}"
        for step in recipe.left_out
    ]
    return [f"recipe {recipe}: {recipe.title}{kept}", *left_out]


def _recipe_step(frame: pl.LazyFrame, step: RecipeStep, context: Context) -> Split:
    return split_by(frame, step.condition(frame.collect_schema()))


_COLUMNS = _SHORT | {
    name: name for name, column in COLUMNS.items() if column.score or column.filter == "bounds"
}

THRESHOLDS = tuple(
    _threshold(short, column, bound) for short, column in _COLUMNS.items() for bound in ("min", "max")
)
"""A lower and an upper bound for each size, each score and each other number that the toolkit knows."""


def threshold_examples() -> list[str]:
    """Names of thresholds for ``--help``: the known names, and the first score of each command."""
    scores = {column.made_by: name for name, column in reversed(COLUMNS.items()) if column.score}
    sizes = [short if short == column else f"{short} ({column})" for short, column in _SHORT.items()]
    return [*sizes, *(name.replace("_", "-") for name in reversed(scores.values()))]


def _one_of(name: str) -> Operation:
    truth = COLUMNS[name].kind == "Boolean"

    def parse(text: str) -> str:
        values = [value.strip().lower() for value in text.split(",")]
        if not all(values) or (truth and not {"true", "false"}.issuperset(values)):
            kind = "true or false" if truth else "a value, or several with commas between them"
            raise ValueError(f"must be {kind}, not {text}")
        return ",".join(dict.fromkeys(values))

    def apply(frame: pl.LazyFrame, values: str, context: Context) -> Split:
        import polars as pl

        text = pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase()
        return split_by(frame, text.is_in(values.split(",")))

    return Operation(
        name,
        f"keep rows whose {name} is {'true or false' if truth else 'this, or one of several (a,b)'}",
        apply,
        Phase.BOUNDS,
        f"_{name.replace('_', '-')}-{{}}",
        parse=parse,
        metavar=TRUTHS if truth else "VALUE",
        requires=(name,),
    )


VALUES = tuple(_one_of(name) for name, column in COLUMNS.items() if column.filter == "values")
"""Rows by a word: one flag for each column of words that there are few of."""

OPERATIONS = (
    *THRESHOLDS,
    *VALUES,
    Operation(
        "recipe",
        "keep rows by published thresholds",
        _recipe_step,
        Phase.EXPRESSION,
        "_recipe-{}",
        parse=_read_recipe,
        metavar="NAME|FILE",
        check=lambda recipe, schema: recipe.check(schema),
        details="--list-recipes names them; a FILE.toml of your own, see docs/thresholds.md",
        parts=_recipe_parts,
        remarks=_recipe_remarks,
    ),
    Operation(
        "where",
        "keep rows for which it is true",
        _where,
        Phase.EXPRESSION,
        "_where",
        parse=str,
        metavar="EXPRESSION",
        check=_check_where,
        parts=_where_parts,
        details='"aes >= 5 and flow.between(2, 14)", see docs/where.md',
    ),
)
