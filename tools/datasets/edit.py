"""Edit tables from Python: what the command datautil does, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.disk import check_writable
from tools.base.log import LOG
from tools.base.terminal import counted
from tools.datasets.operations import OPERATIONS, Context
from tools.datasets.operations.sets import other_tables
from tools.datasets.outputs import (
    check_rejected,
    further_shards,
    no_name,
    output_paths,
    output_target,
    record_run,
    write_output,
    write_rejected,
    write_sidecars,
)
from tools.datasets.replay import repeat_notes
from tools.datasets.run_operations import (
    Plan,
    Settings,
    check_columns,
    checked,
    explain,
    rejected_rows,
    run_operations,
)
from tools.errors import MediaError, UserError

if TYPE_CHECKING:
    from tools.report.summary import Summary
    from tools.table.files import Table


@dataclass
class DatautilResult:
    """What a run of datautil did.

    Attributes:
        outputs: The tables written; one, unless sharded.
        rows_in: Rows of the inputs.
        rows_out: Rows written.
        failures: Files that could not be read.
        failures_file: Where they are listed, or None.
        rejected: Where the removed rows are, or None.
        explanation: What each operation removed, or None if not requested.
        notes: Lines for the user.
    """

    outputs: list[Path]
    rows_in: int
    rows_out: int
    failures: list[MediaError] = field(default_factory=list)
    failures_file: Path | None = None
    rejected: Path | None = None
    explanation: str | None = None
    notes: list[str] = field(default_factory=list)


def plan_datautil(
    inputs: Sequence[str | Path],
    operations: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    format: str | None = None,
    shard: int | None = None,
    settings: Settings | None = None,
    overwrite: bool = False,
    writes: bool = True,
) -> Plan:
    """Check everything that can be checked before work begins. Arguments and errors as `run_datautil`.

    Args:
        inputs: Tables or patterns.
        operations: Name of an operation to its value.
        output: Where to write.
        format: One of `FORMATS` of `tools.datasets.datautil`.
        shard: Number of tables to write instead of one.
        settings: How operations are carried out.
        overwrite: Replace a table that has columns which the new one would lack.
        writes: False when no table is to be written, so that no operation is needed.
    """
    from tools.stage.run_options import RunOptions
    from tools.table import check_types, expand_inputs, merge_tables, refuse_inputs, refuse_loss

    settings = settings or Settings()
    values = checked(operations or {}, settings)
    paths = expand_inputs(inputs)
    target = output_target(inputs, paths, values, settings, output, format)
    read = [*paths, *other_tables(values)]
    if writes and not shard and output is None and target in paths:
        raise UserError(f"{target}: {no_name(values)}")
    outputs = output_paths(target, shard) if writes else []
    for path in outputs:
        refuse_inputs(path, read)
    frame = merge_tables(paths, scratch=target.parent if writes else None)
    context = Context(
        ", ".join(map(str, paths)),
        settings.options or RunOptions(),
        settings.seed,
        lang_threshold=settings.lang_threshold,
        per_source=settings.per_source,
        scratch=target.parent if writes else None,
        table=(frame, paths[0]) if len(paths) == 1 else None,
    )
    schema = frame.collect_schema()
    columns = check_columns(schema, values, context.source)
    for path in outputs:
        refuse_loss(path, columns, overwrite=overwrite)
    if writes:
        check_types({name: kind for name, kind in schema.items() if name in columns}, target)
    return Plan(paths, read, frame, values, target, outputs, context)


def run_datautil(
    inputs: Sequence[str | Path],
    operations: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    format: str | None = None,
    shard: int | None = None,
    rejected: str | Path | None = None,
    explained: bool = False,
    settings: Settings | None = None,
    overwrite: bool = False,
) -> DatautilResult:
    """Read tables, carry out operations in their fixed order, write the result.

    Args:
        inputs: Tables or patterns; parts that ranks wrote are merged in the order of their rows, other tables
            are concatenated.
        operations: Name of an operation to its value (True for a switch), see `tools.datasets.operations`.
        output: Where to write; by default beside the first input, the inputs' stems and a suffix for each
            operation.
        format: One of `FORMATS` of `tools.datasets.datautil`; by default that of ``output`` or of
            the first input.
        shard: Write this many tables ``<stem>_0`` ..., of contiguous rows.
        rejected: Write the rows that operations removed to this table, with a column ``rejected_by``.
        explained: Count how many rows each operation removes alone and in its turn.
        settings: How operations are carried out.
        overwrite: Replace a table that has columns which the new one would lack.

    Returns:
        What was done.

    Raises:
        UserError: An input is missing, unreadable or empty; a column is missing; an operation is unknown; the
            output is an input, or would replace a table that has further columns.
    """
    from tools.base.temporary_files import remove_strays
    from tools.stage.failures import write_failures
    from tools.table import failures_path

    plan = plan_datautil(
        inputs,
        operations,
        output=output,
        format=format,
        shard=shard,
        settings=settings,
        overwrite=overwrite,
    )
    check_rows(plan)
    check_writable(plan.target, "the table")
    if rejected is not None:
        check_rejected(Path(rejected), plan, overwrite=overwrite)
    recording = record_run(plan)
    steps = run_operations(plan.frame, plan.values, plan.context)
    final = steps[-1].after if steps else plan.frame
    result = DatautilResult([], 0, 0, plan.context.failures, notes=plan.context.notes)
    result.notes.extend(repeat_notes(plan))
    if explained:
        result.explanation = explain(plan.frame, plan.values, plan.context, steps)
    if rejected is not None:
        result.rejected = write_rejected(Path(rejected), plan, steps)
    # Before an output moves into place, so that a table that cannot be counted leaves none.
    rows = count_rows_of(plan) if plan.values or not _is_json(plan.paths) else None
    all_kept = "union" not in plan.values and all(step.removed is None for step in steps)
    written = write_output(final, plan, rows if all_kept else None)
    tables = dict.fromkeys(written, final.collect_schema().names())
    if result.rejected and (rows_removed := rejected_rows(steps)) is not None:
        tables[result.rejected] = rows_removed.collect_schema().names()
    write_sidecars(recording, plan, tables)
    result.outputs, result.rows_out = list(written), sum(written.values())
    if shard and (others := further_shards(plan)):
        result.notes.append(f"{others[0]}: of an earlier run with more shards ({len(others)} such tables)")
    result.rows_in = result.rows_out if rows is None else rows
    if any(OPERATIONS[name].opens_files for name in plan.values):
        failures = failures_path(plan.target)
        remove_strays(plan.target.parent, lambda name: name.startswith(f".{failures.name}."))
        result.failures_file = write_failures(plan.context.failures, failures)
    return result


def table_stats(
    inputs: Sequence[str | Path],
    operations: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
) -> Summary:
    """What is in the table that `run_datautil` would write: counts, hours, quantiles of the scores."""
    from tools.report.summary import summarize

    plan = plan_datautil(inputs, operations, settings=settings, writes=False)
    check_rows(plan)
    steps = run_operations(plan.frame, plan.values, plan.context)
    return summarize(steps[-1].after if steps else plan.frame, source=plan.context.source)


def filter_table(
    frame: Table | str | Path,
    *,
    seed: int = 42,
    by: str | None = None,
    hours: float | None = None,
    rows: int | None = None,
    per_source: int | None = None,
    **operations: Any,
) -> Table:
    """Edit a frame in memory, as the flags of the same names do: ``filter_table(df, aesmin=5, fmax=300)``.

    Files that an operation could not read, and what else it has to say, are logged.

    Args:
        frame: pandas or Polars frame, lazy or not; or a table on disk.
        seed: For what is random.
        by: By which scores ``keep_hours``, ``keep_fraction``, ``keep_rows`` and ``balance`` choose.
        hours: How much ``balance`` draws; this or ``rows``.
        rows: Likewise.
        per_source: Rows that ``sample`` and ``balance`` take of one source video at most.
        **operations: Operations with their values.

    Returns:
        A frame of the same kind; of a table on disk a Polars frame.

    Raises:
        UserError: An unknown name, a missing column, or a table that cannot be read.
    """
    import polars as pl

    from tools.stage.run_options import RunOptions
    from tools.table import scan_table, to_lazy
    from tools.table.files import from_polars, unreadable
    from tools.table.formats.types import text_columns

    on_disk = isinstance(frame, (str, Path))
    try:
        lazy = scan_table(frame) if on_disk else text_columns(to_lazy(frame), ("path", "text"))
    except (pl.exceptions.PolarsError, OSError) as error:  # of a lazy frame
        raise unreadable("the frame", error) from None
    settings = Settings(seed, per_source=per_source, by=by, hours=hours, rows=rows)
    context = Context(
        str(frame) if on_disk else "the frame", RunOptions(), seed, per_source=settings.per_source
    )
    steps = run_operations(lazy, checked(operations, settings), context)
    edited = steps[-1].after if steps else lazy
    for note in context.notes:
        LOG.info("%s", note)
    if context.failures:
        unread = counted(len(context.failures), "file")
        LOG.warning("%s could not be read, the first: %s", unread, context.failures[0])
    if isinstance(frame, pl.LazyFrame):
        return edited
    try:
        table = edited.collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(context.source, error) from None
    return table if on_disk or isinstance(frame, pl.DataFrame) else from_polars(table, frame)


def _is_json(paths: Sequence[Path]) -> bool:
    """Whether one of some tables is read as a whole to count its rows, as no other is."""
    from tools.table.formats import format_of

    return any(format_of(path).reads_whole for path in paths)


def count_rows_of(plan: Plan) -> int:
    """Rows of the inputs."""
    from tools.table import count_rows

    return sum(count_rows(path) for path in plan.paths)


def check_rows(plan: Plan) -> None:
    """Check that the inputs have a row at all.

    Raises:
        UserError: They have none, or cannot be read.
    """
    import polars as pl

    from tools.table import scan_table
    from tools.table.files import unreadable
    from tools.table.formats import format_of

    for path in plan.paths:
        try:
            found = format_of(path).known_rows(path)
            if found is None:
                found = scan_table(path).head(1).collect(engine="streaming").height
        except pl.exceptions.PolarsError as error:
            raise unreadable(path, error) from None
        if found:
            return
    raise UserError(f"{plan.context.source}: no rows, there is nothing to do")
