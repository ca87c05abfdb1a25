"""Run a stage over a table: this rank's rows, what the ledger has already, the rest, and the output."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tools.errors import MediaError, UserError
from tools.stage.engine import RunOptions, map_rows, with_path, work
from tools.stage.failures import write_failures
from tools.stage.ledger import Ledger, Outcome, ask_of, digest, row_key
from tools.stage.progress import Progress
from tools.stage.shards import Shard, current_shard
from tools.stage.stage import Row, Stage
from tools.table import (
    PART_COLUMN,
    ROW_COLUMN,
    failures_path,
    output_path,
    part_path,
    read_table,
    require_columns,
    write_table,
)

__all__ = ["RunOptions", "RunResult", "map_rows", "run_stage"]

STATE_FOLDER = ".vidsieve"
"""Hidden folder beside an output that holds its ledger and receipts."""


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        output: The table written (of this rank).
        rows: Rows of this rank.
        failures: What went wrong, in the order of the rows; a row of many parts may have several.
        failed: Rows without values.
        reused: Rows that an earlier run had finished.
        failures_file: Where the failures are listed, or None.
        already_complete: The output was there, made from the same input with the same options.
    """

    output: Path
    rows: int
    failures: list[MediaError]
    failed: int
    reused: int
    failures_file: Path | None
    already_complete: bool = False


def run_stage(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions | None = None,
) -> RunResult:
    """Run a stage over the rows of a table that belong to this rank, and write the table of them.

    Finished rows go to a ledger beside the output as they finish. After a kill at any moment the same call
    goes on there, also with another number of ranks, and writes the same bytes as an uninterrupted run.

    Args:
        stage: What to do with each row.
        meta: The table.
        output: Where to write; by default beside ``meta``, with the stage's suffix. Under ``torchrun`` each
            rank writes ``<stem>_part<rank>`` of it.
        options: How to run.

    Returns:
        What was done.

    Raises:
        UserError: The table cannot be read, is empty or lacks a column; the output is in the way; weights are
            missing.
    """
    options = options or RunOptions()
    shard = current_shard()
    table = _read(stage, Path(meta))
    target = output_path(meta, stage.suffix, output=output)
    state = target.parent / STATE_FOLDER / target.name
    # Rows first: what follows from the whole table must not depend on the rank.
    rows = _rows(stage, table, shard)
    keys = [row_key(row) for row in rows]
    receipt = _Receipt(
        ask=ask_of(stage),
        input=_digest_file(Path(meta)),
        rows=digest(keys),
        world=shard.world,
        on_error=options.on_error,
    )
    if not shard.rank:
        _remove_superseded_parts(state, target, shard)
    place = shard.output(target)
    standing = _standing_output(state, place, receipt, options)
    ledger = Ledger(state, shard.rank, receipt.ask)
    try:
        finished_before = _still_good(stage, ledger, keys)
        retry = {
            k for k in finished_before if isinstance(ledger.outcomes[k], MediaError) and options.retry_failed
        }
        todo = {k: row for k, row in zip(keys, rows, strict=True) if k not in finished_before or k in retry}
        if todo:
            _work_off(stage, todo, ledger, options)
        outcomes = [with_path(ledger.outcomes[key], row) for key, row in zip(keys, rows, strict=True)]
    finally:
        ledger.close()
    failures = _failures(stage, outcomes, rows)
    failed = sum(isinstance(outcome, MediaError) for outcome in outcomes)
    reused = sum(key not in todo for key in keys)
    if standing and not todo:
        listed = shard.failures(target) if failures else None
        return RunResult(place, len(rows), failures, failed, reused, listed, already_complete=True)
    listed = write_failures(failures, shard.failures(target))
    frame = _output_frame(stage, table, shard, outcomes, options)
    _write(frame, place, state, receipt, Path(meta))
    return RunResult(place, len(rows), failures, failed, reused, listed)


def _read(stage: Stage, meta: Path) -> pl.DataFrame:
    table = read_table(meta)
    require_columns(table, stage.needs, meta)
    if PART_COLUMN in table.columns:
        raise UserError(
            f"{meta}: is one part of a table; merge the parts first: tools.datasets.datautil PART..."
        )
    if not table.height:
        raise UserError(f"{meta}: has no rows, there is nothing to do")
    return table


def _rows(stage: Stage, table: pl.DataFrame, shard: Shard) -> list[Row]:
    """The cells that the stage reads, for this rank's rows."""
    planned = stage.plan(table)
    wanted = [name for name in (*stage.needs, *stage.uses) if name in planned.columns]
    mine = planned.select(wanted)[list(shard.rows(table.height))]
    return mine.to_dicts()


def _still_good(stage: Stage, ledger: Ledger, keys: list[str]) -> set[str]:
    """Rows that are finished, and whose results on disk (clips, say) have not been removed since."""
    done = {key for key in keys if key in ledger.outcomes}
    return {
        key
        for key in done
        if isinstance(ledger.outcomes[key], MediaError) or stage.still_there(ledger.outcomes[key])
    }


def _work_off(stage: Stage, todo: dict[str, Row], ledger: Ledger, options: RunOptions) -> None:
    ledger.forget(list(todo))
    with Progress(len(todo), stage.name, shown=options.progress) as progress:

        def finished(results: list[tuple[str, Outcome]]) -> None:
            ledger.add([(key, with_path(outcome, todo[key])) for key, outcome in results])
            progress.count(results)

        work(stage, todo.items(), options, finished)


def _failures(stage: Stage, outcomes: list[Outcome], rows: list[Row]) -> list[MediaError]:
    failures = []
    for outcome, row in zip(outcomes, rows, strict=True):
        if isinstance(outcome, MediaError):
            failures.append(outcome)
        elif stage.one_to_many:
            failures += [MediaError(kind, str(row["path"]), message) for kind, message in outcome["failures"]]
    return failures


def _output_frame(
    stage: Stage, table: pl.DataFrame, shard: Shard, outcomes: list[Outcome], options: RunOptions
) -> pl.DataFrame:
    """This rank's rows of the input, with the stage's columns at the end."""
    numbers = list(shard.rows(table.height))
    if stage.one_to_many:
        pairs = [
            (number, row)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if not isinstance(outcome, MediaError)
            for row in outcome["rows"]
        ]
        columns, numbers = stage.row_columns, [number for number, _ in pairs]
        values: list[dict[str, Any]] = [row for _, row in pairs]
    else:
        pairs = [
            (number, None if isinstance(outcome, MediaError) else outcome)
            for number, outcome in zip(numbers, outcomes, strict=True)
            if options.on_error == "keep" or not isinstance(outcome, MediaError)
        ]
        columns, numbers = stage.adds, [number for number, _ in pairs]
        values = [outcome or {} for _, outcome in pairs]
    frame = table[numbers].drop([*columns, *stage.drops], strict=False)
    frame = frame.with_columns(
        pl.Series(name, [value.get(name) for value in values], dtype=dtype) for name, dtype in columns.items()
    )
    if not shard.alone:
        frame = frame.with_columns(
            pl.Series(ROW_COLUMN, numbers, dtype=pl.Int64), pl.lit(shard.label).alias(PART_COLUMN)
        )
    return frame


@dataclass(frozen=True)
class _Receipt:
    """What an output was made of; it lies in the state folder and tells a later run what it finds."""

    ask: dict[str, Any]
    input: str
    rows: str
    world: int
    on_error: str
    output: str = ""

    def as_json(self, output: str) -> dict[str, Any]:
        """The receipt of an output with these bytes, as it is read back."""
        return json.loads(json.dumps({**vars(self), "output": output}, default=str))

    def differs_in(self, earlier: dict[str, Any]) -> str:
        """What is different in an earlier receipt, in words; empty when nothing is."""
        mine = self.as_json(earlier.get("output", ""))
        if earlier.get("ask") != mine["ask"]:
            return "with other options"
        if earlier.get("on_error") != self.on_error:
            return f"with --on-error {earlier.get('on_error')}"
        if earlier.get("input") != self.input:
            return "from another input"
        if earlier.get("world") != self.world:
            return "by another number of ranks"
        return "from files that have changed since" if earlier.get("rows") != self.rows else ""


def _receipt_path(state: Path, place: Path) -> Path:
    return state / f"{place.name}.receipt.json"


def _load_receipt(state: Path, place: Path) -> dict[str, Any] | None:
    try:
        return json.loads(_receipt_path(state, place).read_text())
    except (OSError, ValueError):
        return None


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        whole = hashlib.sha256()
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def _standing_output(state: Path, place: Path, receipt: _Receipt, options: RunOptions) -> bool:
    """Whether the output stands already, complete, for the same input and options.

    Raises:
        UserError: Something else stands in its place.
    """
    if not place.exists():
        return False
    earlier = _load_receipt(state, place)
    why = "not by this command, or it was changed since"
    if earlier is not None and earlier.get("output") == _digest_file(place):
        why = receipt.differs_in(earlier)
        if not why:
            return True
        if why == "by another number of ranks":
            return False  # other rows are dealt out, and nothing is lost: they are all in the ledger
    if options.overwrite:
        return False
    raise UserError(
        f"{place}: is in the way, it was made {why}; --overwrite replaces it (finished rows are kept), "
        "--output writes elsewhere"
    )


def _remove_superseded_parts(state: Path, target: Path, shard: Shard) -> None:
    """Remove the parts that an earlier run with more ranks wrote, so that ``_part*`` never mixes two runs.

    Only rank 0 does so, and only to parts whose number no rank of this run has: nobody else touches these.

    Raises:
        UserError: Such a file is not one of ours.
    """
    if shard.alone:
        return
    rank = shard.world
    while (place := part_path(target, rank)).exists():
        earlier = _load_receipt(state, place)
        if earlier is None or earlier.get("output") != _digest_file(place):
            raise UserError(
                f"{place}: is in the way, this run has {shard.world} parts and it would be taken for one "
                "more; move it away"
            )
        place.unlink()
        failures_path(target, rank).unlink(missing_ok=True)
        rank += 1


def _write(frame: pl.DataFrame, place: Path, state: Path, receipt: _Receipt, meta: Path) -> None:
    """Write the output and its receipt so that no kill leaves an output that the next run does not know.

    The table is made in the state folder; its receipt is written; then the table moves into place.
    """
    if place.exists() and place.samefile(meta):
        raise UserError(f"{place}: the output would overwrite the input; choose another --output")
    made = write_table(frame, state / f"{place.name}{place.suffix}")
    path = _receipt_path(state, place)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(receipt.as_json(_digest_file(made))))
    temporary.replace(path)
    made.replace(place)
