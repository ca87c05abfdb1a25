"""Where a rank writes: what stands there already, what it was made of, and how it is replaced.

Every output has a receipt beside its ledger: what was asked, of which input, by how many ranks, and digests
of the files. Three rules make reruns and kills safe.

* The receipt is written before the table moves into place, and names the table that it replaces. So after a
  kill between the two, the old table is known for what it is.
* Before a rank does anything else it removes the parts of other runs, so that ``_part*`` never mixes two
  runs: the first part that a run writes comes after its rank has removed all old ones.
* Both happen under one lock. A part of this run is written by its own rank alone; another rank that starts
  late sees either the old part with the old receipt, which it may remove, or the new part with the new
  receipt, which it leaves alone, and never one with the other.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tools.base.disk import write_whole, writing
from tools.errors import UserError
from tools.stage.failures import write_failures
from tools.stage.ledger_files import CHECKSUM, at_work, sealed, unsealed
from tools.stage.shards import STATE_FOLDER, Shard
from tools.table import failures_path, part_path, split_part, table_extension, table_stem, write_table

FILES_CHANGED = "from files that have changed since"

_LONGEST_OPTION = 30  # characters of an option's value in a message


class Counts(NamedTuple):
    """Rows of an output, rows without values, and failures (a row of many parts may have several)."""

    rows: int
    failed: int
    failures: int


@dataclass(frozen=True)
class Provenance:
    """What an output is made of.

    Attributes:
        ask: See `tools.stage.ledger.stage_config`.
        input: Digest of the input table.
        rows: Digest of this rank's row keys, which change with the files behind the rows.
        world: Number of ranks.
        on_error: What was done with failed rows.
    """

    ask: dict[str, Any]
    input: str
    rows: str
    world: int
    on_error: str

    def as_json(self) -> dict[str, Any]:
        """As it is read back from a receipt."""
        return json.loads(json.dumps(vars(self), default=str))

    def same_config(self, receipt: dict[str, Any]) -> bool:
        """Whether the values in an earlier output are those that this run would write."""
        mine = self.as_json()
        return all(receipt.get(name) == mine[name] for name in ("ask", "input", "on_error"))

    def differs_in(self, receipt: dict[str, Any]) -> str:
        """How an earlier output was made, in words; empty when it was made just so."""
        mine = self.as_json()
        if receipt.get("ask") != mine["ask"]:
            return f"with other options ({_difference(receipt.get('ask') or {}, mine['ask'])})"
        if receipt.get("on_error") != self.on_error:
            return f"with --on-error {receipt.get('on_error')}"
        if receipt.get("input") != self.input:
            return "from another input, or the input was changed since"
        if receipt.get("world") != self.world:
            return "by another number of ranks"
        return FILES_CHANGED if receipt.get("rows") != self.rows else ""


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    for name in ("stage", "version"):
        if earlier.get(name) != now[name]:
            return f"{name} {earlier.get(name)}, now {now[name]}"
    before, after = earlier.get("config") or {}, now["config"]
    names = [n for n in (*after, *(n for n in before if n not in after)) if before.get(n) != after.get(n)]
    return "; ".join(f"{name} {_shown(before.get(name))}, now {_shown(after.get(name))}" for name in names)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_OPTION else f"{text[:_LONGEST_OPTION]}..."


class Output:
    """The table that this rank writes.

    Args:
        target: The output of the whole run; of several ranks each writes a part of it.
        shard: This rank's share.
        origin: What it is made of.
        meta: The input table.

    Attributes:
        path: The file of this rank.
        failures: Where its failures are listed.
        state: Folder of the ledger and the receipts.

    Raises:
        UserError: The output is the input, or a folder.
    """

    def __init__(self, target: Path, shard: Shard, provenance: Provenance, meta: Path) -> None:
        self._target = target
        self._shard = shard
        self._provenance = provenance
        self.path = shard.output(target)
        self.failures = shard.failures(target)
        self.state = target.parent / STATE_FOLDER / target.name
        if self.path.is_dir():
            raise UserError(f"{self.path}: is a folder, not a table; choose another --output")
        if self.path.exists() and self.path.samefile(meta):
            raise UserError(f"{self.path}: the output would overwrite the input; choose another --output")

    def clear_the_way(self, *, overwrite: bool, look_only: bool = False) -> bool:
        """Remove parts of other runs, and see what stands in place.

        Args:
            overwrite: Whether tables that were made otherwise may be replaced.
            look_only: Remove nothing.

        Returns:
            Whether this rank's output stands already, made of the same.

        Raises:
            UserError: Something else stands in the way.
        """
        if self._shard.alone or look_only:
            return self.path.exists() and self._stands(self.path, overwrite=overwrite, look_only=look_only)
        with self._locked():
            # All parts are looked at, not this rank's alone: one that is in the way stops every rank.
            standing = [p for p in self._parts() if self._stands(p, overwrite=overwrite)]
        return self.path in standing

    def _stands(self, path: Path, *, overwrite: bool, look_only: bool = False) -> bool:
        """Whether a table is as this run would make it; what is not is removed or left to be replaced."""
        receipt = _load(self._receipt(path))
        found = _digest_file(path)
        if receipt is not None and found == receipt["output"]:
            ours, why = True, self._provenance.differs_in(receipt)
            if not why or (path != self.path and why == FILES_CHANGED):  # other ranks know their own files
                # One that a limited run left short is replaced by what goes on from it.
                return path != self.path or not receipt.get("left")
            free = self._provenance.same_config(receipt) and receipt["world"] != self._provenance.world
        else:
            # The table that a killed run was about to replace is free to go.
            ours = free = receipt is not None and found == receipt["replaces"]
            why = "not by this command, or it was changed since"
        replaceable = ours or self._is_of_this_run(path)
        if not free and not (overwrite and replaceable):
            raise UserError(_in_the_way(path, why, replaceable=replaceable))
        if ours and not self._shard.alone and not look_only:
            self._remove_part(path)
        return False

    def _is_of_this_run(self, path: Path) -> bool:
        return self._shard.alone or _rank_of(path) < self._shard.world

    def _parts(self) -> list[Path]:
        """Parts of the output that exist, whoever wrote them."""
        pattern = f"{glob.escape(table_stem(self._target))}_part*{table_extension(self._target)}"
        found = self._target.parent.glob(pattern)
        return sorted(p for p in found if (part := split_part(p)) and part[0] == self._target)

    def _remove_part(self, path: Path) -> None:
        with writing(path):
            path.unlink(missing_ok=True)
            self._receipt(path).unlink(missing_ok=True)
            rank = _rank_of(path)
            if self._shard.alone or not self._is_of_this_run(path):  # a rank looks after its own list
                write_failures([], failures_path(self._target, rank))

    def holds(self, outcomes: str) -> bool:
        """Whether the table that stands was written with these outcomes of the rows.

        The ledger may know better: a run that did failed rows again may have been killed before it wrote.
        """
        receipt = _load(self._receipt(self.path))
        return receipt is not None and receipt["outcomes"] == outcomes

    def write(self, frame: pl.DataFrame, counts: Counts, outcomes: str, *, left: int = 0) -> None:
        """Write the table and its receipt; no kill leaves a table that the next run does not know.

        Args:
            frame: The table.
            counts: What the run as a whole is judged by.
            outcomes: Digest of the outcomes of the rows, for `holds`.
            left: Rows that are not in the table, because the run was limited.
        """
        made = write_table(frame, self.state / f"{self.path.name}{table_extension(self.path)}")
        receipt = {**self._provenance.as_json(), "counts": counts, "outcomes": outcomes, "left": left}
        receipt["output"] = _digest_file(made)
        with self._locked():
            receipt["replaces"] = _digest_file(self.path) if self.path.exists() else ""
            write_whole(self._receipt(self.path), sealed(receipt), "the receipt")
            with writing(self.path, "the table"):
                made.replace(self.path)
        self._remove_leftovers(made)

    def _remove_leftovers(self, made: Path) -> None:
        """Remove temporary files of earlier runs that were killed while they wrote."""
        prefix = f".{made.name}."
        for file in self.state.iterdir():
            if file.name.startswith(prefix) and ".tmp" in file.name:
                file.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Of a run without ranks: remove the parts of an earlier run whose values stand here now."""
        if not self._shard.alone:
            return
        for path in self._parts():
            receipt = _load(self._receipt(path))
            if receipt and self._provenance.same_config(receipt) and receipt["output"] == _digest_file(path):
                self._remove_part(path)

    def totals(self) -> Counts | None:
        """Counts over all ranks; None while another rank is at work, or its part is not here."""
        counts = []
        for rank in range(self._shard.world):
            path = self._target if self._shard.alone else part_path(self._target, rank)
            receipt = _load(self._receipt(path))
            if rank != self._shard.rank and at_work(self.state, rank):
                return None
            if receipt is None or not path.exists() or not self._provenance.same_config(receipt):
                return None
            if receipt["world"] != self._shard.world:
                return None
            counts.append(receipt["counts"])
        return Counts(*map(sum, zip(*counts, strict=True)))

    def _receipt(self, path: Path) -> Path:
        return self.state / f"{path.name}.receipt.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other ranks from looking at the parts while one is removed or moved into place."""
        if not self.state.is_dir():  # then there are no receipts either, and nothing of ours
            yield
            return
        with writing(self.state):
            file = os.open(self.state / "parts.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _in_the_way(path: Path, why: str, *, replaceable: bool) -> str:
    if not replaceable:
        return f"{path}: is in the way, it was made {why} and looks like a part of this run; move it away"
    return (
        f"{path}: is in the way, it was made {why}; --overwrite replaces it (finished rows are kept), "
        "--output writes elsewhere"
    )


def _rank_of(part: Path) -> int:
    found = split_part(part)
    assert found is not None, "with several ranks every output is a part"
    return found[1]


def _load(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
        receipt = unsealed(data) if CHECKSUM in data else json.loads(data)  # earlier ones have none
    except (OSError, ValueError):
        return None
    wanted = {"ask", "input", "rows", "world", "on_error", "counts", "outcomes", "output", "replaces"}
    return receipt if isinstance(receipt, dict) and wanted <= set(receipt) else None


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return _digest_file(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from None


def _digest_file(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
