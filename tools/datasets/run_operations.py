"""Carry out the operations of datautil: their plan, their fixed order, and what each of them did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.base.terminal import one_line
from tools.datasets.operations import EXECUTION_ORDER, OPERATIONS, Context, Split
from tools.datasets.operations.amounts import Goal, hours
from tools.datasets.operations.base import DETAIL_COLUMN, TRUTHS, Part, count
from tools.datasets.operations.ranks import parse_by
from tools.errors import UserError, check_choice

if TYPE_CHECKING:
    import polars as pl

    from tools.stage.run_options import RunOptions

REASON_COLUMN = "rejected_by"
"""In a table of rejected rows: the flag that removed the row, with its value."""

_LAST_SEED = 2**32 - 1  # of NumPy's generator


@dataclass(frozen=True)
class Step:
    """One operation of a run.

    Attributes:
        label: The flag with its value, as typed.
        before: The table that it got.
        after: The table that the next one got.
        removed: Rows that it removed; None when it is not there to remove any.
    """

    label: str
    before: pl.LazyFrame
    after: pl.LazyFrame
    removed: pl.LazyFrame | None


@dataclass(frozen=True)
class Settings:
    """How operations are carried out, where that is not their value.

    Attributes:
        seed: Of --shuffle, --sample, --balance and --score-to-text.
        lang_threshold: Least confidence for --lang, 0 to 1; None for its default.
        per_source: Rows that --sample and --balance take of one source video at most.
        options: Workers and limits; None for the defaults.
        by: By which scores --keep-hours, --keep-fraction, --keep-rows and --balance choose:
            ``aes:2 motion:1``, see `tools.datasets.operations.ranks.parse_by`.
        hours: How much --balance draws; this or ``rows``.
        rows: Likewise.
    """

    seed: int = 42
    lang_threshold: float | None = None
    per_source: int | None = None
    options: RunOptions | None = None
    by: str | None = None
    hours: float | str | None = None
    rows: int | str | None = None


KEEPING = ("keep_hours", "keep_fraction", "keep_rows")
"""Operations that find bounds."""


@dataclass(frozen=True)
class Plan:
    """What would be done. Nothing has been done but to read the schema of the inputs.

    Attributes:
        paths: The input tables.
        read: They, and those that operations read.
        frame: Them as one, before any operation.
        values: Operations with parsed values.
        target: Table to write.
        outputs: It, or the tables that it is split into; none if no table is to be written.
        context: What the operations share.
    """

    paths: list[Path]
    read: list[Path]
    frame: pl.LazyFrame
    values: dict[str, Any]
    target: Path
    outputs: list[Path]
    context: Context

    def describe(self) -> list[Part]:
        """The steps of the operations, in the order in which they would be carried out."""
        return [part for name in in_order(self.values) for part in OPERATIONS[name].steps(self.values[name])]

    def remarks(self) -> list[str]:
        """What the user is to know of the operations and their values."""
        return remarks_on(self.values)


def remarks_on(values: Mapping[str, Any]) -> list[str]:
    """What operations have to say of their values."""
    return [line for name, value in values.items() for line in OPERATIONS[name].remarks(value)]


def checked(operations: Mapping[str, Any], settings: Settings | None = None) -> dict[str, Any]:
    """Operations with their values parsed; switches that are off are left out.

    Args:
        operations: Name to value: text, a number, True, or a list where the operation takes several.
        settings: Some of them become part of the values; None for the defaults.

    Raises:
        UserError: An unknown operation, a value that it does not take, or two that exclude each other.
    """
    settings = settings or Settings()
    if not isinstance(settings.seed, Integral) or not 0 <= int(settings.seed) <= _LAST_SEED:
        raise UserError(f"--seed: must be a whole number from 0 to {_LAST_SEED}, not {settings.seed!r}")
    values: dict[str, Any] = {}
    for name, value in operations.items():
        check_choice("operation", name, OPERATIONS)
        if isinstance(value, bool) and OPERATIONS[name].metavar == TRUTHS:
            value = str(value).lower()  # has_audio=False asks for rows without, and is no switch
        if value is not None and value is not False:
            values[name] = _parsed(name, value)
    if "sort" in values and "sort_ascending" in values:
        raise UserError("--sort and --sort-ascending: give one of them")
    if "img_only" in values and "vid_only" in values:
        raise UserError("--img-only and --vid-only: no row passes both, give one of them")
    sorted_too = {"sort", "sort_ascending"} & values.keys()
    if "shuffle" in values and sorted_too and "remove_text_duplication" not in values:
        raise UserError("--shuffle would undo the sorting; give one of them")
    return _with_settings(values, settings)


def _with_settings(values: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """How much is kept, and by what, goes into the values of the operations that keep it."""
    if settings.per_source and not {"sample", "balance"} & values.keys():
        raise UserError("--per-source: says how --sample N or --balance chooses; give one of them, too")
    keeping = [name for name in KEEPING if name in values]
    if len(keeping) > 1:
        raise UserError(f"{' and '.join(OPERATIONS[name].flag for name in keeping)}: give one of them")
    by = None
    if settings.by is not None:
        if not keeping and "balance" not in values:
            flags = ", ".join(OPERATIONS[name].flag for name in KEEPING)
            raise UserError(f"--by: says by which scores {flags} or --balance choose; give one of them, too")
        by = _of_flag("--by", parse_by, _text("--by", settings.by))
    for name in keeping:
        values[name] = replace(values[name], by=by)
    amounts = {"hours": (hours, settings.hours), "rows": (count, settings.rows)}
    given = {unit: read for unit, read in amounts.items() if read[1] is not None}
    if given and "balance" not in values:
        flag = next(iter(given))
        raise UserError(f"--{flag}: says how much --balance draws; give it, too, or use --keep-{flag}")
    if len(given) > 1:
        raise UserError("--hours and --rows: give one of them")
    for unit, (parse, amount) in given.items():
        goal = Goal(_of_flag(f"--{unit}", parse, str(amount)), unit, by)
        values["balance"] = replace(values["balance"], goal=goal)
    return values


def _of_flag(flag: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise UserError(f"{flag}: {error}") from None


def _parsed(name: str, value: Any) -> Any:
    operation = OPERATIONS[name]
    if operation.parse is None:
        if value is not True:
            raise UserError(f"{operation.flag}: is a switch, True or False, not {value!r}")
        return True
    several = operation.many and isinstance(value, Iterable) and not isinstance(value, str)
    texts = [_text(operation.flag, one) for one in (value if several else [value])]
    if not texts:
        raise UserError(f"{operation.flag}: the list is empty; name at least one, or leave it out")
    parsed = [_of_flag(operation.flag, operation.parse, text) for text in texts]
    return parsed if operation.many else parsed[0]


def _text(flag: str, value: Any) -> str:
    """A value as it is typed behind a flag."""
    if isinstance(value, (bool, Iterable)) and not isinstance(value, str):
        raise UserError(f"{flag}: must be one text or number, not {one_line(repr(value)):.60}")
    return str(value)


def in_order(values: Mapping[str, Any]) -> Iterator[str]:
    """Names of the operations in the order of their execution.

    One with two phases is carried out again only if an operation between them has changed its columns.
    """
    done: list[str] = []
    for name in EXECUTION_ORDER:
        if name not in values:
            continue
        if name in done:
            since = done[done.index(name) + 1 :]
            changed = {column for other in since for column in OPERATIONS[other].added(values[other])}
            if changed.isdisjoint(OPERATIONS[name].needed(values[name])):
                continue
        done.append(name)
        yield name


def check_columns(
    schema: Mapping[str, pl.DataType], values: Mapping[str, Any], source: str
) -> dict[str, pl.DataType]:
    """Find out before any work is done whether every operation will have its columns.

    Returns:
        The columns that the result will have.

    Raises:
        UserError: Names the operation and the column.
    """
    import polars as pl

    from tools.columns import COLUMNS
    from tools.table import require_columns, require_single_values

    present = dict(schema)
    for name in in_order(values):
        operation, value = OPERATIONS[name], values[name]
        caller = f"{source}: {operation.flag}"
        require_columns(pl.LazyFrame(schema=present), operation.needed(value), caller)
        if operation.chooses is None:
            _check_names(operation.needed(value), caller)
        if operation.chooses is None and not operation.takes_lists:
            require_single_values(present, operation.needed(value), caller)
        if operation.check is not None:
            operation.check(value, present)
        for column in operation.added(value):
            known = COLUMNS.get(column)
            present[column] = known.dtype() if known else present.get(column, pl.String())
        if operation.chooses is not None:
            present = {column: present[column] for column in operation.chooses(value, list(present))}
    return present


def _check_names(names: Iterable[str], caller: str) -> None:
    """Check that Polars, for which ``*`` is all columns and ``^…$`` a pattern, takes names as they are.

    Raises:
        UserError: It does not.
    """
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise UserError(f"{caller}: '{name}' would be taken for a pattern; give the column another name")


def run_operations(
    frame: pl.LazyFrame, values: Mapping[str, Any], context: Context, *, remove: bool = True
) -> list[Step]:
    """Carry out checked operations.

    Args:
        frame: The table.
        values: Operations with parsed values, as `checked` gives them.
        context: What they share.
        remove: False: every operation gets all rows, also those that an earlier one removed.

    Returns:
        A step for each operation; the last one's ``after`` is the result.

    Raises:
        UserError: A column is missing, or what an operation raises.
    """
    import polars as pl

    from tools.table.files import unreadable

    check_columns(frame.collect_schema(), values, context.source)
    context.notes.extend(remarks_on(values))
    steps: list[Step] = []
    for operation, part in [
        (OPERATIONS[name], part) for name in in_order(values) for part in OPERATIONS[name].steps(values[name])
    ]:
        try:
            result = operation.apply(frame, part.value, context)
        except pl.exceptions.PolarsError as error:
            raise unreadable(context.source, error) from None
        kept, removed = result if isinstance(result, Split) else (result, None)
        after = kept if remove or removed is None else frame
        steps.append(Step(part.label, frame, after, removed))
        frame = after
    return steps


def rejected_rows(steps: Sequence[Step]) -> pl.LazyFrame | None:
    """All rows that operations removed, with the reason; None when no operation removes any."""
    from tools.table import concat_tables

    reasons = [_with_reason(step.removed, step.label) for step in steps if step.removed is not None]
    return concat_tables(reasons) if reasons else None


def _with_reason(removed: pl.LazyFrame, label: str) -> pl.LazyFrame:
    import polars as pl

    if DETAIL_COLUMN not in removed.collect_schema():
        return removed.with_columns(pl.lit(label).alias(REASON_COLUMN))
    reason = pl.concat_str(pl.lit(f"{label}: "), DETAIL_COLUMN)
    return removed.with_columns(reason.alias(REASON_COLUMN)).drop(DETAIL_COLUMN)


def explain(frame: pl.LazyFrame, values: Mapping[str, Any], context: Context, steps: Sequence[Step]) -> str:
    """A waterfall: how many rows each operation removes when it is alone, and when it is its turn.

    Args:
        frame: The table before the first operation.
        values: The operations.
        context: What they share.
        steps: What `run_operations` gave for them.

    Returns:
        Lines of text. Alone means: with the operations that change the table, without the others that remove
        rows.
    """
    from tools.base.terminal import one_line, padded, width

    filters = [step for step in steps if step.removed is not None]
    quiet = replace(context, failures=[], notes=[])
    alone = [step.removed for step in run_operations(frame, values, quiet, remove=False)]
    rows = _counts([frame, *(part for part in alone if part is not None), *(s.after for s in filters)])
    total, apart, left = rows[0], rows[1 : 1 + len(filters)], rows[1 + len(filters) :]
    lines = [("", "alone", "in turn", "left"), ("rows", "", "", f"{total}")]
    for step, removes, before, after in zip(filters, apart, [total, *left], left, strict=False):
        label = one_line(step.label)
        lines.append((label, f"-{removes}", f"-{before - after}", f"{after} ({_percent(after, total)})"))
    if filters:
        end = left[-1]
        lines.append(("all together", "", f"-{total - end}", f"{end} ({_percent(end, total)})"))
    widths = [max(width(line[i]) for line in lines) for i in range(4)]
    return "\n".join(
        "  ".join([padded(line[0], widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines
    )


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}"


def _counts(frames: Sequence[pl.LazyFrame]) -> list[int]:
    import polars as pl

    counted = pl.collect_all([frame.select(pl.len()) for frame in frames], engine="streaming")
    return [one.item() for one in counted]
