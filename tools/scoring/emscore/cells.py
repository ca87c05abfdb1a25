"""The captions in a cell of a table: one, or several."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tools.table.cells import parsed


def cell_texts(cell: Any) -> list[str]:
    """The texts of a cell: one, a list of them, or a list written as JSON (or as Python writes it).

    Args:
        cell: Text, None, NaN, or any sequence of these.

    Returns:
        The texts that say something; empty for a cell without one.

    Raises:
        ValueError: An item of the list is no text.
    """
    if isinstance(cell, str):
        cell = _written_list(cell)
    if isinstance(cell, str) or not hasattr(cell, "__iter__"):
        cell = [cell]
    texts = [item for item in cell if not _missing(item)]
    if wrong := [item for item in texts if not isinstance(item, str)]:
        raise ValueError(f"{wrong[0]!r} is no text")
    return [text for text in texts if text.strip()]


def _written_list(text: str) -> Any:
    """A list of texts where the text is one, else the text."""
    value = parsed(text, list)
    if isinstance(value, list) and all(item is None or isinstance(item, str) for item in value):
        return value
    return text


def _missing(item: Any) -> bool:
    return item is None or (isinstance(item, (float, np.floating)) and math.isnan(item))
