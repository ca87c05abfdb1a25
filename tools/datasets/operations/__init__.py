"""The operations of datautil: one object each, from which parser, order, output name and help are made.

To add one, write an `Operation` in the module of its kind, with its `Phase`. A filter by the
bounds or values of a column needs no operation: mark the column in `tools.columns`.
"""

from __future__ import annotations

from collections.abc import Collection

from tools.datasets.operations import amounts, balance, columns, files, filters, order, paths, sets, texts
from tools.datasets.operations.base import Context, Operation, Phase, Split


def execution_order(operations: Collection[Operation]) -> tuple[str, ...]:
    """Names in the order of their phases; one with a second phase (`Operation.again`) is there twice."""
    first = [(one.phase, one.name) for one in operations]
    again = [(one.again, one.name) for one in operations if one.again is not None]
    return tuple(name for _, name in sorted([*first, *again], key=lambda one: one[0]))


_ALL = [
    one
    for module in (paths, files, texts, sets, filters, amounts, balance, order, columns)
    for one in module.OPERATIONS
]

EXECUTION_ORDER: tuple[str, ...] = execution_order(_ALL)
"""Order in which operations are carried out, whatever the order of the flags."""

OPERATIONS: dict[str, Operation] = {one.name: one for one in sorted(_ALL, key=lambda one: one.phase)}
"""Every operation by name, in the order in which it is carried out first."""

_NAMED_FIRST = (
    "difference",
    "union",
    "sort",
    "sort_ascending",
    "info",
    "video_info",
    "ext",
    "load_caption",
    "relpath",
    "abspath",
    "remove_empty_path",
    "remove_empty_caption",
    "remove_url",
    "lang",
    "remove_path_duplication",
    "remove_text_duplication",
    "path_subset",
    "refine_llm_caption",
    "clean_caption",
    "merge_cmotion",
    "count_num_token",
    "append_text",
    "score_to_text",
    "update_text",
    "filesize",
    "fsmax",
    "fmin",
    "fmax",
    "fpsmax",
    "hwmax",
    "aesmin",
    "matchmin",
    "flowmin",
)
"""Order of suffixes in Open-Sora's datautil."""
_NAMED_NEXT = (
    *sorted({operation.name for operation in filters.THRESHOLDS} - set(_NAMED_FIRST)),
    *(operation.name for operation in filters.VALUES),
    "recipe",
    "where",
    "caption_ok",
    "img_only",
    "vid_only",
)
_NAMED_LAST = ("keep_hours", "keep_fraction", "keep_rows", "balance", "shuffle", "sample", "head")


def suffix_order(operations: Collection[Operation]) -> tuple[str, ...]:
    """Names of the operations with a suffix, in the order of suffixes; new ones precede `_NAMED_LAST`."""
    named = {one.name for one in operations if one.suffix}
    new = named - {*_NAMED_FIRST, *_NAMED_NEXT, *_NAMED_LAST}
    order = (*_NAMED_FIRST, *_NAMED_NEXT, *(one.name for one in operations if one.name in new), *_NAMED_LAST)
    return tuple(name for name in order if name in named)


SUFFIX_ORDER: tuple[str, ...] = suffix_order(OPERATIONS.values())
"""Order of suffixes in an output's name: that of Open-Sora, so that known names stay the same."""

__all__ = [
    "EXECUTION_ORDER",
    "OPERATIONS",
    "SUFFIX_ORDER",
    "Context",
    "Operation",
    "Phase",
    "Split",
    "name_suffix",
]


def name_suffix(values: dict[str, object]) -> str:
    """What the name of an output gets for these operations and their values."""
    return "".join(OPERATIONS[name].suffix_for(values[name]) for name in SUFFIX_ORDER if name in values)
