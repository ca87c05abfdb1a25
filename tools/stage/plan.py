"""The plan of a run over a table: its rows, its output, and which rows remain to be processed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tools.base.addresses import refuse_address
from tools.base.log import LOG
from tools.errors import PASSING_KINDS, MediaError, UserError
from tools.media.fetching.sources import FetchOptions
from tools.stage.dealing import rows_of_rank
from tools.stage.estimate.costs import file_state, row_costs
from tools.stage.ledger import Ledger, row_key, stage_config
from tools.stage.ledger.row_keys import RowKeys
from tools.stage.outcomes import failed_kinds
from tools.stage.output import Output
from tools.stage.provenance import Provenance, digest_file
from tools.stage.remote_files import changed_files, fetch_options, is_remote
from tools.stage.run_options import RunOptions
from tools.stage.shards import Shard, current_shard, state_of
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
        shard: This rank.
        table: The input.
        numbers: Numbers of this rank's rows in the table.
        rows: The cells that the stage reads, of this rank's rows.
        costs: About how much work each of them is, see `tools.stage.estimate.costs`; float32.
        keys: Their keys in the ledger.
        paths: Their files; empty where there is none.
        provenance: What the output is made from.
        output: Where it is written.
        vectors: Where vectors are written, or None.
        fetch: How files at addresses are fetched; None if there are none.
    """

    shard: Shard
    table: pl.DataFrame
    numbers: Sequence[int]
    rows: pl.DataFrame
    costs: np.ndarray
    keys: RowKeys
    paths: pl.Series
    provenance: Provenance
    output: Output
    vectors: VectorFile | None
    fetch: FetchOptions | None = None


def plan_run(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions,
    read_only: bool = False,
) -> RunPlan:
    """Read and check the table of a run; no file of a row is opened.

    Errors are those of `tools.stage.runner.run_stage`.

    Args:
        stage: What to do with each row.
        meta: The table.
        output: Where to write; see `run_stage`.
        options: How to run.
        read_only: Write nothing; otherwise the first of several ranks may write down who gets which rows.
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
    fingerprint = digest_file(meta)
    state = state_of(target)
    # What rows cost to process depends on their files alone; without any, all cost the same.
    about = table if "path" in stage.required_columns else table.select(stage.required_columns)
    numbers = rows_of_rank(shard, about, state, fingerprint, read_only=read_only)
    stage.take_rows(numbers)
    # The whole table first: what follows from it must not depend on the rank.
    planned = stage.claim(stage.plan(table), target)
    rows = planned.select(stage.input_columns(planned.columns))
    if not shard.alone:
        rows, about = rows[list(numbers)], about[list(numbers)]
    keys, costs = _keys_and_costs(rows, about)
    provenance = Provenance(stage_config(stage), fingerprint, keys.digest(), shard.world, options.on_error)
    paths = path_series(rows)
    fetch = fetch_options(options, paths) if "path" in stage.required_columns else None
    written = Output(target, shard, provenance, meta, stage.rows_changed)
    vectors = VectorFile(stage.vector_file, shard, written.state) if stage.vector_file else None
    return RunPlan(shard, table, numbers, rows, costs, keys, paths, provenance, written, vectors, fetch)


def _keys_and_costs(rows: pl.DataFrame, about: pl.DataFrame) -> tuple[RowKeys, np.ndarray]:
    """The keys of rows, and about how much work each is; no file is asked twice for its size."""
    sizes = array("d")

    def keys() -> Iterator[str]:
        for row in rows.iter_rows(named=True):
            file = file_state(row.get("path"))
            sizes.append(file[0] if file else math.nan)
            yield row_key(row, file)

    return RowKeys(keys()), row_costs(about, np.frombuffer(sizes)).astype(np.float32)


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
        plan.keys,
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
    numbers = {key: plan.keys.number(key) for key in ledger.versions}
    known = {key: (plan.paths[n], ledger.versions[key]) for key, n in numbers.items() if n is not None}
    changed = changed_files({key: found for key, found in known.items() if is_remote(found[0])})
    ledger.drop(changed)
    return bool(changed)


class Remaining(NamedTuple):
    """What a run is to do.

    Attributes:
        todo: The rows that it processes, in the order of the table, of rows with the same key the first:
            uint32.
        fresh: For each row whether it or the first one with its key is among them: bool.
        later: For each row whether the limit of the run leaves it for later, so that the output must do
            without it. A row that an earlier run finished, and that was to be processed again, is not.
    """

    todo: np.ndarray
    fresh: np.ndarray
    later: np.ndarray


def remaining_rows(stage: Stage, ledger: Ledger, plan: RunPlan, options: RunOptions) -> Remaining:
    """Rows that this run is to process, and those that a limit leaves for later."""
    keys, firsts = plan.keys, plan.keys.firsts
    todo = np.flatnonzero(firsts == np.arange(len(keys))).astype(np.uint32)
    if ledger.outcomes:
        retried = options.retried_kinds
        todo = todo[[not _is_finished(stage, ledger, keys[number], retried) for number in todo.data]]
    fresh, later = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
    if options.limit is not None:
        todo, rest = np.split(todo, [len(plan.shard.rows(options.limit))])
        later[[n for n in rest.tolist() if not _is_finished(stage, ledger, keys[n], frozenset())]] = True
    fresh[todo] = True
    return Remaining(todo, fresh[firsts], later[firsts])


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
