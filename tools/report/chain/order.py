"""Order the tables of a folder: which was made from which, and the chain that leads furthest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.report.chain.made_by import is_suffixed
from tools.report.chain.matching import Keys, match
from tools.report.chain.tables import ChainTable, is_half
from tools.stage.output import read_receipt
from tools.table import table_extension

_COMPARED = 5
"""With so many older tables a table is compared that neither receipt nor name connects with another."""


def longest_chain(
    tables: Sequence[ChainTable], keys: Callable[[ChainTable], Keys], digest: Callable[[Path], str]
) -> tuple[list[ChainTable], list[ChainTable]]:
    """The chain with the most steps; of several the one whose last table is the newest.

    What a table was made from is told by its receipt, else by its name (`a_info.csv` was made from
    `a.csv`), else by its time: the newest of the older tables that has rows in common with it.

    Args:
        tables: Tables of a folder.
        keys: Keys of a table's rows, see `tools.report.chain.matching`.
        digest: SHA-256 of a file.

    Returns:
        The tables of the chain, in the order in which they were made; and the last tables of all other
        branches. Halves of a table are neither, unless another table was made from them.
    """
    parents = _Parents(tables, keys, digest).found
    made_from = set(parents.values())
    ends = [table for table in tables if table not in made_from and not is_half(table)] or list(tables)

    def depth(table: ChainTable) -> int:
        return len(_ancestors(table, parents))

    last = max(ends, key=lambda table: (depth(table), table.modified, _natural(table)))
    return _ancestors(last, parents)[::-1], [table for table in ends if table is not last]


def _ancestors(table: ChainTable, parents: dict[ChainTable, ChainTable]) -> list[ChainTable]:
    """A table, what it was made from, and so on."""
    line = [table]
    while (parent := parents.get(line[-1])) is not None:
        line.append(parent)
    return line


def _natural(table: ChainTable) -> list[tuple[int, str]]:
    pieces = re.split(r"(\d+)", table.path.name)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


class _Parents:
    """What each table was made from.

    Attributes:
        found: Table to the table that it was made from; those made from none of the others are not there.
    """

    def __init__(
        self,
        tables: Sequence[ChainTable],
        keys: Callable[[ChainTable], Keys],
        digest: Callable[[Path], str],
    ) -> None:
        self._tables = sorted(tables, key=lambda table: (table.modified, _natural(table)))
        self._keys = keys
        self._digest = digest
        self.found: dict[ChainTable, ChainTable] = {}
        for table in self._tables:
            self._connect(table, self._by_receipt(table) or self._by_name(table))
        for table in self._tables:
            if table not in self.found and not is_half(table):
                self._connect(table, self._by_time(table))

    def _connect(self, table: ChainTable, parent: ChainTable | None) -> None:
        # Two tables of the same bytes could each be the other's input.
        if parent is not None and table not in _ancestors(parent, self.found):
            self.found[table] = parent

    def _by_receipt(self, table: ChainTable) -> ChainTable | None:
        receipt = read_receipt(table.files[0])
        if receipt is None:
            return None
        named = self._by_name(table)
        others = [other for other in self._tables if other not in (table, named) and len(other.files) == 1]
        for other in [*([named] if named and len(named.files) == 1 else []), *others]:
            if self._digest(other.files[0]) == receipt["input"]:
                return other
        return None

    def _by_name(self, table: ChainTable) -> ChainTable | None:
        named = [other for other in self._tables if is_suffixed(table.stem, other.stem)]
        # Of two tables of the same stem the one in the same format, or else the newer one.
        extension = table_extension(table.path)
        return max(
            named,
            key=lambda other: (len(other.stem), table_extension(other.path) == extension, other.modified),
            default=None,
        )

    def _by_time(self, table: ChainTable) -> ChainTable | None:
        older = self._tables[: self._tables.index(table)]
        wholes = [other for other in older if not is_half(other)]
        return next((other for other in wholes[::-1][:_COMPARED] if self._share_rows(other, table)), None)

    def _share_rows(self, before: ChainTable, after: ChainTable) -> bool:
        earlier, later = self._keys(before), self._keys(after)
        found = match(earlier, later)
        if found is None or not found.kept:
            return False
        # Numbers as ids are the same in tables that have nothing to do with each other.
        return found.column != "id" or 2 * found.kept >= min(earlier.rows, later.rows)
