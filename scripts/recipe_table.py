#!/usr/bin/env python3
"""Write the table of recipes in docs/thresholds.md, from the files in tools/table/recipes.

Usage: python scripts/recipe_table.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from page_parts import DOCS, markdown_table, with_part, write_or_check

from tools.table.recipes import Recipe, known_recipes

PAGE = DOCS / "thresholds.md"


def row(recipe: Recipe) -> tuple[str, ...]:
    """One recipe as a row of the table."""
    conditions = "<br>".join(f"`{step.where}`" for step in recipe.applied)
    left_out = "<br>".join(f"{step.name} {step.threshold}".strip() for step in recipe.left_out)
    source = f"{recipe.title} ({recipe.source})"
    kept = f"{source}; kept {recipe.kept}" if recipe.kept else source
    return f"`{recipe}`", conditions, left_out.replace("<=", "≤").replace(">=", "≥"), kept


def texts() -> dict[Path, str]:
    """The page with its table of recipes as the files have them."""
    table = markdown_table(("recipe", "conditions", "left out", "source"), map(row, known_recipes()))
    return {PAGE: with_part(PAGE.read_text(), "recipes", table)}


if __name__ == "__main__":
    sys.exit(write_or_check(texts))
