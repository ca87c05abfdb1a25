"""What datautil writes: where, under which name, in how many tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.datasets.operations import OPERATIONS, Phase, name_suffix
from tools.datasets.run_operations import REASON_COLUMN, Plan, Settings, Step, rejected_rows
from tools.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from tools.table.recording import Recording

_SETS = ("difference", "intersection", "union", "update_text")
"""Operations with another table: they compute nothing."""


def no_name(values: Mapping[str, Any]) -> str:
    """Why operations give the output no name of its own."""
    if not values:
        return "nothing to do: give an operation, --format, or --output"
    flags = " and ".join(OPERATIONS[name].flag for name in values)
    return f"the output would overwrite the input, {flags} change no name; give --output"


def output_target(
    inputs: Sequence[str | Path],
    paths: list[Path],
    values: Mapping[str, Any],
    settings: Settings,
    output: str | Path | None,
    format: str | None,
) -> Path:
    """Where to write: never the name of an input. The table of a folder is written beside it."""
    from tools.table import output_path, shorten, split_part, table_extension, table_format, table_stem

    if output is not None:
        table_format(output)
        return Path(output)
    first = paths[0]
    wholes = [part[0] for part in map(split_part, paths) if part]
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        folder = Path(inputs[0]).resolve()
        first, stem = folder.with_name(folder.name + table_extension(first)), folder.name
    elif 1 < len(paths) == len(wholes) and len(set(wholes)) == 1:
        first, stem = wholes[0], table_stem(wholes[0])
    else:
        stem = "+".join(table_stem(path) for path in paths)
    shown = {**values, "shuffle": settings.seed} if "shuffle" in values else dict(values)
    named = first.with_name(shorten(stem) + table_extension(first))
    return output_path(named, name_suffix(shown), format=format)


def check_rejected(path: Path, plan: Plan, *, overwrite: bool) -> None:
    """Check before the work that the table of rejected rows replaces no other."""
    from tools.table import refuse_loss

    if path.absolute() in [output.absolute() for output in plan.outputs]:
        raise UserError(f"{path}: the table of rejected rows would be that of the others; name another")
    added = (column for name, value in plan.values.items() for column in OPERATIONS[name].added(value))
    refuse_loss(path, {*plan.frame.collect_schema(), *added, REASON_COLUMN}, overwrite=overwrite)


def record_run(plan: Plan) -> Recording:
    """What a run reads, and what computes its values, for the sidecars of its tables; before the work."""
    from tools.datasets.operations.sets import other_tables
    from tools.table.recording import Recording

    first = plan.frame.collect_schema()
    takes: dict[Path, Callable[[str], bool]] = {}
    of_others: tuple[Callable[[str], bool], ...] = (
        lambda column: False,
        lambda column: column not in first,
        lambda column: True,
        lambda column: column == "text",
    )
    for name, takes_column in zip(_SETS, of_others, strict=True):
        if name in plan.values:
            takes |= dict.fromkeys(other_tables({name: plan.values[name]}), takes_column)
    takes |= dict.fromkeys(plan.paths, lambda column: True)
    stages = []
    for name in ("info", "video_info"):
        if name in plan.values:
            from tools.datasets.probe_stage import ProbeStage
            from tools.stage.recorded import stage_records

            stages = stage_records(ProbeStage(as_video=name == "video_info"))
    options: dict[str, Any] = {"seed": plan.context.seed}
    for name, value in plan.values.items():
        options[name] = " ".join(OPERATIONS[name].words(value)[1:]) or True
    return Recording(plan.read, stages=stages, options=options, takes=takes)


def write_sidecars(recording: Recording, plan: Plan, tables: Mapping[Path, Iterable[str]]) -> None:
    """Write the sidecar of each of some tables that a run has written, by path, with its columns."""
    made: set[str] = set()
    changed: set[str] = set()
    for name, value in plan.values.items():
        if name not in _SETS:
            own = set(OPERATIONS[name].added(value))
            changed |= own & set(OPERATIONS[name].needed(value))
            made |= own
    changed |= made & {"text"}  # a caption that an operation does not find stays as it was
    for path, columns in tables.items():
        recording.write(path, columns, made={*made, REASON_COLUMN} - changed, changed=changed)


def write_rejected(path: Path, plan: Plan, steps: Sequence[Step]) -> Path:
    """Write the rows that the steps have removed.

    Raises:
        UserError: No step removes rows.
    """
    from tools.table import write_table

    rows = rejected_rows(steps)
    if rows is None:
        raise UserError("--rejected: no operation removes rows")
    return write_table(rows, path, inputs=plan.read)


def write_output(frame: pl.LazyFrame, plan: Plan, rows: int | None) -> dict[Path, int]:
    """Write the table, or its shards; the rows of each. Where ``rows`` is known, there have to be so many."""
    from tools.table import write_and_count

    if plan.outputs == [plan.target]:
        quotes = not needs_no_quotes(plan)
        return {plan.target: write_and_count(frame, plan.target, inputs=plan.read, rows=rows, quotes=quotes)}
    with kept_rows(frame, plan) as (table, height):
        if rows is not None and height != rows:
            source = plan.context.source
            raise UserError(f"{source}: {height} of {rows} rows were read; did a table change meanwhile?")
        small, larger = divmod(height, len(plan.outputs))
        written: dict[Path, int] = {}
        for number, output in enumerate(plan.outputs):
            start, rows = sum(written.values()), small + (number < larger)
            written[output] = write_and_count(table.slice(start, rows), output, inputs=plan.read)
        return written


_IN_MEMORY = 100_000  # rows


@contextmanager
def kept_rows(frame: pl.LazyFrame, plan: Plan) -> Iterator[tuple[pl.LazyFrame, int]]:
    """A table whose rows are read more than once, and how many there are; a large one in a temporary file."""
    import polars as pl

    from tools.base.disk import cannot_write, errno_of
    from tools.base.temporary_files import TemporaryFolder
    from tools.table.files import unreadable
    from tools.table.row_files import scratch_folder

    folder = None
    try:
        try:
            head = frame.head(_IN_MEMORY + 1).collect(engine="streaming")
            if head.height > _IN_MEMORY:
                folder = TemporaryFolder(scratch_folder(plan.context.scratch))
                path = folder.path / "rows.arrow"
                frame.sink_ipc(path, compression="uncompressed", engine="streaming")
                table = pl.scan_ipc(path)
                height = table.select(pl.len()).collect().item()
            else:
                table, height = head.lazy(), head.height
        except pl.exceptions.PolarsError as error:
            if folder is not None and errno_of(error):
                raise cannot_write(folder.path, error, "a temporary file") from None
            raise unreadable(plan.context.source, error) from None
        except OSError as error:
            raise cannot_write(plan.target.parent, error, "a temporary file") from None
        yield table, height
    finally:
        if folder is not None:
            folder.close()


_UNCHANGED = {
    Phase.EMPTY_CELLS, Phase.CELLS, Phase.REPEATED_PATHS, Phase.BOUNDS, Phase.EMPTIED, Phase.EXPRESSION,
    Phase.SORTING, Phase.REPEATED_TEXTS, Phase.AMOUNT, Phase.CHOICE,
}  # fmt: skip
"""When operations are carried out that remove rows or order them, and leave cells as they are."""


def needs_no_quotes(plan: Plan) -> bool:
    """Whether cells go from CSV to CSV as they are, and none was in quotes."""
    from tools.table.formats import format_of

    form = format_of(plan.target)
    return (
        all(OPERATIONS[name].phase in _UNCHANGED or name == "difference" for name in plan.values)
        and all(format_of(path) is form for path in plan.paths)
        and form.needs_no_quotes(plan.paths)
    )


def further_shards(plan: Plan) -> list[Path]:
    """Tables that a pattern for these shards would take in, too."""
    names = output_paths(plan.target, len(plan.outputs) + 1000)[len(plan.outputs) :]
    return list(itertools.takewhile(Path.exists, names))


def output_paths(target: Path, shard: int | None) -> list[Path]:
    """The table, or the tables ``<stem>_0`` ... that it is split into."""
    from tools.table import table_extension, table_stem

    if not shard:
        return [target]
    return [
        target.with_name(f"{table_stem(target)}_{number}{table_extension(target)}") for number in range(shard)
    ]
