"""The operations of datautil: one object each, from which parser, order, output name and help are made.

To add one, write an `Operation` in the module of its kind and put its name into `EXECUTION_ORDER` and
`SUFFIX_ORDER`. Flags that choose rows by a column need neither: mark the column in `tools.columns`.
"""

from __future__ import annotations

from tools.datasets.operations import columns, files, filters, order, paths, sets, texts
from tools.datasets.operations.base import Context, Operation, Split

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for module in (sets, texts, paths, files, filters, order, columns)
    for operation in module.OPERATIONS
}
"""Every operation by name."""

_THRESHOLDS = tuple(operation.name for operation in filters.THRESHOLDS)
_VALUES = tuple(operation.name for operation in filters.VALUES)

EXECUTION_ORDER: tuple[str, ...] = (
    "difference",
    "intersection",
    "union",
    "load_caption",
    # Tests of the cells alone come first, then those that look at the disk or at a language.
    "remove_empty_path",
    "remove_empty_caption",
    "path_subset",
    "img_only",
    "vid_only",
    "caption_ok",
    "remove_url",
    "ext",
    "lang",
    "remove_path_duplication",
    # What opens files, before path is rewritten.
    "info",
    "video_info",
    "filesize",
    *_THRESHOLDS,
    *_VALUES,
    "relpath",
    "abspath",
    "path_to_id",
    # Captions: clean what was written before adding what shall stay as it is; count last.
    "refine_llm_caption",
    "clean_caption",
    "merge_cmotion",
    "append_text",
    "score_to_text",
    "update_text",
    "count_num_token",
    "remove_empty_caption",  # again: an edited caption may have become empty
    "where",
    # Of rows with the same text the first stays, which after sorting is the best.
    "sort",
    "sort_ascending",
    "remove_text_duplication",
    "shuffle",
    "sample",
    "head",
    "train_column",
    "select",
    "drop_columns",
)
"""Order in which operations are carried out, whatever the order of the flags."""

SUFFIX_ORDER: tuple[str, ...] = (
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
    *sorted(set(_THRESHOLDS) - {"fsmax", "fmin", "fmax", "fpsmax", "hwmax", "aesmin", "matchmin", "flowmin"}),
    *_VALUES,
    "where",
    "caption_ok",
    "img_only",
    "vid_only",
    "shuffle",
    "sample",
    "head",
)
"""Order in which suffixes stand in an output's name: that of Open-Sora, so that names stay the known ones."""

__all__ = ["EXECUTION_ORDER", "OPERATIONS", "SUFFIX_ORDER", "Context", "Operation", "Split", "name_suffix"]


def name_suffix(values: dict[str, object]) -> str:
    """What the name of an output gets for these operations and their values."""
    return "".join(OPERATIONS[name].suffix_for(values[name]) for name in SUFFIX_ORDER if name in values)
