"""The operations of datautil: one object each, from which parser, order, output name and help are made.

To add one, write an `Operation` in the module of its kind and put its name into `EXECUTION_ORDER`; if its
suffix stands elsewhere in output names than where it is carried out, also into `SUFFIX_ORDER`.
"""

from __future__ import annotations

from tools.datasets.operations import filters, order, probing
from tools.datasets.operations.base import Context, Operation

EXECUTION_ORDER: tuple[str, ...] = (
    "ext",  # before info: a look at the disk costs less than reading a file
    "info",
    "video_info",
    "sort",
    "sort_ascending",
    "filesize",
    "fsmax",
    "fmin",
    "fmax",
    "fpsmax",
    "hwmax",
    "aesmin",
    "matchmin",
    "flowmin",
    "shuffle",
    "head",
)
"""Order in which operations are carried out, whatever the order of the flags."""

SUFFIX_ORDER: tuple[str, ...] = ("sort", "sort_ascending", "info", "video_info", "ext", *EXECUTION_ORDER[5:])
"""Order in which suffixes stand in an output's name."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation for module in (probing, order, filters) for operation in module.OPERATIONS
}
"""Every operation by name."""

__all__ = ["EXECUTION_ORDER", "OPERATIONS", "SUFFIX_ORDER", "Context", "Operation", "name_suffix"]


def name_suffix(values: dict[str, object]) -> str:
    """What the name of an output gets for these operations and their values."""
    return "".join(OPERATIONS[name].suffix_for(values[name]) for name in SUFFIX_ORDER if name in values)
