"""Edit tables: probe, filter, sort, merge, shard. The operations are in `tools.datasets.operations`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.datasets.operations import EXECUTION_ORDER, OPERATIONS, Context, Operation, name_suffix
from tools.datasets.operations.base import Number
from tools.errors import MediaError, UserError

if TYPE_CHECKING:
    import polars as pl

    from tools.stage.engine import RunOptions
    from tools.table.files import Table

FORMATS = ("csv", "parquet", "jsonl")


@dataclass
class DatautilResult:
    """What a run of datautil did.

    Attributes:
        outputs: The tables written; one, unless sharded.
        rows_in: Rows of the inputs.
        rows_out: Rows written.
        failures: Files that could not be read.
        failures_file: Where they are listed, or None.
        notes: Lines for the user.
    """

    outputs: list[Path]
    rows_in: int
    rows_out: int
    failures: list[MediaError] = field(default_factory=list)
    failures_file: Path | None = None
    notes: list[str] = field(default_factory=list)


def run_datautil(
    inputs: Sequence[str | Path],
    operations: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    format: str | None = None,
    shard: int | None = None,
    seed: int = 42,
    options: RunOptions | None = None,
) -> DatautilResult:
    """Read tables, carry out operations in their fixed order, write the result.

    Args:
        inputs: Tables or patterns; parts that ranks wrote are merged in the order of their rows, other tables
            are concatenated.
        operations: Name of an operation to its value (True for a switch), see `tools.datasets.operations`.
        output: Where to write; by default beside the first input, the inputs' stems and a suffix for each
            operation.
        format: ``csv``, ``parquet`` or ``jsonl``; by default that of ``output`` or of the first input.
        shard: Write this many tables ``<stem>_0`` ..., of contiguous rows.
        seed: For shuffle.
        options: Workers and limits for operations that open files.

    Returns:
        What was done.

    Raises:
        UserError: An input is missing, unreadable or empty; a column is missing; an operation is unknown; the
            output is an input.
    """
    from tools.stage.engine import RunOptions
    from tools.stage.failures import write_failures
    from tools.table import expand_inputs, failures_path, merge_tables, scan_table

    values = checked(operations or {}, seed)
    paths = expand_inputs(inputs)
    target = _target(paths, values, output, format)
    frame = merge_tables(paths)
    rows_in = _count(frame, paths)
    if not rows_in:
        raise UserError(f"{', '.join(map(str, paths))}: no rows, there is nothing to do")
    context = Context(", ".join(map(str, paths)), options or RunOptions(), seed)
    frame = apply_operations(frame, values, context)
    outputs = _write(frame, target, shard, paths)
    rows_out = sum(_count(scan_table(path), [path]) for path in outputs)
    probed = values.keys() & {"info", "video_info"}
    listed = write_failures(context.failures, failures_path(target)) if probed else None
    return DatautilResult(outputs, rows_in, rows_out, context.failures, listed, context.notes)


def filter_table(frame: Table, **thresholds: float) -> Table:
    """Filter a frame in memory, as the flags of the same names do: ``filter_table(df, aesmin=5, fmax=300)``.

    Args:
        frame: pandas or Polars frame, lazy or not.
        **thresholds: Operations that remove rows, with their values.

    Returns:
        A frame of the same kind with the rows that are kept.

    Raises:
        UserError: An unknown name, or a missing column.
    """
    import polars as pl

    from tools.stage.engine import RunOptions
    from tools.table import to_lazy

    values = checked(thresholds, seed=42)
    filtered = apply_operations(to_lazy(frame), values, Context("the frame", RunOptions()))
    if isinstance(frame, pl.LazyFrame):
        return filtered
    if isinstance(frame, pl.DataFrame):
        return filtered.collect()
    return filtered.collect().to_pandas()


def checked(operations: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Operations with their values parsed; switches that are off are left out.

    Raises:
        UserError: An unknown operation, or a value that it does not take.
    """
    values: dict[str, Any] = {}
    for name, value in operations.items():
        if name not in OPERATIONS:
            raise UserError(f"Invalid operation ({name}). Supported values are {', '.join(OPERATIONS)}.")
        if value is None or value is False:
            continue
        parse = OPERATIONS[name].parse
        try:
            values[name] = seed if name == "shuffle" else parse(str(value)) if parse else True
        except ValueError:
            raise UserError(f"{OPERATIONS[name].flag} {value}: not a value it takes") from None
    if "sort" in values and "sort_ascending" in values:
        raise UserError("--sort and --sort-ascending: give one of them")
    return values


def apply_operations(frame: pl.LazyFrame, values: Mapping[str, Any], context: Context) -> pl.LazyFrame:
    """Carry out checked operations in their fixed order."""
    for name in EXECUTION_ORDER:
        if name in values:
            frame = OPERATIONS[name].run(frame, values[name], context)
    return frame


def _target(paths: list[Path], values: dict[str, Any], output: str | Path | None, format: str | None) -> Path:
    """Where to write: never over an input, and never the same name as one."""
    from tools.table import output_path, shorten, split_part, table_format, table_stem

    if output is not None:
        table_format(output)
        return Path(output)
    first = paths[0]
    parts = [split_part(path) for path in paths]
    if len(paths) > 1 and all(parts) and len({part[0] for part in parts}) == 1:
        first, stem = parts[0][0], table_stem(parts[0][0])
    else:
        stem = "+".join(table_stem(path) for path in paths)
    target = output_path(first.with_name(shorten(stem) + first.suffix), name_suffix(values), format=format)
    if target in paths:
        raise UserError(f"{target}: nothing to do: give an operation, --format, or --output")
    return target


def _count(frame: pl.LazyFrame, paths: list[Path]) -> int:
    import polars as pl

    from tools.table.files import unreadable

    try:
        return frame.select(pl.len()).collect(engine="streaming").item()
    except pl.exceptions.PolarsError as error:
        raise unreadable(", ".join(map(str, paths)), error) from None


def _write(frame: pl.LazyFrame, target: Path, shard: int | None, inputs: list[Path]) -> list[Path]:
    from tools.table import write_table

    if not shard:
        return [write_table(frame, target, inputs=inputs)]
    table = frame.collect(engine="streaming")
    small, larger = divmod(table.height, shard)
    outputs, start = [], 0
    for number in range(shard):
        rows = small + (number < larger)
        place = target.with_name(f"{target.name.removesuffix(target.suffix)}_{number}{target.suffix}")
        outputs.append(write_table(table.slice(start, rows), place, inputs=inputs))
        start += rows
    return outputs


def _parser() -> cli.ArgumentParser:
    order = " ".join(name.replace("_", "-") for name in EXECUTION_ORDER)
    parser = cli.ArgumentParser(
        "tools.datasets.datautil",
        "Read tables, change them, write the result under a name that says what was done:\n"
        "meta.csv --info --fmin 1 -> meta_info_fmin1.csv. Several inputs are merged.\n"
        f"Whatever the order of the flags, operations are carried out in this one:\n{order}",
        """
        python -m tools.datasets.datautil meta.csv --info --fmin 1
        python -m tools.datasets.datautil meta_aes_part*.csv --output meta_aes.csv
        python -m tools.datasets.datautil meta_aes.csv --aesmin 5 --fmin 48 --shuffle --head 1000
        """,
    )
    parser.add_argument("input", nargs="+", help="tables (.csv, .parquet, .jsonl) or patterns")
    group = parser.add_argument_group("operations")
    for operation in OPERATIONS.values():
        _add_flag(group, operation)
    group = parser.add_argument_group("output")
    group.add_argument("--output", metavar="FILE", help="table to write")
    group.add_argument("--format", choices=FORMATS, help="format, where --output does not tell")
    group.add_argument(
        "--shard", type=cli.whole_number(1), metavar="N", help="write N tables of equal size, _0, _1, ..."
    )
    group = parser.add_argument_group("running")
    group.add_argument(
        "--seed", type=cli.whole_number(0), default=42, metavar="N", help="seed of --shuffle (42)"
    )
    group.add_argument(
        "--num-workers",
        type=cli.whole_number(0),
        default=16,
        metavar="N",
        help="processes that probe, at most one per core (16)",
    )
    group.add_argument("--disable-parallel", action="store_true", help="one process that probes")
    group.add_argument(
        "--timeout",
        type=cli.positive_number,
        default=60.0,
        metavar="S",
        help="seconds to probe one file (60)",
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _add_flag(group: argparse._ArgumentGroup, operation: Operation) -> None:
    if operation.parse is None:
        group.add_argument(operation.flag, action="store_true", help=operation.help)
        return

    def parse(text: str) -> Any:
        try:
            return operation.parse(text)
        except ValueError:
            kind = "a finite number" if operation.parse is Number else "a whole number from 1 on"
            raise argparse.ArgumentTypeError(f"must be {kind}, not {text}") from None

    group.add_argument(operation.flag, type=parse, metavar=operation.metavar, help=operation.help)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run, and tell what was done."""
    args = _parser().parse_args(argv)

    from tools.stage.engine import RunOptions

    result = run_datautil(
        args.input,
        {name: getattr(args, name) for name in OPERATIONS},
        output=args.output,
        format=args.format,
        shard=args.shard,
        seed=args.seed,
        options=RunOptions(
            num_workers=min(1, args.num_workers) if args.disable_parallel else args.num_workers,
            timeout=args.timeout,
            progress=not args.quiet,
        ),
    )
    for note in result.notes:
        print(note, file=sys.stderr)
    if result.failures_file:
        print(f"failures: {result.failures_file}", file=sys.stderr)
    print(f"{result.rows_out} of {result.rows_in} rows kept", file=sys.stderr)
    print(*result.outputs, sep="\n")
    if result.failures and len(result.failures) == result.rows_in:
        print(f"error: no file could be read, the first: {result.failures[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    cli.run(main)
