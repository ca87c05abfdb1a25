"""Lists and dicts that stand as text in the cells of a table."""

from __future__ import annotations

import ast
import json
from typing import Any


def parsed(cell: Any, kind: type) -> Any:
    """A list or dict that came as text, through a CSV: as JSON, or as Python prints it (so does pandas).

    Args:
        cell: Anything.
        kind: list or dict.

    Returns:
        The value of a text that stands for such a value; any other cell as it is.
    """
    if not isinstance(cell, str) or cell.lstrip()[:1] not in ("[", "{"):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, kind):
            return value
    return cell
