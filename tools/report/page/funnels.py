"""The chain of tables and recipes, as the page shows them."""

from __future__ import annotations

from typing import Any

from tools.report.chain import Chain, ChainStep
from tools.report.page.condition_bounds import bounds_of, joined
from tools.report.page.contents import Contents
from tools.report.recipe_overlay import Overlay
from tools.report.text import change_text, datautil_command
from tools.typed_names import as_typed


def chain_data(chain: Chain) -> dict[str, Any]:
    """A chain as ``chain.js`` reads it: `Chain.as_dict` with a ``text`` of every change."""
    data = chain.as_dict()
    for step, shown in zip(chain.steps, data["steps"], strict=True):
        del shown["options"]
        shown["text"] = change_text(step.change) if step.change is not None else ""
    return data


def recipe_data(overlay: Overlay, step: ChainStep, contents: Contents) -> dict[str, Any]:
    """A recipe as ``recipes.js`` reads it.

    Args:
        overlay: What it keeps of the table.
        step: The table.
        contents: The columns of the page.

    Returns:
        `Overlay.as_dict`, and the ``command`` that keeps the same rows; the ``bounds`` that do so, column and
        bound; and ``unset``, the names of steps that are applied but are no bounds of one column each.
    """
    data = overlay.as_dict()
    bounds, unset = [], []
    for one, shown in zip(overlay.steps, data["steps"], strict=True):
        shown["skipped"] = as_typed(one.skipped)
        shown["missing"] = {name: as_typed(command) for name, command in (one.missing or {}).items()}
        if one.skipped:
            continue
        found = bounds_of(one.where, contents)
        if found is None:
            unset.append(one.name)
        else:
            bounds.append(found)
    data["bounds"] = [[name, bound.as_dict()] for name, bound in joined(bounds).items()]
    data["unset"] = unset
    data["command"] = datautil_command(overlay, step) if overlay.applied else ""
    return data
