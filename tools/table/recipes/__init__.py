"""Recipes: the thresholds of a published system as a sequence of conditions, each with its source.

A recipe is a TOML file. Those in this folder are known by name; any other is given by its path::

    [recipe]
    title = "what it is"
    source = "paper or repository"     # of every step that names none
    kept = "what the source says was left"

    [[step]]
    name = "aesthetics"
    threshold = ">= 4.5"               # as the source states it
    where = "aes >= 4.5"               # the language of tools.table.where, see docs/where.md
    source = "Table 4"
    scale = "LAION V2"                 # what the number measures
    note = "what to keep in mind"

    [[step]]
    name = "similarity of frames"
    threshold = ">= 0.90"
    left_out = "why no column of this toolkit stands for it"

A step has either ``where`` or ``left_out``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.toml_files import read_toml
from tools.columns import COLUMNS
from tools.errors import UserError

if TYPE_CHECKING:
    import polars as pl

FOLDER = Path(__file__).parent
"""Where the recipes that are known by name are."""


@dataclass(frozen=True)
class RecipeStep:
    """One threshold of a recipe.

    Attributes:
        name: What is judged, unique in the recipe.
        threshold: The bound as the source states it.
        where: The condition that rows must meet; empty for a step that is left out.
        left_out: Why there is no condition; empty for a step that is applied.
        source: Paper and section, or file and line, that states the threshold.
        scale: What the number measures: model, unit, frames.
        note: In what the column differs from the measure of the source.
    """

    name: str
    threshold: str = ""
    where: str = ""
    left_out: str = ""
    source: str = ""
    scale: str = ""
    note: str = ""

    @property
    def columns(self) -> list[str]:
        """Columns that the condition uses."""
        from tools.table.where import columns_of

        return columns_of(self.where) if self.where else []

    def condition(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """The condition for a table with these columns. Where a cell that it uses is empty, no row passes.

        Raises:
            UserError: It names a column that is not there, or is no condition.
        """
        from tools.table.where import parse_where

        try:
            return parse_where(self.where, schema)
        except UserError as error:
            raise UserError(f"step '{self.name}': where: {_plain(error)}") from None

    @property
    def details(self) -> str:
        """Source, scale and note in one line."""
        return "; ".join(part for part in (self.source, self.scale, self.note) if part)


@dataclass(frozen=True)
class Recipe:
    """A sequence of conditions with their sources.

    Attributes:
        given: The name or the path by which it was asked for, which is what `str` gives.
        title: What it is.
        source: Paper or repository.
        kept: What the source says was left; empty when it does not say.
        steps: In the order in which they are applied.
    """

    given: str
    title: str
    source: str
    kept: str
    steps: tuple[RecipeStep, ...]

    def __str__(self) -> str:
        return self.given

    def __format__(self, spec: str) -> str:
        """Its name, as it stands in names of outputs."""
        return Path(self.given).stem if _is_file(self.given) else self.given

    @property
    def applied(self) -> list[RecipeStep]:
        """Steps with a condition."""
        return [step for step in self.steps if step.where]

    @property
    def left_out(self) -> list[RecipeStep]:
        """Steps without one."""
        return [step for step in self.steps if step.left_out]

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Check that every condition can be applied to a table with these columns.

        Raises:
            UserError: Columns are missing: names them all, the steps that need them, and the commands that
                add them; or a condition does not fit the type of its column.
        """
        missing: dict[str, list[str]] = {}
        for step in self.applied:
            for column in step.columns:
                if column not in schema:
                    missing.setdefault(column, []).append(f"'{step.name}'")
        if missing:
            columns = ", ".join(_missing(column, steps) for column, steps in missing.items())
            raise UserError(f"--recipe {self}: the table lacks {columns}")
        for step in self.applied:
            try:
                step.condition(schema)
            except UserError as error:
                raise UserError(f"--recipe {self}: {error}") from None


def _missing(column: str, steps: list[str]) -> str:
    maker = COLUMNS[column].made_by if column in COLUMNS else ""
    adds = f", `python -m {maker}` adds it" if maker else ""
    return f"'{column}' (for {' and '.join(steps)}{adds})"


def recipe_names() -> list[str]:
    """Names of the recipes of the toolkit."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def known_recipes() -> Iterator[Recipe]:
    """The recipes of the toolkit."""
    return map(load_recipe, recipe_names())


def load_recipe(given: str | os.PathLike[str]) -> Recipe:
    """Read a recipe.

    Args:
        given: Name of one of the toolkit's, or path of a ``.toml`` file.

    Raises:
        UserError: No such recipe, or its file is not as it must be; says which step and what.
    """
    given = os.fspath(given)
    names = recipe_names()
    if given not in names and not _is_file(given):
        close = difflib.get_close_matches(given, names, n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise UserError(
            f"--recipe: Invalid recipe ({given}). Supported values are {', '.join(names)}, or a file "
            f"NAME.toml.{meant}"
        )
    path = FOLDER / f"{given}.toml" if given in names else Path(given)
    return _Reading(path, given).recipe()


def _is_file(given: str) -> bool:
    return given.endswith(".toml") or os.sep in given


def _plain(error: UserError) -> str:
    return str(error).removeprefix("--where: ")


class _Reading:
    """The reading of one file; every error of it names the file, and the step."""

    def __init__(self, path: Path, given: str) -> None:
        self.path = path
        self.given = given

    def recipe(self) -> Recipe:
        document = self._document()
        self._refuse_unknown(document, {"recipe", "step"}, "")
        head = self._texts(document.get("recipe"), {"title", "source", "kept"}, "[recipe]")
        if not head.get("title"):
            raise self._error("[recipe] has no title")
        raw = document.get("step")
        if not isinstance(raw, list) or not raw:
            raise self._error("it has no [[step]]")
        source = head.get("source", "")
        steps = tuple(self._step(one, number, source) for number, one in enumerate(raw, 1))
        names = [step.name for step in steps]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise self._error(f"two steps are named '{twice}'")
        if not any(step.where for step in steps):
            raise self._error("no step has a condition (where)")
        return Recipe(self.given, head["title"], source, head.get("kept", ""), steps)

    def _document(self) -> dict[str, Any]:
        try:
            return read_toml(self.path)
        except ValueError as error:
            raise self._error(str(error)) from None

    def _step(self, raw: Any, number: int, source: str) -> RecipeStep:
        where = f"step {number}"
        values = self._texts(raw, {one.name for one in fields(RecipeStep)}, where)
        if not values.get("name"):
            raise self._error(f"{where} has no name")
        if bool(values.get("where")) == bool(values.get("left_out")):
            raise self._error(
                f"step '{values['name']}': give either where, a condition, or left_out, the reason"
            )
        step = RecipeStep(**{**values, "source": values.get("source") or source})
        try:
            columns = step.columns
        except UserError as error:
            raise self._error(f"step '{step.name}': where: {_plain(error)}") from None
        if (
            set(columns) <= COLUMNS.keys() and step.where
        ):  # a column of the user's own has its type in the table
            try:
                step.condition({column: COLUMNS[column].dtype() for column in columns})
            except UserError as error:
                raise self._error(str(error)) from None
        return step

    def _texts(self, raw: Any, known: set[str], where: str) -> dict[str, str]:
        """A table of TOML whose values are texts."""
        if not isinstance(raw, dict):
            raise self._error(f"{where} is missing, or no table")
        self._refuse_unknown(raw, known, f"{where}: ")
        for key, value in raw.items():
            if not isinstance(value, str):
                raise self._error(f"{where}: {key} must be a text in quotes, not {value}")
        # A condition keeps its lines: they may end in a comment.
        return {
            key: value.strip() if key == "where" else " ".join(value.split()) for key, value in raw.items()
        }

    def _refuse_unknown(self, raw: Mapping[str, Any], known: set[str], where: str) -> None:
        unknown = [key for key in raw if key not in known]
        if unknown:
            raise self._error(
                f"{where}Invalid key ({unknown[0]}). Supported values are {', '.join(sorted(known))}."
            )

    def _error(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}")
