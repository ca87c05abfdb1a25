"""The plan of a run over a table: its rows, its output, and which rows remain to be processed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from tools.base.addresses import refuse_address
from tools.base.log import LOG
from tools.errors import PASSING_KINDS, MediaError, UserError
from tools.media.fetching.sources import FetchOptions
from tools.stage.ledger import Ledger, digest, row_key, stage_config
from tools.stage.outcomes import failed_kinds
from tools.stage.output import Output
from tools.stage.provenance import Provenance, digest_file
from tools.stage.remote_files import changed_files, fetch_options, is_remote
from tools.stage.run_options import RunOptions
from tools.stage.shards import Shard, current_shard
from tools.stage.stage import Stage
from tools.stage.values import unfit
from tools.stage.vectors import VectorFile, check_vector_name
from tools.table import (
    PART_COLUMN,
    check_types,
    output_path,
    read_table,
    require_columns,
    require_single_values,
    table_format,
)


@dataclass(frozen=True)
class RunPlan:
    """What a run is about, before any work.

    Attributes:
        shard: This rank's share.
        table: The input.
        rows: The cells that the stage reads, of this rank's rows.
        keys: Their keys in the ledger.
        paths: Their files; empty where there is none.
        provenance: What the output is made from.
        output: Where it is written.
        vectors: Where vectors are written, or None.
        fetch: How files at addresses are fetched; None if there are none.
    """

    shard: Shard
    table: pl.DataFrame
    rows: pl.DataFrame
    keys: list[str]
    paths: pl.Series
    provenance: Provenance
    output: Output
    vectors: VectorFile | None
    fetch: FetchOptions | None = None


def plan_run(
    stage: Stage, meta: str | Path, *, output: str | Path | None = None, options: RunOptions
) -> RunPlan:
    """Read and check the table of a run; nothing is written, and no file of a row is opened.

    Arguments and errors are those of `tools.stage.runner.run_stage`.
    """
    shard = current_shard()
    refuse_address(meta)
    meta = Path(meta)
    target = output_path(meta, stage.suffix, output=output)
    table_format(target)  # a name that is no table's is reported before the work, not after it
    if stage.vector_file:
        check_vector_name(stage.vector_file)
    table = read_input(stage, meta)
    check_types(table.schema, target)
    stage.ready(report=True)
    # The whole table first: what follows from it must not depend on the rank.
    planned = stage.claim(stage.plan(table), target)
    rows = planned.select(stage.input_columns(planned.columns))
    rows = rows if shard.alone else rows[list(shard.rows(table.height))]
    keys = [row_key(row) for row in rows.iter_rows(named=True)]
    provenance = Provenance(
        stage_config(stage), digest_file(meta), digest(keys), shard.world, options.on_error
    )
    paths = path_series(rows)
    fetch = fetch_options(options, paths) if "path" in stage.required_columns else None
    written = Output(target, shard, provenance, meta)
    vectors = VectorFile(stage.vector_file, shard, written.state) if stage.vector_file else None
    return RunPlan(shard, table, rows, keys, paths, provenance, written, vectors, fetch)


def read_input(stage: Stage, meta: str | Path, *, file: Path | None = None) -> pl.DataFrame:
    """Read the input table of a stage, and check its columns.

    Args:
        stage: The stage.
        meta: What the table is called.
        file: Where it is, when it is a copy.

    Raises:
        UserError: It cannot be read, is a part of a table, is empty, or lacks a column.
    """
    table = read_table(file or meta)
    check_columns(stage, table, meta)
    if PART_COLUMN in table.columns:
        raise UserError(
            f"{meta}: is one part of a table; merge the parts first: tools.datasets.datautil PART..."
        )
    if not table.height:
        raise UserError(f"{meta}: has no rows, there is nothing to do")
    return table


def check_columns(stage: Stage, table: pl.DataFrame, name: str | Path) -> None:
    """Check that a table has the columns that a stage requires, with cells that it can read.

    Args:
        stage: The stage.
        table: The table.
        name: What it is called in errors.

    Raises:
        UserError: A column is missing, or has lists where single values are read.
    """
    require_columns(table, stage.required_columns, name)
    require_single_values(table.schema, ("path",) if stage.takes_lists else stage.required_columns, name)


def path_series(rows: pl.DataFrame) -> pl.Series:
    """The file of each row; empty where there is none."""
    if "path" not in rows.columns:
        return pl.repeat("", rows.height, dtype=pl.String, eager=True)
    return rows["path"].cast(pl.String).fill_null("")


def paths_of(rows: pl.DataFrame) -> list[str]:
    """The same as a list."""
    return path_series(rows).to_list()


def open_ledger(stage: Stage, plan: RunPlan, *, read_only: bool = False) -> Ledger:
    """The ledger of a run; lines that cannot be used are logged.

    Args:
        stage: The stage.
        plan: What the run is about.
        read_only: See `Ledger`, as for errors.
    """
    ledger = Ledger(
        plan.output.state,
        plan.shard.rank,
        plan.provenance.config,
        set(plan.keys),
        partial(unfit, stage),
        read_only=read_only,
    )
    if ledger.notice:
        LOG.warning("%s", ledger.notice)
    return ledger


def drop_changed_files(ledger: Ledger, plan: RunPlan) -> bool:
    """Take finished rows for unfinished if their files have changed at their addresses since.

    Files on this machine need no such check: their size and time is in the keys of the rows.

    Returns:
        Whether there are such rows.
    """
    if plan.fetch is None:
        return False
    paths = dict(zip(plan.keys, plan.paths, strict=True))
    known = {key: (paths[key], version) for key, version in ledger.versions.items() if key in paths}
    changed = changed_files({key: found for key, found in known.items() if is_remote(found[0])})
    ledger.drop(changed)
    return bool(changed)


def remaining_rows(
    stage: Stage, ledger: Ledger, plan: RunPlan, options: RunOptions
) -> tuple[dict[str, int], set[str]]:
    """Rows that this run is to process, and those that a limit leaves for later.

    Returns:
        The key and the first row that has it, in the order of the table; and the keys that the output must do
        without. A row that an earlier run finished, and that was to be processed again, is not among these.
    """
    todo: dict[str, int] = {}
    for number, key in enumerate(plan.keys):
        if key not in todo and not _is_finished(stage, ledger, key, options.retried_kinds):
            todo[key] = number
    if options.limit is None:
        return todo, set()
    now = list(todo)[: len(plan.shard.rows(options.limit))]
    later = {key for key in todo if not _is_finished(stage, ledger, key, frozenset())} - set(now)
    return {key: todo[key] for key in now}, later


def _is_finished(stage: Stage, ledger: Ledger, key: str, retry: frozenset[str]) -> bool:
    """Whether a row is finished, and what it left on disk (clips, say) has not been removed since."""
    outcome = ledger.outcomes.get(key)
    if outcome is None:
        return False
    if any(kind in PASSING_KINDS or kind in retry for kind in failed_kinds(outcome)):
        return False
    if isinstance(outcome, MediaError):
        return True
    if stage.vector_file and not ledger.has_vector(key):
        return False
    return stage.outputs_exist(outcome)
