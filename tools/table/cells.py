"""Cells of a table: lists and dicts as text, and text that cannot be encoded."""

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
        The value that a text represents; any other cell unchanged.
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


def whole_characters(text: str) -> str:
    """A text with U+FFFD for each half of a surrogate pair, which is not a character."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
