"""The table that a rank writes: what exists there already, what that was made from, how it is replaced.

Every output has a receipt beside its ledger: its provenance (`tools.stage.provenance`), digests of the
files, and the command that was typed. Three rules make reruns and kills safe.

* The receipt is written before the table is renamed, and names the table that it replaces. So after a kill
  between the two, the old table is known for what it is.
* Before a rank does anything else it removes the parts of other runs, so that ``_part*`` never mixes two
  runs: the first part that a run writes comes after its rank has removed all old ones.
* Both happen under one lock. A part of this run is written by its own rank alone; another rank that starts
  late sees either the old part with the old receipt, which it may remove, or the new part with the new
  receipt, which it leaves alone, and never one with the other.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tools.base.command_line import command_line
from tools.base.disk import publish, refuse_special, writing
from tools.base.locks import holding
from tools.base.temporary_files import remove_strays, write_whole
from tools.errors import UserError
from tools.stage.failures import write_failures
from tools.stage.ledger.files import CHECKSUM, is_running, sealed, unsealed
from tools.stage.provenance import FILES_CHANGED, Provenance, digest_file
from tools.stage.shards import Shard, state_of
from tools.table import failures_path, part_path, split_part, table_extension, table_stem, write_table
from tools.table.files import Table
from tools.table.sidecar import remove_sidecar


class Counts(NamedTuple):
    """Rows of an output, rows without values, and failures (a row of many parts may have several)."""

    rows: int
    failed: int
    failures: int


class Output:
    """The table that this rank writes.

    Args:
        target: The output of the whole run; of several ranks each writes a part of it.
        shard: This rank's share.
        provenance: What it is made from.
        meta: The input table.
        rows_changed: See `tools.stage.stage.Stage`.

    Attributes:
        path: The file of this rank.
        failures: Where its failures are listed.
        state: Folder of the ledger and the receipts.

    Raises:
        UserError: The output is the input, or a folder.
    """

    def __init__(
        self,
        target: Path,
        shard: Shard,
        provenance: Provenance,
        meta: Path,
        rows_changed: str = FILES_CHANGED,
    ) -> None:
        self._target = target
        self._rows_changed = rows_changed
        self._shard = shard
        self._provenance = provenance
        self.path = shard.output(target)
        self.failures = shard.failures(target)
        self.state = state_of(target)
        if self.path.is_dir():
            raise UserError(f"{self.path}: is a folder, not a table; choose another --output")
        refuse_special(self.path)
        if self.path.exists() and self.path.samefile(meta):
            raise UserError(f"{self.path}: the output would overwrite the input; choose another --output")

    def check_existing(self, *, overwrite: bool, read_only: bool = False) -> bool:
        """Check the tables that exist, and remove parts of other runs.

        Args:
            overwrite: Whether tables with another provenance may be replaced.
            read_only: Remove nothing.

        Returns:
            Whether this rank's output exists, with the same provenance.

        Raises:
            UserError: Another file has the name of the output, or of a part of it.
        """
        if self._shard.alone or read_only:
            return self.path.exists() and self._is_current(self.path, overwrite, read_only)
        with self._locked():
            # All parts are checked, not this rank's alone: one that must not be replaced stops every rank.
            current = [path for path in self._parts() if self._is_current(path, overwrite)]
        return self.path in current

    def _is_current(self, path: Path, overwrite: bool, read_only: bool = False) -> bool:
        """Whether a table is as this run would write it; otherwise it is removed, or replaced later."""
        receipt = _load(self._receipt(path))
        found = digest_file(path)
        if receipt is not None and found == receipt["output"]:
            ours, why = True, self._provenance.differs_in(receipt)
            if not why or (path != self.path and why == FILES_CHANGED):  # other ranks know their own files
                # One that a limited run left short is replaced by what goes on from it.
                return path != self.path or not receipt.get("left")
            free = self._provenance.has_same_values(receipt) and receipt["world"] != self._provenance.world
        else:
            # The table that a killed run was about to replace may be replaced.
            ours = free = receipt is not None and found == receipt["replaces"]
            why = "not by this command, or it was changed since"
        replaceable = ours or self._is_of_this_run(path)
        if not free and not (overwrite and replaceable):
            why = self._rows_changed if why == FILES_CHANGED else why
            raise UserError(_not_replaced(path, why, replaceable=replaceable))
        if ours and not self._shard.alone and not read_only:
            self._remove_part(path)
        return False

    def refuse_changed(self, *, overwrite: bool) -> None:
        """Keep a table that was made from files which have changed at their addresses since.

        Raises:
            UserError: Unless it may be replaced.
        """
        if not overwrite:
            raise UserError(_not_replaced(self.path, FILES_CHANGED, replaceable=True))

    def _is_of_this_run(self, path: Path) -> bool:
        part = split_part(path)
        return part is None or self._shard.alone or part[1] < self._shard.world

    def _parts(self) -> list[Path]:
        """Parts of the output that exist, whoever wrote them."""
        pattern = f"{glob.escape(table_stem(self._target))}_part*{table_extension(self._target)}"
        found = self._target.parent.glob(pattern)
        return sorted(p for p in found if (part := split_part(p)) and part[0] == self._target)

    def _remove_part(self, path: Path) -> None:
        remove_sidecar(path)
        with writing(path):
            path.unlink(missing_ok=True)
            self._receipt(path).unlink(missing_ok=True)
            part = split_part(path)
            # A rank removes its own failures file.
            if part and (self._shard.alone or not self._is_of_this_run(path)):
                write_failures([], failures_path(self._target, part[1]))

    def has_outcomes(self, outcomes: str) -> bool:
        """Whether the existing table was written with these outcomes of the rows.

        The ledger may have later ones: a run that processed failed rows again may have been killed before it
        wrote the table.
        """
        receipt = _load(self._receipt(self.path))
        return receipt is not None and receipt["outcomes"] == outcomes

    def write(self, frame: Table, counts: Counts, outcomes: str, *, left: int = 0) -> None:
        """Write the table and its receipt; no kill leaves a table that the next run does not know.

        Args:
            frame: The table.
            counts: Rows, failed rows and failures.
            outcomes: Digest of the outcomes of the rows, for `has_outcomes`.
            left: Rows that are not in the table, because the run was limited.
        """
        new = write_table(frame, self.state / f"{self.path.name}{table_extension(self.path)}")
        receipt = {**self._provenance.as_json(), "counts": counts, "outcomes": outcomes, "left": left}
        receipt |= {"command": command_line(), "folder": str(Path.cwd())}
        receipt["output"] = digest_file(new)
        with self._locked():
            receipt["replaces"] = digest_file(self.path) if self.path.exists() else ""
            write_whole(self._receipt(self.path), sealed(receipt), "the receipt")
            with writing(self.path, "the table"):
                publish(new, self.path)

    def remove_parts(self) -> None:
        """Of a run without ranks: remove the parts of an earlier run whose values this table has now."""
        if not self._shard.alone:
            return
        for path in self._parts():
            receipt = _load(self._receipt(path))
            if (
                receipt
                and self._provenance.has_same_values(receipt)
                and receipt["output"] == digest_file(path)
            ):
                self._remove_part(path)

    def remove_strays(self) -> None:
        """Remove what killed runs left, whatever their ranks: temporary files, failures without a part."""
        stem = table_stem(self._target)
        remove_strays(self.state, lambda name: True)
        for folder in (self.path.parent, self.state.parent):  # failures, and their digests
            remove_strays(folder, lambda name: name.startswith(f".{stem}.failures"))
        for listed in self.path.parent.glob(f"{glob.escape(stem)}.failures_part*.csv"):
            rank = listed.stem.rpartition("_part")[2].partition("-")[0]
            if rank.isdecimal() and (self._shard.alone or int(rank) >= self._shard.world):
                failures = failures_path(self._target, int(rank))
                if listed.name.startswith(failures.stem) and not part_path(self._target, int(rank)).exists():
                    write_failures([], failures)

    def totals(self) -> Counts | None:
        """Counts over all ranks; None while another rank is running, or its part does not exist."""
        counts = []
        for rank in range(self._shard.world):
            path = self._target if self._shard.alone else part_path(self._target, rank)
            receipt = _load(self._receipt(path))
            if rank != self._shard.rank and is_running(self.state, rank):
                return None
            if receipt is None or not path.exists() or not self._provenance.has_same_values(receipt):
                return None
            if receipt["world"] != self._shard.world:
                return None
            counts.append(receipt["counts"])
        return Counts(*map(sum, zip(*counts, strict=True)))

    def _receipt(self, path: Path) -> Path:
        return self.state / f"{path.name}.receipt.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other ranks from checking the parts while one is removed or replaced."""
        if not self.state.is_dir():  # no receipts either, and so no part that this run may remove
            yield
            return
        with writing(self.state):
            file = os.open(self.state / "parts.lock", os.O_RDWR | os.O_CREAT, 0o666)
        with holding(file):
            yield


def _not_replaced(path: Path, why: str, *, replaceable: bool) -> str:
    if not replaceable:
        return f"{path}: is in the way, it was made {why} and looks like a part of this run; move it away"
    return (
        f"{path}: is in the way, it was made {why}; --overwrite replaces it (finished rows are kept), "
        "--output writes elsewhere"
    )


def read_receipt(table: Path) -> dict[str, Any] | None:
    """The receipt of a table, or of a part of one; None without one. The table may have changed since.

    Args:
        table: The file that the receipt is about.
    """
    part = split_part(table)
    for whole in (table, *part[:1]) if part else (table,):
        receipt = _load(state_of(whole) / f"{table.name}.receipt.json")
        if receipt is not None:
            return receipt
    return None


def _load(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
        receipt = unsealed(data) if CHECKSUM in data else json.loads(data)  # earlier ones have none
    except (OSError, ValueError):
        return None
    keys = {"ask", "input", "rows", "world", "on_error", "counts", "outcomes", "output", "replaces"}
    return receipt if isinstance(receipt, dict) and keys <= set(receipt) else None
