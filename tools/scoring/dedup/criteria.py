"""What makes the better of two copies: names of criteria, for the command line too."""

from __future__ import annotations

from collections.abc import Sequence

from tools.errors import UserError

KNOWN = ("resolution", "frames", "filesize", "first")
"""Criteria that need no column: they are known from the fingerprint, or the table's order."""
KEEP = ("resolution", "frames", "sharpness", "filesize")
"""What makes the better of two copies, in this order, when nothing else is said.

docs/dedup.md has the measurements that it rests on."""
LESS_IS_BETTER = frozenset(
    {"niqe", "blockiness", "upscaled", "black_bars", "static_ratio", "interlaced", "logo"}
)
"""Columns whose smaller numbers are the better ones."""


def check_keep(keep: Sequence[str], columns: Sequence[str]) -> None:
    """Check criteria before any file is read.

    Args:
        keep: The criteria.
        columns: Columns of the table.

    Raises:
        UserError: There is no such criterion.
    """
    if tuple(keep) != KEEP:  # of the default, what the table lacks is left out
        for name in keep:
            if name not in (*KNOWN, *columns):
                there = ", ".join(dict.fromkeys([*KNOWN, *columns]))
                raise UserError(f"--keep {name}: no such column (there are: {there})")
