"""A chain of tables: what each step from the first to the last has kept, added and lost, and why.

The tables are read one after the other; of two at a time 50 bytes a row are in memory.
"""

from __future__ import annotations

import functools
import glob
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.errors import UserError
from tools.report.chain.losses import Sources, change_between, count_failures, failures_files
from tools.report.chain.made_by import Made, made_by
from tools.report.chain.matching import Keys, match, read_keys
from tools.report.chain.order import longest_chain
from tools.report.chain.results import Chain, ChainStep, Change, FailureKind, Reason
from tools.report.chain.tables import ChainTable, Found, rejected_beside, tables_among, tables_in
from tools.stage.provenance import digest_file
from tools.table import expand_inputs

__all__ = ["Chain", "ChainStep", "Change", "FailureKind", "Reason", "read_chain"]


def read_chain(inputs: Sequence[str]) -> Chain:
    """Read tables that were made one from the other.

    Args:
        inputs: Tables in the order in which they were made; or one folder, or one pattern, whose tables are
            put in order. Parts of a table are one step. Failures files, and beside other tables those of
            rejected rows, are no steps: they say why rows were lost.

    Returns:
        The chain.

    Raises:
        UserError: A table is missing, named twice or cannot be read, a part is missing, or there is none.
    """
    reading = _Reading()
    folders = [Path(one) for one in inputs if Path(one).is_dir()]
    if folders and len(inputs) > 1:
        raise UserError(f"{folders[0]}: is a folder; give one folder alone, or the tables of a chain")
    if folders:
        found = tables_in(folders[0])
        if not found.tables:
            raise UserError(f"{folders[0]}: there is no table of images or videos in this folder")
        return reading.chain(*_ordered(found, reading))
    found = tables_among(expand_inputs(inputs))
    found.rejected = list(dict.fromkeys([*found.rejected, *rejected_beside(found.tables)]))
    is_pattern = len(inputs) == 1 and not Path(inputs[0]).exists() and glob.has_magic(str(inputs[0]))
    if is_pattern:
        return reading.chain(*_ordered(found, reading))
    return reading.chain(found.tables, found)


def _ordered(found: Found, reading: _Reading) -> tuple[list[ChainTable], Found]:
    tables, ends = longest_chain(found.tables, reading.keys, reading.digest)
    if ends:
        names = ", ".join(table.path.name for table in ends)
        found.notes.insert(0, f"other branches, which are not shown: {names}")
    return tables, found


class _Reading:
    """The reading of a chain; what was read of a table last is kept, as it is used for two steps."""

    def __init__(self) -> None:
        self.keys = functools.lru_cache(maxsize=4)(_keys)
        self.digest = functools.lru_cache(maxsize=None)(digest_file)

    def chain(self, tables: Sequence[ChainTable], found: Found) -> Chain:
        """The steps of tables that are in order."""
        steps = [self._step(tables[0], None, found)]
        for before, table in itertools.pairwise(tables):
            steps.append(self._step(table, before, found))
        unrelated = [
            f"{step.name}: {_unmatched(step.change)} {earlier.name}"
            for earlier, step in itertools.pairwise(steps)
            if step.change and not step.change.matched_by and step.rows and earlier.rows
        ]
        return Chain(tuple(steps), (*unrelated, *found.notes))

    def _step(self, table: ChainTable, before: ChainTable | None, found: Found) -> ChainStep:
        keys = self.keys(table)
        failures = failures_files(table.path, table.ranks)
        made: Made = made_by(table.files[0], table.stem, before.stem if before else "", self.digest)
        change, earlier = None, ()
        if before is not None:
            earlier = before.columns
            was = self.keys(before)
            sources = Sources(failures, found.rejected, made.operation)
            change = change_between(was, keys, match(was, keys), sources)
        return ChainStep(
            path=table.path,
            name=table.path.name,
            files=table.files,
            rows=keys.rows,
            hours=float(np.nansum(keys.seconds)) / 3600,
            unknown_length=int(np.isnan(keys.seconds).sum()),
            operation=made.operation,
            options=made.options,
            change=change,
            columns_added=tuple(c for c in table.columns if before and c not in earlier),
            columns_dropped=tuple(c for c in earlier if c not in table.columns),
            failures=count_failures(failures),
        )


def _unmatched(change: Change) -> str:
    if change.is_counted:
        return "rows are only counted, not matched: it shares no column path or id with"
    return "has no row in common with"


def _keys(table: ChainTable) -> Keys:
    return read_keys(table.frame(), ", ".join(map(str, table.files)))
