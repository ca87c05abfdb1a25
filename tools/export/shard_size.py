"""Sizes of shards as they are typed: 1GB, 512MiB."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"": 1, "b": 1} | {
    f"{letter}{end}": base ** (power + 1)
    for base, end in ((1000, "b"), (1000, ""), (1024, "ib"))
    for power, letter in enumerate("kmgt")
}
LEAST, MOST = 1000, 10**13
"""Bytes: below, every clip has a shard of its own; above, a shard is a whole disk."""


def shard_size(text: str) -> int:
    """Bytes of a shard.

    Args:
        text: A number and a unit: ``1GB`` is 10^9 bytes, ``1GiB`` 2^30; ``1.5 g`` and ``500000000`` as well.

    Raises:
        ValueError: It is no such size, or one that no shard should have.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if not found or found[2] not in _UNITS:
        raise ValueError(f"must be a size such as 1GB or 512MiB, not {text}")
    size = int(Decimal(found[1]) * _UNITS[found[2]])
    if not LEAST <= size <= MOST:
        raise ValueError(f"must lie between 1KB and 10TB, not {text}")
    return size
