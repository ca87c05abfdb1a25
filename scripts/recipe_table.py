#!/usr/bin/env python3
"""Write the table of recipes in docs/thresholds.md, from the files in tools/table/recipes.

Usage: python scripts/recipe_table.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.table.recipes import Recipe, known_recipes  # noqa: E402

PAGE = ROOT / "docs" / "thresholds.md"
_TABLE = re.compile(r"<!-- recipes -->\n.*?<!-- /recipes -->", re.DOTALL)


def row(recipe: Recipe) -> str:
    """One recipe as a row of the table."""
    conditions = "<br>".join(f"`{step.where}`" for step in recipe.applied)
    left_out = "<br>".join(f"{step.name} {step.threshold}".strip() for step in recipe.left_out)
    source = f"{recipe.title} ({recipe.source})"
    kept = f"{source}; kept {recipe.kept}" if recipe.kept else source
    return f"| `{recipe}` | {conditions} | {left_out.replace('<=', '≤').replace('>=', '≥')} | {kept} |"


def with_table(page: str) -> str:
    """A page with its table of recipes as the files have them."""
    lines = ["<!-- recipes -->", "", "| recipe | conditions | left out | source |", "|---|---|---|---|"]
    return _TABLE.sub(
        lambda _: "\n".join([*lines, *map(row, known_recipes()), "", "<!-- /recipes -->"]), page
    )


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
